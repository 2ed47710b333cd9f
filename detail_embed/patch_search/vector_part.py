"""A part of an index of many vectors: files that are mapped, and never change."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

IDS, COUNTS, LABELS = "ids.npy", "counts.npy", "labels.npy"
_VECTORS = "vectors.f16"
_ROUGH = "rough.i8"  # of each vector its scale, float32, then a byte a dimension
CODES = "codes.faiss"
ID = "S24"  # ids are 24 hexadecimal digits
_SCALE = 4  # bytes
_ROWS = 16_384  # of vectors that are turned into float32 at once


@dataclass(frozen=True, eq=False)
class Block:
    """Vectors of ``n`` images, those of an image in one piece.

    Attributes:
        ids: ``n``, of 24 characters each
        counts: ``(n,)`` int64, how many vectors each has
        vectors: ``(v, d)`` float, unit length
        labels: ``v`` ids of what the vectors are of; None for the images themselves
    """

    ids: list[str]
    counts: np.ndarray
    vectors: np.ndarray
    labels: list[str] | None = None


class VectorPart:
    """A folder with vectors of images in float16, and their codes where it has any.

    All files are mapped: processes that read the same part share one copy of what they
    touch, and the system drops it when memory is short.

    Args:
        folder: one that :func:`write` has filled
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._ids = np.load(folder / IDS, mmap_mode="r")
        self.ends = np.cumsum(np.load(folder / COUNTS))
        self._labels = None
        if (folder / LABELS).is_file():
            self._labels = np.load(folder / LABELS, mmap_mode="r")
        self._map, count = _mapped(folder / _VECTORS), int(self.ends[-1])
        self.vectors = np.frombuffer(self._map, np.float16).reshape(count, -1)
        self._rough_map = _mapped(folder / _ROUGH)
        self._rough = np.frombuffer(self._rough_map, np.int8).reshape(count, -1)

    def __len__(self) -> int:
        return len(self._ids)

    @cached_property
    def codes(self) -> Any:
        """The codes of the vectors in FAISS; None where all are read."""
        path = self.folder / CODES
        if not path.is_file():
            return None
        faiss = load_faiss()
        codes = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        codes.parallel_mode = 1  # one query, many lists
        return codes

    def ids(self, images: list[int] | np.ndarray | slice) -> list[str]:
        """The ids of images."""
        return self._ids[images].astype(str).tolist()

    def labels(self, rows: np.ndarray) -> list[str] | None:
        """The ids of what vectors are of, None for the images themselves."""
        if self._labels is None:
            return None
        return self._labels[rows].astype(str).tolist()

    def places(self, ids: Iterable[str]) -> np.ndarray:
        """The places of those images that are here, ``(m,)`` int64."""
        wanted = np.array(list(ids), ID)
        order = self._order
        at = np.searchsorted(self._ids, wanted, sorter=order)
        at = order[np.minimum(at, len(order) - 1)]
        return at[self._ids[at] == wanted]

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The images that vectors are of."""
        return np.searchsorted(self.ends, rows, side="right")

    def rows(self, images: np.ndarray) -> np.ndarray:
        """All vectors of images, in order."""
        ends = self.ends[images]
        starts = np.where(images > 0, self.ends[images - 1], 0)
        counts = ends - starts
        before = np.cumsum(counts) - counts
        return np.arange(counts.sum()) + np.repeat(starts - before, counts)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some vectors, ``(m, d)`` float32; the system fetches them all at once."""
        _fetch(self._map, rows, self.vectors.strides[0])
        return torch.from_numpy(self.vectors[rows]).float().numpy()

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """All vectors in order, ``(size, d)`` float32 at a time."""
        dim = self.vectors.shape[1]
        with (self.folder / _VECTORS).open("rb") as file:  # it reads ahead
            while len(block := np.fromfile(file, np.float16, size * dim)):
                yield torch.from_numpy(block.reshape(-1, dim)).float().numpy()

    def cosines(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Dot products of a query and some vectors, ``(m,)`` float32."""
        if not len(rows):
            return np.empty(0, np.float32)
        blocks = range(0, len(rows), _ROWS)
        return np.concatenate(
            [self.read(rows[start : start + _ROWS]) @ query for start in blocks]
        )

    def best(self, query: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
        """The best of some vectors, rising, by a byte a dimension.

        These take half of what the vectors do, so that memory may hold them all.
        """
        if len(rows) <= count:
            return rows
        _fetch(self._rough_map, rows, self._rough.strides[0])
        held = self._rough[rows]
        scales = np.ascontiguousarray(held[:, :_SCALE]).view(np.float32)[:, 0]
        near = torch.from_numpy(held[:, _SCALE:]).float() @ torch.from_numpy(query)
        kept = np.argpartition(-near.numpy() * scales, count - 1)[:count]
        return np.sort(rows[kept])

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self._ids, kind="stable")


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def _fetch(mapped: mmap.mmap, rows: np.ndarray, size: int) -> None:
    """Asks for the pages of rows of a file, all at once."""
    page = mmap.PAGESIZE
    for start in np.unique(rows * size // page).tolist():
        length = min(size + page, len(mapped) - start * page)
        mapped.madvise(mmap.MADV_WILLNEED, start * page, length)


def _rough(vectors: np.ndarray) -> np.ndarray:
    """Vectors in a byte a dimension, after their scales: ``(v, 4 + d)`` int8."""
    vectors = np.asarray(vectors, np.float32)
    scales = np.abs(vectors).max(axis=1, keepdims=True) / 127
    scales[scales == 0] = 1
    codes = np.rint(vectors / scales).astype(np.int8)
    return np.hstack([scales.view(np.int8), codes])


def load_faiss() -> Any:
    """FAISS, which few need.

    Raises:
        ImportError: if it is not installed
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "to search this many vectors needs faiss: pip install 'faiss-cpu>=1.15'"
        ) from error
    return faiss


def write(folder: Path, blocks: Iterable[Block]) -> int:
    """Writes a part block by block, without codes.

    Args:
        folder: there, and empty
        blocks: at least one with an image; all have labels, or none

    Returns:
        the number of vectors
    """
    with (folder / _VECTORS).open("wb") as file, (folder / _ROUGH).open("wb") as rough:

        def put(vectors: np.ndarray) -> None:
            np.ascontiguousarray(vectors, np.float16).tofile(file)
            _rough(vectors).tofile(rough)

        return write_owners(folder, blocks, put)


def write_owners(
    folder: Path, blocks: Iterable[Block], put: Callable[[np.ndarray], None]
) -> int:
    """Writes whose vectors they are, block by block; nothing where there are none.

    Args:
        folder: there, and empty
        blocks: all have labels, or none
        put: writes the vectors of a block

    Returns:
        the number of vectors
    """
    ids, counts, labels = [], [], []
    for block in blocks:
        put(block.vectors)
        ids.append(np.array(block.ids, ID))
        counts.append(np.asarray(block.counts, np.int64))
        if block.labels is not None:
            labels.append(np.array(block.labels, ID))
    for name, parts in ((IDS, ids), (COUNTS, counts), (LABELS, labels)):
        if parts:
            np.save(folder / name, np.concatenate(parts))
    return int(sum(map(np.sum, counts)))
