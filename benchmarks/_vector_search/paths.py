"""Ways from a query vector to a view of the best images: ours and FiftyOne's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np
from fiftyone import ViewField as F

from benchmarks._vector_search.data import FIELD, KEY
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.search import search


class SearchPath(ABC):
    """A way to search the vectors of a dataset.

    Args:
        dataset: with the vectors in ``FIELD``
        rows: ``(n, d)`` float32, the same vectors
        folder: for what the path stores
    """

    name: str
    needs: str | None = None  # a package
    most: int | None = None  # vectors; more would take too long

    def __init__(self, dataset: fo.Dataset, rows: np.ndarray, folder: Path):
        self.dataset, self.rows, self.folder = dataset, rows, folder

    @abstractmethod
    def build(self) -> None:
        """Indexes the vectors."""

    @abstractmethod
    def search(self, query: np.ndarray, k: int) -> fov.DatasetView:
        """The view of the ``k`` best images, best first."""

    @property
    def samples(self) -> foc.SampleCollection:
        """What is searched in."""
        return self.dataset

    @property
    def num_bytes(self) -> int:
        """What lies on the disk."""
        files = (file for file in self.folder.rglob("*") if file.is_file())
        return sum(file.stat().st_size for file in files)

    def close(self) -> None:
        """Gives back memory."""
        self.dataset.clear_cache()


class Ours(SearchPath):
    """The code of the Detail Search panel."""

    name = "detail-embed"

    def build(self) -> None:
        """Makes the index on the field, as a run of ours does."""
        make_run(self.dataset, KEY, None)

    def search(self, query: np.ndarray, k: int) -> fov.DatasetView:
        """Scores all images and selects the best."""
        samples = self.samples
        return search(Index.of(samples, KEY), samples, query, k=k).view

    @property
    def num_bytes(self) -> int:
        """What the field takes in MongoDB, before its compression."""
        mean = {"$avg": {"$binarySize": f"${FIELD}"}}
        stored = self.dataset._sample_collection.aggregate(
            [{"$group": {"_id": None, "size": mean}}]
        )
        return round(next(stored)["size"] * len(self.rows))


class OursInView(Ours):
    """The same in a view of half the images."""

    name = "detail-embed, in a view of half the images"

    def build(self) -> None:
        """Makes the index where it is not there, and chooses the images."""
        super().build()
        self._view = self.dataset.match(F("filepath").re_match(r"[02468]\.jpg$"))

    @property
    def samples(self) -> fov.DatasetView:
        """Every other image."""
        return self._view


class Brain(SearchPath):
    """FiftyOne's own search, by one of its backends."""

    backend: str

    def __init__(self, dataset: fo.Dataset, rows: np.ndarray, folder: Path):
        super().__init__(dataset, rows, folder)
        self._before = super().num_bytes

    @property
    def num_bytes(self) -> int:
        """What lies on the disk, without the tables of other datasets."""
        return super().num_bytes - self._before

    def build(self) -> None:
        """Fills the backend, in chunks of 10,000 vectors."""
        make_run(self.dataset, self.backend, self.backend)

    def search(self, query: np.ndarray, k: int) -> fov.DatasetView:
        """What the magnifying glass of the App does."""
        return self.dataset.sort_by_similarity(query, k=k, brain_key=self.backend)


class Sklearn(Brain):
    """FiftyOne's default: the field, in memory."""

    name, backend = "FiftyOne, sklearn", "sklearn"
    num_bytes = Ours.num_bytes


class SklearnAfterAnImage(Sklearn):
    """The same after a search by an image has shifted the vectors in memory."""

    name = "FiftyOne, sklearn, after a search by an image"

    def build(self) -> None:
        """Searches by an image."""
        super().build()
        image = self.dataset.first().id
        self.dataset.sort_by_similarity(image, k=1, brain_key=self.backend)


class BrainLance(Brain):
    """A table of LanceDB, written anew for every chunk, never indexed."""

    name, backend, needs = "FiftyOne, lancedb", "lancedb", "lancedb"


class BrainMilvus(Brain):
    """A file of milvus-lite with FiftyOne's parameters."""

    name, backend, needs = "FiftyOne, milvus-lite", "milvus", "milvus_lite"


def make_run(dataset: fo.Dataset, key: str, backend: str | None) -> None:
    """Makes a brain run on the field, with no model: queries are vectors."""
    brain_runs.build(Index(dataset, key), FIELD, None, backend)
