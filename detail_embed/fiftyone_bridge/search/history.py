"""The searches of a dataset, newest first, kept with it in FiftyOne's database."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace

import fiftyone as fo
import fiftyone.operators as foo

from detail_embed.fiftyone_bridge.samples.private_names import dataset_id

STORE = "detail_embed_searches"
KEPT = 50  # that are not pinned


@dataclass(frozen=True)
class Entry:
    """A search that was made.

    Attributes:
        query: the line of prompts
        brain_key: the index
        method: see :mod:`.search.search`
        k: images asked for
        threshold: z-score, None for none
        templates: name of the set
        time: when it was made last, seconds since 1970
        pinned: whether it is kept and listed first
    """

    query: str
    brain_key: str
    method: str = "vectors"
    k: int = 25
    threshold: float | None = None
    templates: str = "own"
    time: float = 0.0
    pinned: bool = False

    @property
    def id(self) -> str:
        """Names what was asked; how much of the answer is shown does not matter."""
        what = [self.query, self.brain_key, self.method, self.templates]
        return hashlib.sha1(json.dumps(what).encode()).hexdigest()[:16]


class History:
    """The searches of a dataset, shared by all who use it.

    Args:
        dataset: the dataset
    """

    def __init__(self, dataset: fo.Dataset):
        self._store = foo.ExecutionStore.create(STORE, dataset_id(dataset))

    def entries(self) -> list[Entry]:
        """Lists what is kept: the pinned first, then the newest."""
        kept = (self._store.get(key) for key in self._store.list_keys())
        entries = [Entry(**value) for value in kept if value]
        return sorted(entries, key=lambda e: (not e.pinned, -e.time))

    def add(self, entry: Entry) -> None:
        """Keeps a search; the oldest that are not pinned are forgotten."""
        known = self._store.get(entry.id)
        pinned = bool(known and known["pinned"])
        self._write(replace(entry, time=time.time(), pinned=pinned))
        if len(self._store.list_keys()) > KEPT:
            for old in [e for e in self.entries() if not e.pinned][KEPT:]:
                self.delete(old.id)

    def pin(self, id: str, pinned: bool = True) -> None:
        """Pins a search, or lets it go.

        Raises:
            ValueError: if it is not kept
        """
        self._write(replace(self.get(id), pinned=pinned))

    def get(self, id: str) -> Entry:
        """Finds a search by its id.

        Raises:
            ValueError: if it is not kept
        """
        value = self._store.get(id)
        if value is None:
            raise ValueError("this search was deleted meanwhile")
        return Entry(**value)

    def delete(self, id: str) -> None:
        """Forgets a search, if it is there."""
        self._store.delete(id)

    def _write(self, entry: Entry) -> None:
        self._store.set(entry.id, asdict(entry))
