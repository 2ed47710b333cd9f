"""Every way to search an index by a prompt, by names that do not change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

PLUGIN = "@detail/detail-embed"
METHODS = ("vectors", "reranked", "patches")

_DISTANCE = "old_index_distance"


def search(dataset: fo.Dataset, key: str, prompt: str) -> dict[str, dict[str, list]]:
    """Searches in all images of an index.

    Args:
        dataset: the dataset
        key: brain key of the index
        prompt: one text

    Returns:
        by way of searching, ``images``, the file names, best first, and ``scores``,
        their cosines. ``"native"`` is ``sort_by_similarity``, ``METHODS`` are those of
        the operator ``search_by_prompts``, ``"two_steps"`` is ``search_reranked``,
        which also has ``boxes``: where it matches
    """
    by_prompts = foo.get_operator(f"{PLUGIN}/search_by_prompts")
    in_two_steps = foo.get_operator(f"{PLUGIN}/search_reranked")
    found = {"native": _native(dataset, key, prompt)}
    for method in METHODS:
        answer = by_prompts(dataset, prompt, key, method=method)
        found[method] = _listed(dataset, answer.ids, answer.scores)
    answer = in_two_steps(dataset, prompt, key)
    found["two_steps"] = _listed(dataset, answer.ids, answer.scores)
    found["two_steps"]["boxes"] = list(answer.boxes)
    return found


def file_names(dataset: fo.Dataset, ids: Sequence[str]) -> list[str]:
    """The file names of samples."""
    paths = dict(zip(*dataset.values(["id", "filepath"])))
    return [Path(paths[id]).name for id in ids]


def _native(dataset: fo.Dataset, key: str, prompt: str) -> dict[str, list]:
    """FiftyOne's own search; of several vectors of an image the best counts."""
    field = dataset.get_brain_info(key).config.patches_field
    vectors = dataset.to_patches(field) if field else dataset
    ranked = vectors.sort_by_similarity(prompt, brain_key=key, dist_field=_DISTANCE)
    image = "sample_id" if field else "id"
    best = {}
    for id, distance in zip(*ranked.values([image, _DISTANCE])):
        best.setdefault(id, 1 - distance)
    ids = dataset.sort_by_similarity(prompt, brain_key=key).values("id")
    return _listed(dataset, ids, [best[id] for id in ids])


def _listed(
    dataset: fo.Dataset, ids: Sequence[str], scores: Sequence[Any]
) -> dict[str, list]:
    return {
        "images": file_names(dataset, ids),
        "scores": [round(float(score), 6) for score in scores],
    }
