"""Runs in progress, written down in FiftyOne's database so that others see them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Set
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import timezone
from time import monotonic
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples.mongo import database_time
from detail_embed.fiftyone_bridge.samples.private_names import dataset_id

STORE = "detail_embed_runs"
RUNNING, DONE, FAILED, STOPPED, SILENT = (
    "running", "done", "failed", "stopped", "silent"
)
_EVERY = 1.0  # seconds between two notes
_SILENT_AFTER = 300.0  # seconds without a note
_STOP = ".stop"  # end of the key of a wish to stop
_KEPT = 86_400  # seconds that the last note of a run is kept


@dataclass(frozen=True)
class Note:
    """How far a run is.

    Attributes:
        id: of the run
        label: what is run, for a person
        state: ``RUNNING``, ``DONE``, ``FAILED``, ``STOPPED`` by a person, or
            ``SILENT``: nothing was heard of it for 5 minutes, it may have been killed
        text: of the last step, or of the error
        fraction: of the whole, 0 to 1
        started: seconds since 1970, by the database's clock
        updated: likewise
        history: of a training, what every epoch reached
        stops: whether someone asked it to end after its step
    """

    id: str
    label: str
    state: str = RUNNING
    text: str = ""
    fraction: float = 0.0
    started: float = 0.0
    updated: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    stops: bool = False


class RunBoard:
    """The runs of a dataset.

    Args:
        dataset: the dataset
    """

    def __init__(self, dataset: fo.Dataset):
        self._store = foo.ExecutionStore.create(STORE, dataset_id(dataset))

    def track(self, label: str, run: Iterable[Progress]) -> Iterator[Progress]:
        """Does a run, and notes how far it is, at most once a second.

        Args:
            label: what is run, for a person
            run: the steps; they end early if someone stops the run
        """
        note = self._write(Note(uuid.uuid4().hex, label, started=_now()))
        noted = float("-inf")
        try:
            with closing(_steps(run)) as steps:
                for progress in steps:
                    note = _follow(note, progress)
                    if monotonic() - noted > _EVERY:
                        note, noted = self._write(note), monotonic()
                        if self._store.has(_stop_key(note.id)):
                            break
                    yield progress
                else:
                    note = replace(note, state=DONE, fraction=1.0)
        except GeneratorExit:
            self._write(replace(note, state=STOPPED))
            raise
        except BaseException as error:
            self._write(replace(note, state=FAILED, text=str(error)))
            raise
        self._write(note if note.state == DONE else replace(note, state=STOPPED))

    def stop(self, id: str) -> None:
        """Asks a run to end after its next step."""
        self._store.set(_stop_key(id), {}, ttl=_KEPT)

    def notes(self) -> list[Note]:
        """Lists the runs of the last day, the newest first."""
        keys = set(self._store.list_keys())
        notes = [self._store.get(key) for key in keys if not key.endswith(_STOP)]
        now = _now()
        found = [_heard(Note(**note), keys, now) for note in notes if note]
        return sorted(found, key=lambda note: -note.started)

    def running(self) -> list[Note]:
        """Lists the runs that go on."""
        return [note for note in self.notes() if note.state == RUNNING]

    def _write(self, note: Note) -> Note:
        note = replace(note, updated=_now())
        self._store.set(note.id, asdict(note), ttl=_KEPT)
        return note


def _steps(run: Iterable[Progress]) -> Iterator[Progress]:
    yield from run


def _follow(note: Note, progress: Progress) -> Note:
    note = replace(note, text=progress.text, fraction=progress.fraction)
    return replace(note, history=list(progress.history)) if progress.history else note


def _stop_key(id: str) -> str:
    return f"{id}{_STOP}"


def _heard(note: Note, keys: Set[str], now: float) -> Note:
    note = replace(note, stops=_stop_key(note.id) in keys)
    silent = now - note.updated > _SILENT_AFTER
    return replace(note, state=SILENT) if silent and note.state == RUNNING else note


def _now() -> float:
    return database_time().replace(tzinfo=timezone.utc).timestamp()
