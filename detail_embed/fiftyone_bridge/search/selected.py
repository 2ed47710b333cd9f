"""What a person selected in the App, as examples to search by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.patches as fop

from detail_embed.fiftyone_bridge.index import boxes
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.examples import Box, boxes_of


def arguments(
    index: Index,
    view: foc.SampleCollection,
    selected: Sequence[str] = (),
    labels: Sequence[Mapping[str, str]] = (),
) -> dict[str, list[Any]]:
    """The arguments of :func:`.examples.mix` for what is selected.

    Labels that an index of boxes holds are taken by their vectors; other labels are
    encoded, as parts of their images.

    Args:
        index: that shall be searched
        view: that the App shows
        selected (()): ids of its samples, or patches
        labels (()): each with sample_id, field and label_id

    Raises:
        ValueError: naming a label that has no box, or is gone
    """
    ids, parts = list(selected), []
    known = _known(index)
    if isinstance(view, fop.PatchesView):
        patches = [*ids, *(label["label_id"] for label in labels)]
        ids = [id for id in patches if id in known]
        parts = _of_patches(view, [id for id in patches if id not in known])
    else:
        ids += [label["label_id"] for label in labels if label["label_id"] in known]
        others = [label for label in labels if label["label_id"] not in known]
        parts = boxes_of(index.home, others)
    given = {"sample_ids": list(dict.fromkeys(ids)), "boxes": parts}
    return {name: some for name, some in given.items() if some}


def _known(index: Index) -> set[str]:
    """The labels that an index of boxes holds."""
    if boxes.field_of(index) is None:
        return set()
    return set(index_vectors.load(index).labels)


def _of_patches(view: fop.PatchesView, ids: Sequence[str]) -> list[Box]:
    path = f"{view.patches_field}.bounding_box"
    rows = zip(*view.select(ids, ordered=True).values(["filepath", path]))
    return [Box(filepath, box) for filepath, box in rows if box]
