"""The vectors of an index as a classifier takes them: of images, patches or boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import fiftyone.core.collections as foc
import numpy as np
from torch import Tensor

from detail_embed.classifiers import Bags, VectorBags
from detail_embed.features import FeatureStore
from detail_embed.features.packing import StoredImage
from detail_embed.features.padding import pad
from detail_embed.fiftyone_bridge.classifiers.targets import BOX, Item
from detail_embed.fiftyone_bridge.index import (
    boxes,
    brain_runs,
    feature_stores,
    learned_words,
)
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.image_vectors import read_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

_INSIDE = 0.5  # share of a window that lies in a box of which it is a part


@dataclass(frozen=True, eq=False)
class Seen:
    """What of some images or boxes is in an index.

    Attributes:
        bags: the vectors of ``m`` of them
        rows: ``(m,)`` int64, their places among those that were asked for, rising
    """

    bags: Bags
    rows: np.ndarray


def images_of(
    index: Index, samples: foc.SampleCollection | None
) -> foc.SampleCollection:
    """The images that samples mean, by default all of the dataset.

    Raises:
        ValueError: if they are of another dataset, or frames of videos
    """
    samples = index.dataset if samples is None else samples
    if (other := dataset_of(samples).name) != index.dataset.name:
        raise ValueError(
            f"the samples are of the dataset {other!r}, but the index {index.key!r} is "
            f"of {index.dataset.name!r}: give a view of that"
        )
    if index.is_of_frames:
        raise ValueError(
            f"the index {index.key!r} is of frames of videos, and a classifier is of "
            "images: choose an index of images, or make a dataset of the frames, such "
            "as dataset.to_frames(sample_frames=True).clone(), and compute an index of "
            "it with another name"
        )
    return index.images_of(samples)


def space_for(index: Index, unit: str, field: str, patches: bool) -> str:
    """The space of the vectors that :func:`see` would give; names it for good.

    Raises:
        ValueError: if the index cannot have what is needed, with what to do
    """
    brain_runs.check_similarity(index)
    of_boxes = _index_of_boxes(index, field)
    if unit == BOX and not patches and of_boxes is not None:
        return _model_of(of_boxes)
    index = _index_of_images(index)
    if patches or unit == BOX:
        return f"patches {feature_stores.open_store(index).slug}"
    single = index.single
    return _model_of(single if index.owns_single and single.has_brain_run else index)


def see(
    index: Index,
    samples: foc.SampleCollection,
    items: Sequence[Item],
    unit: str,
    field: str,
    patches: bool,
) -> Seen:
    """Finds the vectors of images or boxes in an index.

    Of a box it is that of the index of the label field's boxes where there is one,
    else that of the patch that is nearest to the box.

    Args:
        index: a similarity index
        samples: a dataset or view of images
        items: of these
        unit: what they are
        field: that the boxes are of
        patches: whether all patches of an image, or all in a box, are wanted

    Raises:
        ValueError: if none has vectors
    """
    of_boxes = _index_of_boxes(index, field)
    if unit == BOX and not patches and of_boxes is not None:
        seen = _box_vectors(of_boxes, items)
    elif patches or unit == BOX:
        seen = _patches(_index_of_images(index), samples, items, unit, patches)
    else:
        seen = _image_vectors(_index_of_images(index), samples, items)
    if not len(seen.rows):
        raise ValueError(
            f"none of the {len(items)} {unit}{'es' if unit == BOX else 's'} has what "
            f"is needed in the index {index.key!r}: update the index for these images"
        )
    return seen


def _model_of(index: Index) -> str:
    config = index.config
    model = getattr(config, "model", None) or f"{config.method} {index.key}"
    return learned_words.without(index, model)


def _image_vectors(
    index: Index, samples: foc.SampleCollection, items: Sequence[Item]
) -> Seen:
    images, matrix, _ = read_vectors(index, samples, fewest=1)
    places = {id: place for place, id in enumerate(images.values("id"))}
    rows = [row for row, item in enumerate(items) if item.sample_id in places]
    found = matrix[[places[items[row].sample_id] for row in rows]]
    return Seen(VectorBags(found), np.array(rows, np.int64))


def _index_of_boxes(index: Index, field: str) -> Index | None:
    """The index itself or the one beside it that holds the boxes of a field."""
    for one in (index, index.boxes):
        if boxes.field_of(one) == field:
            return one
    return None


def _index_of_images(index: Index) -> Index:
    """The index itself, or the one that an index of boxes is beside.

    Raises:
        ValueError: if it is an index of boxes alone
    """
    if boxes.field_of(index) is None:
        return index
    if index.base.key == index.key or not index.base.has_brain_run:
        raise ValueError(
            f"the index {index.key!r} holds boxes of {boxes.field_of(index)!r}, and "
            "images, or other boxes, are to be classified: choose an index of images"
        )
    return index.base


def _box_vectors(index: Index, items: Sequence[Item]) -> Seen:
    vectors = index_vectors.load(index)
    places = {id: place for place, id in enumerate(vectors.labels)}
    rows = [row for row, item in enumerate(items) if item.label_id in places]
    matrix = vectors.matrix[[places[items[row].label_id] for row in rows]]
    return Seen(VectorBags(matrix), np.array(rows, np.int64))


def _patches(
    index: Index, samples: foc.SampleCollection, items: Sequence[Item], unit: str,
    all_of_them: bool,
) -> Seen:
    store = feature_stores.open_store(index)
    store.hide(store.changed(zip(*samples.values(["id", "filepath"])), trust=True))
    rows = [row for row, item in enumerate(items) if item.sample_id in store]
    kept = [items[row] for row in rows]
    if unit == BOX:
        bags = BoxPatches(store, kept, all_of_them)
    else:
        bags = StoredPatches(store, [item.sample_id for item in kept])
    return Seen(bags, np.array(rows, np.int64))


class StoredPatches:
    """All patches of images, read from a store.

    Args:
        store: of their features
        ids: of images that it holds
    """

    def __init__(self, store: FeatureStore, ids: Sequence[str]):
        self._store, self._ids, self.dim = store, list(ids), store.dim

    def __len__(self) -> int:
        return len(self._ids)

    def batch(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Reads some of them; see :class:`detail_embed.classifiers.Bags`."""
        return self._store.batch([self._ids[number] for number in numbers])

    def boxes(self, number: int, rows: Sequence[int]) -> list[list[float]]:
        """Where patches of an image are, as shares of it."""
        return _shares(self._store[self._ids[number]])[rows].tolist()


class BoxPatches:
    """The patches that lie in boxes, read from a store; at least the nearest one.

    Args:
        store: of the features of their images
        items: the boxes
        all_of_them: whether all that lie in the box, or the nearest one alone
    """

    def __init__(self, store: FeatureStore, items: Sequence[Item], all_of_them: bool):
        self._items, self.dim, self._all = list(items), store.dim, all_of_them
        self._read = lru_cache(4)(store.__getitem__)  # boxes of an image come together

    def __len__(self) -> int:
        return len(self._items)

    def batch(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Reads some of them; see :class:`detail_embed.classifiers.Bags`."""
        found = [self._features(self._items[number]) for number in numbers]
        return pad(found, self.dim)

    def _features(self, item: Item) -> Tensor:
        image = self._read(item.sample_id)
        overlap, union, area = _overlaps(_shares(image), item.box)
        nearest = int((overlap / union).argmax())
        rows = [nearest]
        if self._all:
            inside = np.flatnonzero(overlap >= _INSIDE * area).tolist()
            rows += [row for row in inside if row != nearest]
        return image.features[rows]


def _shares(image: StoredImage) -> np.ndarray:
    """The windows of an image as left, top, width, height in shares of it."""
    boxes = np.asarray(image.boxes, np.float64)
    size = boxes[0, 2:] - boxes[0, :2]  # row 0 is the whole image
    corners = boxes.reshape(-1, 2, 2) / size
    return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)


def _overlaps(
    windows: np.ndarray, box: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Areas of windows with a box: of the overlap, of both, and of the window."""
    start, size = np.array(box[:2]), np.array(box[2:])
    low = np.maximum(windows[:, :2], start)
    high = np.minimum(windows[:, :2] + windows[:, 2:], start + size)
    overlap = np.clip(high - low, 0, None).prod(axis=1)
    area = windows[:, 2:].prod(axis=1)
    return overlap, area + size.prod() - overlap, area
