"""The indexes of a data set, as the panel's lists show them."""

from __future__ import annotations

import fiftyone as fo


def choices(dataset: fo.Dataset) -> dict[str, str]:
    """Brain keys that can be searched by text, with what they are."""
    from ...detail_embed.fiftyone_bridge import ranking, records

    labels = {}
    for key in ranking.promptable(dataset):
        record, is_global = records.find(dataset, key)
        kind = "whole images" if is_global else record.fuser if record else "FiftyOne"
        labels[key] = f"{key} · {kind}"
    return labels


def methods(dataset: fo.Dataset, brain_key: str | None) -> list[str]:
    """The ways in which an index can be searched."""
    from ...detail_embed.fiftyone_bridge import prompt_search

    return prompt_search.methods(dataset, brain_key)
