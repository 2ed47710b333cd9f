"""The indexes of a dataset, as the panel's lists show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone as fo
import fiftyone.core.media as fom

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.facts import IndexFacts
    from detail_embed.fiftyone_bridge.index.records import Record

PATIENCE = 0.2  # seconds of an event for counting the images of an index


def choices(dataset: fo.Dataset) -> dict[str, str]:
    """Brain keys that can be searched by text, with what they are."""
    from detail_embed.fiftyone_bridge.index import boxes, brain_runs
    from detail_embed.fiftyone_bridge.index.index import SINGLE, Index

    labels, last = {}, {}
    for key in brain_runs.promptable(dataset):
        index = Index(dataset, key)
        field = boxes.field_of(index)
        record, part = index.find()
        first = last if part == SINGLE or field else labels
        kind = f"boxes of {field}" if field else _kind(record, part)
        first[key] = f"{key} · {kind}"
    return labels | last


def methods(dataset: fo.Dataset, brain_key: str | None) -> list[str]:
    """The ways in which an index can be searched."""
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search.methods import methods

    return methods(Index(dataset, brain_key))


def captions(dataset: fo.Dataset) -> dict[str, str]:
    """Size, date and model of the indexes; counts images, so not for every event.

    Of a large dataset they come without sizes until these are counted.
    """
    from detail_embed.fiftyone_bridge.index import facts as index_facts

    noun = "frames" if dataset.media_type == fom.VIDEO else "images"
    return {
        facts.brain_key: _caption(facts, noun)
        for facts in index_facts.facts(dataset, seconds=PATIENCE)
    }


def forget_outdated(dataset: fo.Dataset) -> None:
    """Lets FiftyOne's own search know what another process has taught an index."""
    from detail_embed.fiftyone_bridge.index import learned_words

    learned_words.forget_outdated(dataset)


def _kind(record: Record | None, part: str) -> str:
    from detail_embed.fiftyone_bridge.index.index import WHOLE

    if record is None:
        return "FiftyOne"
    if part == WHOLE:
        return "whole images"
    if part or record.vectors == 1:
        return f"one vector ({record.single_fuser})"
    return f"{record.vectors} vectors"


def _caption(facts: IndexFacts, noun: str) -> str:
    from detail_embed.backbone.bundled_model import KNOWS, NAME
    from detail_embed.fiftyone_bridge.index.facts import BOXES

    of_boxes = "Boxes in " if facts.kind == BOXES else ""
    images = "" if facts.images is None else f"{of_boxes}{facts.images:,} {noun}, "
    model = KNOWS if facts.backbone == NAME else facts.backbone or facts.space
    return f"{images}{facts.created:%d %b %Y}. {model}"
