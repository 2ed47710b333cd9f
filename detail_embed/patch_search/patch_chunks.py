"""The patches of a store as an index reads them: some to learn from, then all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from detail_embed.features import FeatureStore

_CHUNK = 64  # images in memory at once
_SAMPLE = 50_000  # patches that the index is trained on


def chunks(
    store: FeatureStore, ids: Sequence[str]
) -> Iterator[tuple[Sequence[str], list[np.ndarray]]]:
    """Some images of a store with their patches, a few images at a time."""
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        yield chunk, [store.features(id).numpy() for id in chunk]


def sample(store: FeatureStore) -> np.ndarray:
    """Some patches of images drawn from the whole store."""
    rng, ids = np.random.default_rng(0), store.ids
    images, count = [], 0
    for i in rng.permutation(len(ids)):
        images.append(store.features(ids[i]).numpy())
        count += len(images[-1])
        if count >= _SAMPLE:
            break
    return np.concatenate(images)
