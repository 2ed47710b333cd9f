"""What was judged as patches: from the feature store, the index, or the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torchvision.ops import box_iou

from detail_embed.concepts import Background, Example
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import relative
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.concepts.concept import Mark
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fiftyone_bridge.search import examples, query_vectors
from detail_embed.fiftyone_bridge.search.methods import own_store
from detail_embed.images.huge_image import see_whole
from detail_embed.images.image_file import UnreadableImage
from detail_embed.images.in_time import one

_IMAGES, _PATCHES = 256, 16  # of the sample that says what is common
_of_stores: dict[str, tuple[tuple[int, int], Background]] = {}
_of_vectors: WeakKeyDictionary[IndexVectors, Background] = WeakKeyDictionary()


class Patches:
    """The patches of the images of an index, as they are at hand.

    Of an image whose features are stored, all; of another, the vectors that the index
    has of it; of one that it lacks, those of its file, encoded now. Of a box it is the
    stored patch that overlaps it best, else the box itself, encoded now.

    Args:
        index: a similarity index

    Raises:
        ValueError: if there is no such index, or it holds nothing
    """

    def __init__(self, index: Index):
        self._index = index
        self._store = own_store(index)
        self._vectors = index_vectors.load(index)
        self._places = {id: place for place, id in enumerate(self._vectors.ids)}

    def examples(
        self, marks: Sequence[Mark]
    ) -> tuple[dict[Mark, Example], dict[str, str]]:
        """The patches of what was judged.

        Args:
            marks: images and boxes of the dataset

        Returns:
            what was found, and the ids of images that cannot be read, with the reason
        """
        paths = self._paths([mark for mark in marks if not self._is_stored(mark)])
        found, left_out = {}, {}
        for mark in marks:
            try:
                found[mark] = self._example(mark, paths)
            except UnreadableImage as error:
                left_out[mark.sample_id] = f"cannot be read: it {error.reason}"
        return found, left_out

    def background(self) -> Background:
        """What patches of the dataset look like; read once."""
        store, vectors = self._store, self._vectors
        if not store:
            if vectors not in _of_vectors:
                sample = _spread(vectors.matrix, _IMAGES * _PATCHES)
                _of_vectors[vectors] = Background.fit(sample)
            return _of_vectors[vectors]
        folder = str(store.directory)
        stamp = store.directory.stat().st_mtime_ns, len(store)
        if folder not in _of_stores or _of_stores[folder][0] != stamp:
            _of_stores[folder] = stamp, Background.fit(_sample(store))
        return _of_stores[folder][1]

    def _is_stored(self, mark: Mark) -> bool:
        return self._store is not None and mark.sample_id in self._store

    def _paths(self, marks: Sequence[Mark]) -> Mapping[str, str]:
        ids = [mark.sample_id for mark in marks]
        if not ids:
            return {}
        images = flat_images(self._index.home).select(ids)
        return dict(zip(*images.values(["id", "filepath"])))

    def _example(self, mark: Mark, paths: Mapping[str, str]) -> Example:
        if self._is_stored(mark):
            image = self._store[mark.sample_id]
            return _of_patches(image.features.numpy(), image.boxes, mark.box)
        path, place = paths[mark.sample_id], self._places.get(mark.sample_id)
        if mark.box is not None:
            crop = examples.crop(examples.Box(path, mark.box))
            (own,) = examples.of_images(self._index, [crop])
            rows = own[None] if place is None else self._rows(place)
            return Example(np.concatenate([rows, own[None]]), len(rows))
        if place is not None:
            return Example(self._rows(place))
        return self._encoded(mark, path)

    def _rows(self, place: int) -> np.ndarray:
        return self._vectors.matrix[self._vectors.rows(place)]

    def _encoded(self, mark: Mark, path: str) -> Example:
        model = query_vectors.model_of(self._index)
        if not hasattr(model, "space"):
            return Example(examples.of_images(self._index, [one(see_whole, path)]))
        backbone, cover = model.space.backbone, model.space.cover
        cover = cover if cover.c != 1 else CompleteCover()
        (image,) = iter_patch_features([(mark.sample_id, path)], backbone, cover)
        if image.features is None:
            raise UnreadableImage(path, image.reason)
        return Example(image.features.cpu().numpy())


def _of_patches(
    features: np.ndarray, boxes: np.ndarray, box: Sequence[float] | None
) -> Example:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)  # packed ones are rounded
    features = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    if box is None:
        return Example(features)
    windows = _corners(relative(boxes, np.arange(len(boxes))))
    overlaps = box_iou(windows, _corners(np.array([box])))
    return Example(features, int(overlaps[:, 0].argmax()))


def _corners(boxes: np.ndarray) -> torch.Tensor:
    low, sides = boxes[:, :2], boxes[:, 2:]
    return torch.from_numpy(np.concatenate([low, low + sides], axis=1))


def _sample(store: FeatureStore) -> np.ndarray:
    """Some patches of some images."""
    rows = [
        _spread(store.features(id).numpy(), _PATCHES)
        for id in _spread(np.array(store.ids), _IMAGES).tolist()
    ]
    sample = np.concatenate(rows)
    lengths = np.linalg.norm(sample, axis=1, keepdims=True)
    return sample[lengths[:, 0] > 0] / lengths[lengths[:, 0] > 0]


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """Rows at even distances, at most so many."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), most))
    return rows[np.unique(places.round().astype(int))]
