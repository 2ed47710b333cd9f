"""Many vectors an image in mapped files: more than memory should hold.

FAISS' IVF RaBitQ proposes vectors by short codes, and the float16 vectors of these,
read from the disk, give the exact order. What is added becomes a part of its own,
which is coded by what was learnt once: nothing that is there is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from detail_embed.patch_search import vector_codes
from detail_embed.patch_search.vector_part import Block, VectorPart, write
from detail_embed.storage.whole_files import whole_folder, write_whole

_LABEL, _CODER, _FORMAT = "vectors.json", "coder.faiss", 2
SCANNED = 200_000  # vectors: as many are read as fast as they are looked up
_EXACT, _PER_IMAGE = 2000, 8  # vectors that are read at least; for an image


@dataclass(frozen=True, eq=False)
class Hits:
    """Images that were found, best first.

    Attributes:
        parts: ``(m,)`` int64, the parts that they are in
        places: ``(m,)`` int64, their places there
        scores: ``(m,)`` float32, the dot product with the best vector
    """

    parts: np.ndarray
    places: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, some: slice | np.ndarray) -> Hits:
        return Hits(self.parts[some], self.places[some], self.scores[some])

    @classmethod
    def together(cls, found: Sequence[Hits]) -> Hits:
        """All images of several searches, each once, as it was found first."""
        parts, places, scores = (
            np.concatenate([getattr(hits, name) for hits in found])
            for name in ("parts", "places", "scores")
        )
        _, first = np.unique(np.stack([parts, places]), axis=1, return_index=True)
        return cls(parts, places, scores)[np.sort(first)]


class VectorFiles:
    """The vectors of images in a folder; make one by :meth:`create` or :meth:`open`.

    Attributes:
        directory: the folder
        slug: the embedding space of the vectors
        parts: what was added, in order
        note: what whoever fills it wants to know the next time
    """

    def __init__(self, directory: Path, label: dict[str, Any]):
        self.directory, self._label = directory, label
        self.slug, self.note = label["slug"], label["note"]
        self.parts = [VectorPart(directory / name) for name in label["parts"]]
        self._gone = [np.array(gone, np.int64) for gone in label["gone"]]

    @classmethod
    def create(cls, directory: Path, slug: str) -> VectorFiles:
        """Makes an empty folder; what it holds is deleted."""
        label = {"format": _FORMAT, "slug": slug, "note": None, "parts": [], "gone": []}
        with whole_folder(directory, replace=True) as partial:
            write_whole(partial / _LABEL, json.dumps(label))
        return cls(directory, label)

    @classmethod
    def open(cls, directory: Path) -> VectorFiles | None:
        """Opens a folder as it is now; None where there is none, or a damaged one."""
        try:
            label = json.loads((directory / _LABEL).read_text("utf-8"))
            return cls(directory, label) if label["format"] == _FORMAT else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def state(self) -> int:
        """What is another after every change, in whatever process."""
        return (self.directory / _LABEL).stat().st_mtime_ns

    @property
    def num_bytes(self) -> int:
        """What it takes on the disk."""
        files = self.directory.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def __len__(self) -> int:
        return sum(map(len, self.parts)) - sum(map(len, self._gone))

    @property
    def per_image(self) -> float:
        """How many vectors an image has, in the mean."""
        vectors = sum(len(part.vectors) for part in self.parts)
        return vectors / max(sum(map(len, self.parts)), 1)

    def held(self, ids: Iterable[str]) -> dict[str, list[str] | None]:
        """Those of some images that are here, with the labels of their vectors."""
        ids, found = list(ids), {}
        for part, gone in zip(self.parts, self._gone):
            places = np.setdiff1d(part.places(ids), gone)
            for id, place in zip(part.ids(places), places):
                found[id] = part.labels(part.rows(np.array([place])))
        return found

    def add(self, blocks: Iterable[Block], note: Any = None) -> Iterator[int]:
        """Adds images; one that is here already gives its place to its new vectors.

        Args:
            blocks: vectors of images, no image twice
            note (None): kept with them

        Yields:
            how many vectors were written, then how many were coded, as it goes on

        Raises:
            ImportError: if faiss is not installed, and there are more vectors than
                can be read for each search
        """
        name, blocks = f"part-{uuid4().hex}", iter(blocks)
        first = next(blocks, None)
        if first is not None:
            with whole_folder(self.directory / name) as partial:
                count = write(partial, _with(first, blocks))
                yield count
                if count > SCANNED:
                    coder = self.directory / _CODER
                    yield from vector_codes.write(VectorPart(partial), coder)
            self._take(name)
        self.note = note
        self._save()

    def search(
        self, query: np.ndarray, k: int, within: Iterable[str] | None = None
    ) -> Hits:
        """Finds the images with the best vectors.

        Where the images to search in have few vectors, all of these are read.

        Args:
            query: ``(d,)`` float32, unit length
            k: images to find, at most
            within (None): ids of the images to search in; None for all
        """
        within = None if within is None else list(within)
        found = [
            self._search_part(number, query, k, within)
            for number in range(len(self.parts))
        ]
        owners = np.repeat(np.arange(len(found)), [len(s) for _, s in found])
        places = np.concatenate([places for places, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        return Hits(owners, places, scores)[np.argsort(-scores, kind="stable")[:k]]

    def sample(self, count: int) -> Hits:
        """Images drawn evenly from all; their scores are 0."""
        sizes = list(map(len, self.parts))
        owners = np.repeat(np.arange(len(sizes)), sizes)
        places = np.concatenate([np.arange(size) for size in sizes])
        gone = [np.isin(np.arange(n), out) for n, out in zip(sizes, self._gone)]
        there = np.flatnonzero(~np.concatenate(gone))
        rng = np.random.default_rng(0)
        drawn = rng.choice(there, min(count, len(there)), replace=False)
        drawn.sort()
        zeros = np.zeros(len(drawn), np.float32)
        return Hits(owners[drawn], places[drawn], zeros)

    def ids(self, hits: Hits) -> list[str]:
        """The ids of images that were found."""
        pairs = zip(hits.parts.tolist(), hits.places.tolist())
        return [self.parts[part].ids([place])[0] for part, place in pairs]

    def read(self, hits: Hits) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
        """Reads all vectors of images that were found.

        Returns:
            ``(v, d)`` float32, image by image; ``(m,)`` int64, the first row of each;
            and ``v`` ids of what the vectors are of, None for the images themselves
        """
        matrices, labels, counts = [], [], []
        for number, place in zip(hits.parts.tolist(), hits.places.tolist()):
            part = self.parts[number]
            rows = part.rows(np.array([place]))
            matrices.append(part.read(rows))
            labels.append(part.labels(rows))
            counts.append(len(rows))
        known = bool(labels) and labels[0] is not None
        return (
            np.concatenate(matrices) if matrices else np.empty((0, 0), np.float32),
            np.cumsum([0, *counts])[:-1],
            [label for some in labels for label in some] if known else None,
        )

    def count(self, ids: Iterable[str]) -> int:
        """How many of some images are here."""
        ids = list(ids)
        return sum(
            len(np.setdiff1d(part.places(ids), gone))
            for part, gone in zip(self.parts, self._gone)
        )

    def _search_part(
        self, number: int, query: np.ndarray, k: int, within: list[str] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Places of the best images of a part, and their scores."""
        part, gone = self.parts[number], self._gone[number]
        images = None
        if within is not None or len(gone):
            images = np.arange(len(part)) if within is None else part.places(within)
            images = np.setdiff1d(images, gone)
            if not len(images):
                return images, np.empty(0, np.float32)
        rows = None
        if images is not None:
            rows = part.rows(images)
        elif part.codes is None:
            rows = np.arange(len(part.vectors))
        if part.codes is not None and (rows is None or len(rows) > SCANNED):
            rows = vector_codes.propose(part, query, k, rows)
            rows = part.best(query, rows, max(_EXACT, _PER_IMAGE * k))
        return _best(part, query, rows, k)

    def _take(self, name: str) -> None:
        """Makes a folder the last part; what it has anew is gone from the others."""
        new = VectorPart(self.directory / name)
        ids = new.ids(slice(None))
        for number, part in enumerate(self.parts):
            self._gone[number] = np.union1d(self._gone[number], part.places(ids))
        self.parts.append(new)
        self._gone.append(np.empty(0, np.int64))

    def _save(self) -> None:
        self._label |= {
            "note": self.note,
            "parts": [part.folder.name for part in self.parts],
            "gone": [gone.tolist() for gone in self._gone],
        }
        write_whole(self.directory / _LABEL, json.dumps(self._label))


def _with(first: Block, rest: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from rest


def _best(
    part: VectorPart, query: np.ndarray, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` images with the best of some vectors, rising, and their scores."""
    if not len(rows):
        return rows, np.empty(0, np.float32)
    images = part.images(rows)
    starts = np.flatnonzero(np.r_[True, images[1:] != images[:-1]])
    scores = np.maximum.reduceat(part.cosines(query, rows), starts)
    images = images[starts]
    if len(images) > k:
        kept = np.argpartition(-scores, k - 1)[:k]
        images, scores = images[kept], scores[kept]
    return images, scores
