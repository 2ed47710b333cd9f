"""What an engine is, and those that come with FAISS."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np
import torch

from detail_embed.features import FeatureStore
from detail_embed.patch_search import PatchIndex

Search = Callable[[np.ndarray, int], list[int]]
CHUNK = 64  # images in memory at once
MORE = 4  # candidate images per image that is asked for, where they are ranked again
DEPTH = 4  # candidate patches per candidate image


class Engine(ABC):
    """An index of the patches of a store.

    Args:
        store: the features, one row a patch, images in the order of ``store.ids``
        folder: where the index goes
    """

    names: tuple[str, ...] = ()

    def __init__(self, store: FeatureStore, folder: Path):
        self.store, self.folder, self.ids = store, folder, store.ids
        self.ends = np.cumsum([len(store.features(id)) for id in self.ids])
        self.lists = max(1, min(int(math.sqrt(20 * len(self.ids))), 1250))
        self.probes = min(self.lists, math.ceil(2.5 * math.sqrt(self.lists)))

    @abstractmethod
    def build(self) -> None:
        """Builds the index, in :attr:`folder`, on one thread."""

    @abstractmethod
    def searches(self) -> dict[str, Search]:
        """By name, what finds the ``k`` best images, best first."""

    @property
    def num_bytes(self) -> int:
        """What the index takes on the disk."""
        return sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file())

    def chunks(self) -> Iterator[np.ndarray]:
        """The patches of all images, ``(m, d)`` float32 at a time."""
        for start in range(0, len(self.ids), CHUNK):
            part = self.ids[start : start + CHUNK]
            yield np.concatenate([self.store.features(id).numpy() for id in part])

    def images(self, rows: np.ndarray) -> list[int]:
        """The images of patches, best first, without repeats."""
        found = np.searchsorted(self.ends, rows[rows >= 0], side="right")
        return list(dict.fromkeys(found.tolist()))

    def deepen(self, patches: Callable[[int], np.ndarray], k: int) -> list[int]:
        """Asks for more patches until ``k`` images are found or no more come."""
        depth, total = MORE * DEPTH * k, int(self.ends[-1])
        while True:
            depth = min(depth, total)
            rows = patches(depth)
            rows = rows[rows >= 0]
            images = self.images(rows)
            if len(images) >= k or len(rows) < depth or depth == total:
                return images
            depth *= 4

    def rerank(self, query: np.ndarray, images: list[int], k: int) -> list[int]:
        """The first images, ranked again by their exact features."""
        text, first = torch.from_numpy(query), images[: MORE * k]
        scores = [
            (self.store.features(self.ids[i]) @ text).max().item() for i in first
        ]
        return [first[i] for i in np.argsort(scores)[::-1][:k]]


class BruteForce(Engine):
    """All patches of the memory-mapped store, image by image."""

    names = ("brute force, float16",)

    def build(self) -> None:
        """Nothing is built."""

    @property
    def num_bytes(self) -> int:
        """What the store takes."""
        return self.store.num_bytes

    def searches(self) -> dict[str, Search]:
        """The exact one."""

        def search(query: np.ndarray, k: int) -> list[int]:
            text = torch.from_numpy(query)
            scores = [(self.store.features(id) @ text).max().item() for id in self.ids]
            return np.argsort(scores)[::-1][:k].tolist()

        return {self.names[0]: search}


class Ours(Engine):
    """What the plugin has; its file again without the ranking by exact features."""

    names = ("PatchIndex: RaBitQ 2 bits + re-rank", "IVF RaBitQ 2 bits")

    def build(self) -> None:
        """Builds it as the plugin does."""
        self._index = PatchIndex.build(self.store, self.folder)

    def searches(self) -> dict[str, Search]:
        """With and without the ranking by exact features."""
        numbers = {id: i for i, id in enumerate(self.ids)}
        bare = faiss.read_index(str(self.folder / "patches.faiss"))

        def search(query: np.ndarray, k: int) -> list[int]:
            return [numbers[id] for id in self._index.search(query[None], k)[0][0]]

        return {self.names[0]: search, self.names[1]: _bare(self, bare)}


class Faiss(Engine):
    """Another index of FAISS, with as many lists and probes as ours."""

    title: str

    def __init_subclass__(cls) -> None:
        cls.names = (f"{cls.title} + re-rank", cls.title)

    def make(self, coarse: faiss.Index) -> faiss.IndexIVF:
        """An index that is not trained yet."""
        raise NotImplementedError

    def build(self) -> None:
        """Trains on as many patches as ours, drawn likewise, and adds all."""
        coarse = faiss.IndexFlat(self.store.dim, faiss.METRIC_INNER_PRODUCT)
        self._index = self.make(coarse)
        self._index.train(sample(self.store))
        for chunk in self.chunks():
            self._index.add(chunk)
        self._index.nprobe = self.probes
        faiss.write_index(self._index, str(self.folder / "index.faiss"))
        names = {"ids": self.ids, "ends": self.ends.tolist()}
        (self.folder / "index.json").write_text(json.dumps(names), "utf-8")

    def searches(self) -> dict[str, Search]:
        """With and without the ranking by exact features."""
        bare = _bare(self, self._index)

        def search(query: np.ndarray, k: int) -> list[int]:
            return self.rerank(query, bare(query, k), k)

        return {self.names[0]: search, self.names[1]: bare}


class RaBitQ1(Faiss):
    """One bit a dimension."""

    title = "IVF RaBitQ 1 bit"

    def make(self, coarse: faiss.Index) -> faiss.IndexIVF:
        """See :class:`Faiss`."""
        metric = faiss.METRIC_INNER_PRODUCT
        return faiss.IndexIVFRaBitQ(coarse, self.store.dim, self.lists, metric, True, 1)


class ProductQuantizer(Faiss):
    """64 bytes a patch; the next that divides 256 dimensions is 128."""

    title = "IVF-PQ 64 x 8 bits"

    def make(self, coarse: faiss.Index) -> faiss.IndexIVF:
        """See :class:`Faiss`."""
        metric = faiss.METRIC_INNER_PRODUCT
        return faiss.IndexIVFPQ(coarse, self.store.dim, self.lists, 64, 8, metric)


class FastScan(Faiss):
    """The same bytes in four-bit steps, whose tables fit into registers."""

    title = "IVF-PQ FastScan 128 x 4 bits"

    def make(self, coarse: faiss.Index) -> faiss.IndexIVF:
        """See :class:`Faiss`."""
        metric = faiss.METRIC_INNER_PRODUCT
        return faiss.IndexIVFPQFastScan(
            coarse, self.store.dim, self.lists, 128, 4, metric
        )


def sample(store: FeatureStore, count: int = 50_000) -> np.ndarray:
    """Patches of images drawn at random, as many as :class:`PatchIndex` trains on."""
    ids, found, size = store.ids, [], 0
    for i in np.random.default_rng(0).permutation(len(ids)):
        found.append(store.features(ids[i]).numpy())
        size += len(found[-1])
        if size >= count:
            break
    return np.concatenate(found)


def _bare(engine: Engine, index: faiss.Index) -> Search:
    def search(query: np.ndarray, k: int) -> list[int]:
        return engine.deepen(lambda depth: index.search(query[None], depth)[1][0], k)

    return search
