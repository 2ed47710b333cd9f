"""Where images match, said at once: from stored patch features only."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone.core.collections as foc
import numpy as np
import torch

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.patch_search.localise import localise


def is_stored(index: Index, samples: foc.SampleCollection) -> bool:
    """Whether the patch features of all images are stored, so that none is encoded."""
    store = _open(index)
    return store is not None and all(id in store for id in samples.values("id"))


def best_boxes(
    index: Index, query: np.ndarray, ids: Sequence[str]
) -> dict[str, list[float]]:
    """The best place of each image whose patch features are stored.

    Args:
        index: one of ours
        query: ``(d,)`` in its space
        ids: of samples

    Returns:
        ``{sample id: [left, top, width, height]}`` as shares of the image, without
        those in which nothing stands out; empty where no features are stored
    """
    store, vector = _open(index), torch.from_numpy(query)
    if store is None:
        return {}
    found = {}
    for id in filter(store.__contains__, ids):
        image = store[id]
        places = localise(image.features, image.boxes, image.levels, vector, 1)
        if len(places.boxes):
            found[id] = places.boxes[0].tolist()
    return found


def _open(index: Index) -> FeatureStore | None:
    """The store behind an index, None where there is none."""
    record, _ = index.find()
    if record is None or not feature_stores.is_there(record.features):
        return None
    return FeatureStore.open(record.features)
