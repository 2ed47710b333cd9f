"""Runs in progress, written down in FiftyOne's database so that others see them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from .steps import Progress

STORE = "detail_embed_runs"
RUNNING, DONE, FAILED, STOPPED, SILENT = (
    "running", "done", "failed", "stopped", "silent"
)
_EVERY = 1.0  # seconds between two notes
_SILENT_AFTER = 300.0  # seconds without a note
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
        started: seconds since 1970
        updated: likewise
        history: of a training, what every epoch reached
    """

    id: str
    label: str
    state: str = RUNNING
    text: str = ""
    fraction: float = 0.0
    started: float = 0.0
    updated: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


class RunBoard:
    """The runs of a data set.

    Args:
        dataset: the data set
    """

    def __init__(self, dataset: fo.Dataset):
        self._store = foo.ExecutionStore.create(STORE, dataset._doc.id)

    def track(self, label: str, run: Iterable[Progress]) -> Iterator[Progress]:
        """Does a run, and notes how far it is, at most once a second.

        Args:
            label: what is run, for a person
            run: the steps
        """
        note = Note(uuid.uuid4().hex, label, started=time.time())
        self._write(note)
        try:
            for progress in run:
                text, fraction = progress.text, progress.fraction
                note = replace(note, text=text, fraction=fraction)
                if progress.history:
                    note = replace(note, history=list(progress.history))
                if time.time() - note.updated > _EVERY:
                    note = self._write(note)
                yield progress
        except GeneratorExit:
            self._write(replace(note, state=STOPPED))
            raise
        except BaseException as error:
            self._write(replace(note, state=FAILED, text=str(error)))
            raise
        self._write(replace(note, state=DONE, fraction=1.0))

    def notes(self) -> list[Note]:
        """Lists the runs of the last day, the newest first."""
        notes = [self._store.get(key) for key in self._store.list_keys()]
        found = [_heard(Note(**note)) for note in notes if note]
        return sorted(found, key=lambda note: -note.started)

    def running(self) -> list[Note]:
        """Lists the runs that go on."""
        return [note for note in self.notes() if note.state == RUNNING]

    def _write(self, note: Note) -> Note:
        note = replace(note, updated=time.time())
        self._store.set(note.id, asdict(note), ttl=_KEPT)
        return note


def _heard(note: Note) -> Note:
    silent = time.time() - note.updated > _SILENT_AFTER
    return replace(note, state=SILENT) if silent and note.state == RUNNING else note
