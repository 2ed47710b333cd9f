"""Full patch search: every patch in a vector index, an image as good as its best."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .features import FeatureStore

_FILE, _LABEL, _FORMAT = "patches.faiss", "patches.json", 1
_BITS = 2  # per dimension
_CHUNK = 64  # images in memory at once
_SAMPLE = 50_000  # patches that the index is trained on
_MORE = 4  # candidate images per image that is asked for


class PatchIndex:
    """All patches of a store in FAISS' IVF RaBitQ, two bits a dimension.

    At d = 256 a patch takes 92 bytes. Candidates are ranked again by the exact
    features, which stay in the store. Make one by :meth:`build` or :meth:`open`.
    """

    def __init__(
        self, directory: Path, store: FeatureStore, index: Any, ids: list[str],
        counts: list[int],
    ):
        self._directory, self._store, self._index = directory, store, index
        self.slug, self.ids, self._counts = store.slug, ids, counts

    @classmethod
    def build(cls, store: FeatureStore, directory: str | Path) -> PatchIndex:
        """Indexes all images of a store, reading it twice in small chunks.

        Args:
            store: the patch features; search ranks by them
            directory: created where missing; an index in it is replaced

        Raises:
            ImportError: if faiss is not installed
            ValueError: if the store is empty
        """
        faiss = _faiss()
        if not len(store):
            raise ValueError(f"{store.directory} holds no images: nothing to index")
        sample = _sample(store)
        lists = max(1, min(int(math.sqrt(len(store) * 20)), len(sample) // 40))
        metric = faiss.METRIC_INNER_PRODUCT
        coarse = faiss.IndexFlat(store.dim, metric)
        index = faiss.IndexIVFRaBitQ(coarse, store.dim, lists, metric, True, _BITS)
        index.train(sample)
        index.nprobe = max(1, math.ceil(lists / 4))
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        made = cls(directory, store, index, [], [])
        made.add(store, store.ids)
        return made

    @classmethod
    def open(cls, directory: str | Path) -> PatchIndex:
        """Opens an index, and the store that it was built from.

        Raises:
            ImportError: if faiss is not installed
            ValueError: if the folder holds no index or a damaged one, or its store
                is gone or of another space
        """
        faiss = _faiss()
        directory = Path(directory)
        try:
            label = json.loads((directory / _LABEL).read_text("utf-8"))
            data = (directory / _FILE).read_bytes()
            if label["format"] != _FORMAT:
                raise ValueError(f"format {label['format']}, not {_FORMAT}")
            if hashlib.sha256(data).hexdigest() != label["sha256"]:
                raise ValueError(f"the checksum of {_FILE} is wrong")
            ids, counts = label["ids"], label["counts"]
            where, slug = label["store"], label["slug"]
        except FileNotFoundError as error:
            raise ValueError(f"{directory} holds no patch index: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"the patch index in {directory} is damaged: {error!r}. Build it again"
            ) from error
        index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        store = FeatureStore.open(where)
        _check_slug(slug, store)
        return cls(directory, store, index, ids, counts)

    @property
    def num_bytes(self) -> int:
        """What the index takes on the disk, without the store."""
        return sum((self._directory / f).stat().st_size for f in (_FILE, _LABEL))

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, store: FeatureStore, ids: Sequence[str]) -> None:
        """Indexes further images of the store and saves the index.

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
        for chunk, features in _chunks(store, ids):
            self._index.add(np.concatenate(features))
            self.ids.extend(chunk)
            self._counts.extend(map(len, features))
        self._save()

    def search(
        self, queries: np.ndarray, k: int = 25
    ) -> tuple[list[list[str]], np.ndarray, np.ndarray]:
        """Finds the images with the best patches.

        Args:
            queries: ``(q, d)`` float
            k (25): images per query

        Returns:
            ids, ``q`` lists of ``k``, best first; scores ``(q, k)`` float32, the
            exact dot products; and ``(q, k)`` int64, the row of the best patch.
            Fewer than ``k`` where the probed lists hold fewer images: ids are
            shorter then, scores are -inf and rows -1

        Raises:
            ValueError: if queries have another shape or are not finite, or ``k`` is
                not from 1 to the number of images
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self._store.dim:
            wanted = f"(q, {self._store.dim})"
            raise ValueError(f"queries are {queries.shape}: give {wanted}")
        if not np.isfinite(queries).all():
            raise ValueError("the queries hold NaN or infinite values")
        if not 1 <= k <= len(self):
            raise ValueError(f"k={k}: the index holds {len(self)} images")
        ids: list[list[str]] = []
        scores = np.full((len(queries), k), -np.inf, np.float32)
        patches = np.full((len(queries), k), -1, np.int64)
        for row, query in enumerate(queries):
            found = self._rank(query, self._candidates(query, k * _MORE))[:k]
            ids.append([id for _, _, id in found])
            scores[row, : len(found)] = [score for score, _, _ in found]
            patches[row, : len(found)] = [patch for _, patch, _ in found]
        return ids, scores, patches

    def _candidates(self, query: np.ndarray, wanted: int) -> list[str]:
        """The images of the best patches; more patches until they are enough."""
        ends = np.cumsum(self._counts)
        depth = min(wanted * 4, self._index.ntotal)
        while True:
            _, rows = self._index.search(query[None], depth)
            rows = rows[0][rows[0] >= 0]
            images = np.searchsorted(ends, rows, side="right")
            images = list(dict.fromkeys(images.tolist()))
            if len(images) >= wanted or len(rows) < depth or depth == ends[-1]:
                return [self.ids[i] for i in images[:wanted]]
            depth = min(depth * 4, self._index.ntotal)

    def _rank(
        self, query: np.ndarray, ids: Sequence[str]
    ) -> list[tuple[float, int, str]]:
        """Exact score, best patch and id of images, best first."""
        text, found = torch.from_numpy(query), []
        for id in ids:
            score, patch = (self._store[id].features @ text).max(0)
            found.append((score.item(), patch.item(), id))
        return sorted(found, key=lambda item: -item[0])

    def _save(self) -> None:
        data = _faiss().serialize_index(self._index).tobytes()
        label = {
            "format": _FORMAT,
            "slug": self.slug,
            "store": str(self._store.directory.resolve()),
            "sha256": hashlib.sha256(data).hexdigest(),
            "ids": self.ids,
            "counts": self._counts,
        }
        for name, content in ((_FILE, data), (_LABEL, json.dumps(label).encode())):
            partial = self._directory / f"{name}.part"
            partial.write_bytes(content)
            partial.replace(self._directory / name)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "full patch search needs faiss: pip install 'faiss-cpu>=1.15'"
        ) from error
    return faiss


def _check_slug(slug: str, store: FeatureStore) -> None:
    if store.slug != slug:
        raise ValueError(f"the index is of {slug}, {store.directory} of {store.slug}")


def _chunks(
    store: FeatureStore, ids: Sequence[str]
) -> Iterator[tuple[Sequence[str], list[np.ndarray]]]:
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        yield chunk, [store[id].features.numpy() for id in chunk]


def _sample(store: FeatureStore) -> np.ndarray:
    """Some patches of images drawn from the whole store."""
    rng, ids = np.random.default_rng(0), store.ids
    images, count = [], 0
    for i in rng.permutation(len(ids)):
        images.append(store[ids[i]].features.numpy())
        count += len(images[-1])
        if count >= _SAMPLE:
            break
    return np.concatenate(images)
