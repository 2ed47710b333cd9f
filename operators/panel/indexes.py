"""The indexes of a dataset, as the panel's lists show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone as fo

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.facts import IndexFacts
    from detail_embed.fiftyone_bridge.index.records import Record


def choices(dataset: fo.Dataset) -> dict[str, str]:
    """Brain keys that can be searched by text, with what they are."""
    from detail_embed.fiftyone_bridge.index import brain_runs
    from detail_embed.fiftyone_bridge.index.index import BOXES, SINGLE, Index

    labels, last = {}, {}
    for key in brain_runs.promptable(dataset):
        record, part = Index(dataset, key).find()
        first = last if part in (SINGLE, BOXES) else labels
        first[key] = f"{key} · {_kind(record, part)}"
    return labels | last


def methods(dataset: fo.Dataset, brain_key: str | None) -> list[str]:
    """The ways in which an index can be searched."""
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search.methods import methods

    return methods(Index(dataset, brain_key))


def captions(dataset: fo.Dataset) -> dict[str, str]:
    """Size, date and model of the indexes; counts images, so not for every event."""
    from detail_embed.fiftyone_bridge.index import facts as index_facts

    return {facts.brain_key: _caption(facts) for facts in index_facts.facts(dataset)}


def _kind(record: Record | None, part: str) -> str:
    from detail_embed.fiftyone_bridge.index.index import BOXES, WHOLE

    if record is None:
        return "FiftyOne"
    if part == WHOLE:
        return "whole images"
    if part == BOXES:
        return f"boxes of {record.box_field}"
    if part or record.vectors == 1:
        return f"one vector ({record.single_fuser})"
    return f"{record.vectors} vectors"


def _caption(facts: IndexFacts) -> str:
    from detail_embed.backbone.bundled_model import KNOWS, NAME

    images = "" if facts.images is None else f"{facts.images:,} images, "
    model = KNOWS if facts.backbone == NAME else facts.backbone or facts.space
    return f"{images}{facts.created:%d %b %Y}. {model}"
