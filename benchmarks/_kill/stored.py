"""What runs have stored of images, as values that can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks._kill.child import KEY


def held(dataset: Any, mode: str) -> set[str]:
    """The images that need not be encoded again."""
    if mode == "kept features":
        from detail_embed.fiftyone_bridge.index import feature_stores, records

        dataset.reload()
        record = records.read(dataset, KEY)
        if record and feature_stores.is_there(record.features):
            return set(feature_stores.find(dataset, Path(record.features).name).ids)
        return set()
    return set(stored(dataset, mode))


def stored(dataset: Any, mode: str) -> dict[str, Any]:
    """What every image has stored, as one vector."""
    import numpy as np

    from detail_embed.fiftyone_bridge.index import names

    dataset.reload()
    few = names.patches_field(KEY)
    is_few = mode == "k vectors"
    field = few if is_few else names.vector_field(KEY)
    whole = names.vector_field(names.global_key(KEY))
    if not dataset.has_field(field) or not (is_few or dataset.has_field(whole)):
        return {}
    found = dataset.exists(field)
    if is_few:
        paths = [f"{few}.detections.{name}" for name in ("vector", "bounding_box")]
        rows = zip(*found.values(["id", *paths]))
        return {
            id: np.concatenate([*vectors, *map(np.asarray, boxes)])
            for id, vectors, boxes in rows
        }
    rows = zip(*found.values(["id", field, whole]))
    return {id: np.concatenate(pair) for id, *pair in rows if pair[1] is not None}


def halves(dataset: Any, mode: str) -> int:
    """Samples that have one of two vectors, or a vector and an error."""
    from detail_embed.fiftyone_bridge.index import names
    from detail_embed.fiftyone_bridge.samples.collection import ids_with

    fields = [names.patches_field(KEY)]
    if mode != "k vectors":
        whole = names.global_key(KEY)
        fields = [names.vector_field(KEY), names.vector_field(whole)]
    vectors = [ids_with(dataset, name) for name in fields]
    every, some = set.intersection(*vectors), set.union(*vectors)
    return len(some - every) + len(every & ids_with(dataset, names.error_field(KEY)))
