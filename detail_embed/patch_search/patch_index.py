"""Full patch search: every patch in a vector index, an image as good as its best."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from torch import from_numpy

from detail_embed.features import FeatureStore
from detail_embed.patch_search.patch_chunks import chunks, sample
from detail_embed.storage.whole_files import digest, relative_path, whole_file

_FILE, _LABEL, _FORMAT = "patches.faiss", "patches.json", 2
_BITS = 2  # per dimension
_PROBES = 2.5  # times the root of the number of lists: the lists that are searched
_MORE = 4  # candidate images per image that is asked for
_DEPTH = 4  # candidate patches per candidate image
_EXACT = 4000  # candidate patches that are ranked exactly, the best by their codes


class PatchIndex:
    """All patches of a store in FAISS' IVF RaBitQ, two bits a dimension.

    A patch takes ``d / 4 + 28`` bytes, 92 at d = 256, and its share of the lists'
    centres, which is 1 byte for 1,000 images of 166 patches and vanishes for more.
    The index is mapped, not read, so that memory holds what searches touch.
    :meth:`build` and :meth:`add` hold all of it.

    Candidates are ranked again by the exact features, which stay in the store. The
    path to it is kept relative to the index: move both, or neither. Make an index
    by :meth:`build` or :meth:`open`.
    """

    def __init__(
        self, directory: Path, store: FeatureStore, index: Any, ids: list[str],
        counts: list[int],
    ):
        self._directory, self._store, self._index = directory, store, index
        self.slug, self.ids, self._counts = store.slug, ids, counts
        self._ends = np.cumsum(counts)

    @classmethod
    def build(cls, store: FeatureStore | Path, directory: str | Path) -> PatchIndex:
        """Indexes all images of a store, reading it twice in small chunks.

        Args:
            store: the patch features, or their folder; search ranks by them
            directory: created where missing; an index in it is replaced

        Raises:
            ImportError: if faiss is not installed
            ValueError: if the store is empty
        """
        faiss = _faiss()
        store = store if isinstance(store, FeatureStore) else FeatureStore.open(store)
        if not len(store):
            raise ValueError(f"{store.directory} holds no images: nothing to index")
        learnt = sample(store)
        lists = max(1, min(int(math.sqrt(len(store) * 20)), len(learnt) // 40))
        metric = faiss.METRIC_INNER_PRODUCT
        coarse = faiss.IndexFlat(store.dim, metric)
        index = faiss.IndexIVFRaBitQ(coarse, store.dim, lists, metric, True, _BITS)
        index.train(learnt)
        index.nprobe = min(lists, math.ceil(_PROBES * math.sqrt(lists)))
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        made = cls(directory, store, index, [], [])
        made._extend(store.ids)
        return made

    @classmethod
    def open(cls, directory: str | Path) -> PatchIndex:
        """Opens an index, and the store that it was built from.

        The length of the index is checked; its checksum is by :meth:`verify`.

        Raises:
            ImportError: if faiss is not installed
            ValueError: if the folder holds no index or a damaged one, or its store
                is gone or of another space
        """
        _faiss()
        directory = Path(directory)
        try:
            label = json.loads((directory / _LABEL).read_text("utf-8"))
            if label["format"] != _FORMAT:
                raise ValueError(f"format {label['format']}, not {_FORMAT}")
            length = (directory / _FILE).stat().st_size
            if length != label["bytes"]:
                raise ValueError(f"{_FILE} has {length} bytes, not {label['bytes']}")
            index = _map(directory / _FILE)
            ids, counts = label["ids"], label["counts"]
            where, slug = label["store"], label["slug"]
        except FileNotFoundError as error:
            raise ValueError(f"{directory} holds no patch index: {error}") from error
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ValueError(
                f"the patch index in {directory} is damaged: {error!r}. Build it again"
            ) from error
        store = FeatureStore.open(directory.resolve() / where)
        _check_slug(slug, store)
        return cls(directory, store, index, ids, counts)

    @property
    def num_bytes(self) -> int:
        """What the index takes on the disk, without the store."""
        return sum((self._directory / f).stat().st_size for f in (_FILE, _LABEL))

    def __len__(self) -> int:
        return len(self.ids)

    def verify(self) -> None:
        """Reads the whole file, in small blocks, and checks it.

        Raises:
            ValueError: if it is not what was saved
        """
        label = json.loads((self._directory / _LABEL).read_text("utf-8"))
        if digest(self._directory / _FILE) != label["sha256"]:
            raise ValueError(
                f"the patch index in {self._directory} is damaged: the checksum of "
                f"{_FILE} is wrong. Build it again"
            )

    def add(self, store: FeatureStore, ids: Sequence[str]) -> None:
        """Indexes further images of the store.

        The whole index is read and its file written anew, as FAISS' files cannot
        grow: add many images at once, not one by one.

        Args:
            store: the store that the index was built from
            ids: ``n`` images that are in it

        Raises:
            ValueError: if the store is another or of another space, or an image is
                indexed already
            KeyError: if an image is not in the store
        """
        _check_slug(self.slug, store)
        if store.directory.resolve() != self._store.directory.resolve():
            raise ValueError(
                f"the index ranks by {self._store.directory}, not by "
                f"{store.directory}: put new images there"
            )
        known = set(self.ids)
        if len(set(ids)) < len(ids) or not known.isdisjoint(ids):
            raise ValueError("an image is given twice, or is in the index already")
        if missing := [id for id in ids if id not in store]:
            raise KeyError(f"{missing[0]} is not in {store.directory}")
        self._store = store
        self._index = _faiss().read_index(str(self._directory / _FILE))
        self._extend(ids)

    def search(
        self, queries: np.ndarray, k: int | None = 25
    ) -> tuple[list[list[str]], np.ndarray, np.ndarray]:
        """Finds the images with the best patches.

        Args:
            queries: ``(q, d)`` float
            k (25): images per query, None for all

        Returns:
            ids, ``q`` lists of ``k``, best first; scores ``(q, k)`` float32, the
            exact dot products; and ``(q, k)`` int64, the row of the best patch.
            Fewer than ``k`` where the probed lists hold fewer images: ids are
            shorter then, scores are -inf and rows -1

        Raises:
            TypeError: if queries are a text
            ValueError: if queries are of another shape or not finite, or ``k`` too many
        """
        queries = _read(queries, self._store.dim)
        k = len(self) if k is None else k
        if not isinstance(k, Integral) or not 1 <= k <= len(self):
            raise ValueError(f"k={k!r}: the index holds {len(self)} images")
        ids: list[list[str]] = []
        scores = np.full((len(queries), k), -np.inf, np.float32)
        patches = np.full((len(queries), k), -1, np.int64)
        for row, query in enumerate(queries):
            found = self._rank(query, self._candidates(query, k), k)
            ids.append([id for _, _, id in found])
            scores[row, : len(found)] = [score for score, _, _ in found]
            patches[row, : len(found)] = [patch for _, patch, _ in found]
        return ids, scores, patches

    def _candidates(self, query: np.ndarray, k: int) -> list[str]:
        """The images of the best patches; more patches until ``k`` images are found.

        Codes propose patches, of which the first are put in their exact order: that
        takes a row of each, not all of an image.
        """
        total = self._index.ntotal
        depth = max(_EXACT, k * _MORE * _DEPTH)
        while True:
            depth = min(depth, total)
            _, rows = self._index.search(query[None], depth)
            rows = self._sorted(query, rows[0][rows[0] >= 0])
            images = np.searchsorted(self._ends, rows, side="right")
            images = list(dict.fromkeys(images.tolist()))
            if len(images) >= k or len(rows) < depth or depth == total:
                return [self.ids[i] for i in images[: k * _MORE]]
            depth *= 4

    def _sorted(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Patches with the first of them in their exact order."""
        first, rest = rows[:_EXACT], rows[_EXACT:]
        images = np.searchsorted(self._ends, first, side="right")
        starts = np.r_[0, self._ends][images]
        ids = [self.ids[image] for image in images.tolist()]
        patches = self._store.patches(ids, (first - starts).tolist())
        order = (patches @ from_numpy(query)).argsort(descending=True, stable=True)
        return np.concatenate([first[order.numpy()], rest])

    def _rank(
        self, query: np.ndarray, ids: Sequence[str], k: int
    ) -> list[tuple[float, int, str]]:
        """Exact score, best patch and id of the ``k`` best images, best first."""
        text = from_numpy(query)
        scores = [self._store.features(id) @ text for id in ids]
        best = [score.amax().item() for score in scores]
        order = sorted(range(len(ids)), key=best.__getitem__, reverse=True)
        return [(best[i], scores[i].argmax().item(), ids[i]) for i in order[:k]]

    def _extend(self, ids: Sequence[str]) -> None:
        """Indexes images in small chunks; saves the index, and maps what was saved."""
        for chunk, features in chunks(self._store, ids):
            self._index.add(np.concatenate(features))
            self.ids.extend(chunk)
            self._counts.extend(map(len, features))
        self._ends = np.cumsum(self._counts)
        self._save()
        self._index = _map(self._directory / _FILE)

    def _save(self) -> None:
        path, label = self._directory / _FILE, self._directory / _LABEL
        with whole_file(label) as new_label, whole_file(path) as new:
            self._write(new)
            content = {
                "format": _FORMAT,
                "slug": self.slug,
                "store": relative_path(self._store.directory, self._directory),
                "bytes": new.stat().st_size,
                "sha256": digest(new),
                "ids": self.ids,
                "counts": self._counts,
            }
            new_label.write_text(json.dumps(content), "utf-8")

    def _write(self, path: Path) -> None:
        try:
            _faiss().write_index(self._index, str(path))
        except RuntimeError as error:
            where = f"the patch index cannot be written to {self._directory}"
            raise RuntimeError(f"{where}; is the disk full? {error}") from error


def _read(queries: np.ndarray, dim: int) -> np.ndarray:
    if isinstance(queries, str):
        raise TypeError(f"queries={queries!r:.80}: give vectors of encode_texts()")
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise ValueError(f"queries are {queries.shape}: give (q, {dim})")
    if np.isfinite(queries).all():
        return queries
    raise ValueError("the queries hold NaN or infinite values")


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "full patch search needs faiss: pip install 'faiss-cpu>=1.15'"
        ) from error
    return faiss


def _map(path: Path) -> Any:
    """An index that stays on the disk, but for what is read of it."""
    faiss = _faiss()
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _check_slug(slug: str, store: FeatureStore) -> None:
    if store.slug != slug:
        raise ValueError(f"the index is of {slug}, {store.directory} of {store.slug}")
