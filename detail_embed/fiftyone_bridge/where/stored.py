"""Where images match, said at once: from stored patch features only."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
import torch

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.patch_search.localise import localise


def is_stored(samples: foc.SampleCollection, brain_key: str) -> bool:
    """Whether the patch features of all images are stored, so that none is encoded."""
    store = _open(dataset_of(samples), brain_key)
    return store is not None and all(id in store for id in samples.values("id"))


def best_boxes(
    dataset: fo.Dataset, brain_key: str, query: np.ndarray, ids: Sequence[str]
) -> dict[str, list[float]]:
    """The best place of each image whose patch features are stored.

    Args:
        dataset: the dataset
        brain_key: an index
        query: ``(d,)`` in its space
        ids: of samples

    Returns:
        ``{sample id: [left, top, width, height]}`` as shares of the image, without
        those in which nothing stands out; empty where no features are stored
    """
    store, vector = _open(dataset, brain_key), torch.from_numpy(query)
    if store is None:
        return {}
    found = {}
    for id in filter(store.__contains__, ids):
        image = store[id]
        places = localise(image.features, image.boxes, image.levels, vector, 1)
        if len(places.boxes):
            found[id] = places.boxes[0].tolist()
    return found


def _open(dataset: fo.Dataset, brain_key: str) -> FeatureStore | None:
    """The store behind an index, None where there is none."""
    record, _ = Index(dataset, brain_key).find()
    if record is None or not feature_stores.is_there(record.features):
        return None
    return FeatureStore.open(record.features)
