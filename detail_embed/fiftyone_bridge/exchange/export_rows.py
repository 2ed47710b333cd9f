"""The vectors of an index, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.index import provenance
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import patch_detections
from detail_embed.fiftyone_bridge.samples.collection import flat_images, with_fields
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.fusers.few_vectors import MAX_VECTORS
from detail_embed.images.file_source import FileSource

GROUP = 10_000
_Read = Callable[[foc.SampleCollection], tuple[Any, list[str], list[str] | None]]


@dataclass(frozen=True, eq=False)
class Rows:
    """Some vectors, one a row.

    Attributes:
        ids: ``n`` ids of samples
        paths: ``n`` paths of their files
        vectors: ``(n, d)`` float32
        labels: ``n`` ids of labels; None where the vectors are of whole images
        boxes: ``n`` boxes, left, top, width and height as shares of the image, None
            where a label has none
        levels: ``n`` levels of the cover, likewise
        sources: what the ``n`` files were, None where that is not known
    """

    ids: list[str]
    paths: list[str]
    vectors: np.ndarray
    labels: list[str] | None
    boxes: list[list[float] | None] | None
    levels: list[int | None] | None
    sources: list[FileSource | None]


def batches(
    index: Index, samples: foc.SampleCollection
) -> Iterator[tuple[Rows, float]]:
    """Reads the vectors of an index, in the order of the samples.

    Yields:
        at most 10,000 rows where the vectors are in a field of ours, else those of at
        most 10,000 images; and the fraction of the images that have been read

    Raises:
        ValueError: if the vectors differ in length, or the index holds none
    """
    labels = index.config.patches_field
    read, field = _reader(index)
    held = with_fields(samples, field).exists(field) if field else samples
    ids = held.values("id")
    step = GROUP // MAX_VECTORS if labels else GROUP
    for start in range(0, len(ids), step):
        part = ids[start : start + step]
        view = flat_images(index.home).select(part)
        vectors, owners, label_ids = read(view)
        if len(owners):
            known = provenance.sources(index, part)
            rows = _rows(view, part, vectors, owners, label_ids, labels, known)
            yield rows, min(1.0, (start + step) / len(ids))


def _reader(index: Index) -> tuple[_Read, str | None]:
    """What reads vectors, ids of samples and of labels; and their field, if any."""
    config = index.config
    if config.embeddings_field and not config.patches_field:
        return _ReadImages(config.embeddings_field), config.embeddings_field
    if index.find()[0] is not None:
        field = config.patches_field
        return _ReadLabels(field, config.embeddings_field), field
    return _ReadIndex(index_vectors.open_index(index)), None


@dataclass(frozen=True)
class _ReadImages:
    field: str

    def __call__(
        self, view: foc.SampleCollection
    ) -> tuple[list[Any], list[str], None]:
        ids, vectors = view.values(["id", self.field])
        return vectors, ids, None


@dataclass(frozen=True)
class _ReadLabels:
    field: str
    attribute: str

    def __call__(
        self, view: foc.SampleCollection
    ) -> tuple[np.ndarray, list[str], list[str]]:
        return patch_detections.read(view, self.field, self.attribute)


@dataclass(frozen=True)
class _ReadIndex:
    index: Any

    def __call__(
        self, view: foc.SampleCollection
    ) -> tuple[np.ndarray, list[str], list[str] | None]:
        vectors, ids, labels = self.index.get_embeddings(sample_ids=view.values("id"))
        return vectors, list(ids), None if labels is None else list(labels)


def _rows(
    view: foc.SampleCollection,
    order: list[str],
    vectors: Any,
    ids: list[str],
    labels: list[str] | None,
    field: str | None,
    sources: Mapping[str, FileSource],
) -> Rows:
    place = {id: i for i, id in enumerate(order)}
    rows = sorted(range(len(ids)), key=lambda row: place[ids[row]])
    path = dict(zip(*view.values(["id", "filepath"])))
    ids = [ids[row] for row in rows]
    boxes = levels = None
    if labels is not None:
        labels = [labels[row] for row in rows]
        places = _places(view, field)
        boxes, levels = map(list, zip(*(places[label] for label in labels)))
    return Rows(
        ids=ids,
        paths=[path[id] for id in ids],
        vectors=_matrix([vectors[row] for row in rows]),
        labels=labels,
        boxes=boxes,
        levels=levels,
        sources=[sources.get(id) for id in ids],
    )


def _matrix(vectors: list[Any]) -> np.ndarray:
    try:
        return np.stack(vectors).astype(np.float32, copy=False)
    except ValueError as error:
        raise ValueError(
            "the vectors of the index differ in length: compute it again"
        ) from error


def _places(view: foc.SampleCollection, field: str) -> dict[str, tuple[Any, Any]]:
    """Box and level of the labels of a field, None where they have none, by id."""
    root = label_path(view, field)
    names = ("bounding_box", patch_detections.LEVEL)
    columns = [_values(view, f"{root}.{name}") for name in names]
    found = {}
    for ids, *places in zip(view.values(f"{root}.id"), *columns):
        if isinstance(ids, list):
            found.update(zip(ids, zip(*(some or [None] * len(ids) for some in places))))
        else:  # a field of one label per image
            found[ids] = tuple(places)
    return found


def _values(view: foc.SampleCollection, path: str) -> list[Any]:
    return view.values(path) if view.has_field(path) else [None] * len(view)
