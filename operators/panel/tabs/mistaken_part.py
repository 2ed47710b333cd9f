"""The labels that fit worst, as the tab that curates shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from .. import indexes

_SHOWN = 12
_ARROW = "\N{RIGHTWARDS ARROW}"


def hits(
    dataset: fo.Dataset, report: Mapping[str, Any] | None
) -> list[dict[str, Any]] | None:
    """The worst labels as close-ups; None where nothing was looked for."""
    from detail_embed.fiftyone_bridge.curate import judge_labels
    from detail_embed.fiftyone_bridge.samples import label_attributes

    if report is None:
        return None
    labels = report["labels"][:_SHOWN]
    images = judge_labels.images_of(dataset, report)
    images = images.select(list({label["image"] for label in labels}))
    paths = dict(zip(*images.values(["id", "filepath"])))
    boxes = label_attributes.boxes(images, report["label_field"])
    return [
        {
            "id": label["id"],
            "filepath": paths[label["image"]],
            "box": boxes[label["id"]],
            "score": f"{label['name']} {_ARROW} {label['suggested']}",
            "likely": True,
        }
        for label in labels
        if label["id"] in boxes
    ]


def index_of_boxes(dataset: fo.Dataset, brain_key: str | None) -> str | None:
    """The index that was chosen if it is of boxes, else the first that is."""
    from detail_embed.fiftyone_bridge.index import boxes
    from detail_embed.fiftyone_bridge.index.index import Index

    keys = [brain_key, *indexes.choices(dataset)]
    found = (k for k in keys if k and boxes.field_of(Index(dataset, k)) is not None)
    return next(found, brain_key)


def show(ctx: foo.ExecutionContext) -> None:
    """Shows the labels that fit worst, the worst first."""
    from detail_embed.fiftyone_bridge.curate import judge_labels

    report = _require(ctx)
    ctx.ops.set_view(judge_labels.view_of(ctx.dataset, report))
    ctx.ops.set_active_fields([report["label_field"]])


def open_image(ctx: foo.ExecutionContext, id: str) -> None:
    """Opens a label: as a patch where the grid shows these, else its image."""
    from detail_embed.fiftyone_bridge.samples.private_names import is_generated

    images = {label["id"]: label["image"] for label in _require(ctx)["labels"]}
    is_patch = is_generated(ctx.view) and len(ctx.view.select(id).limit(1))
    ctx.ops.open_sample(id=id if is_patch else images[id])


def _require(ctx: foo.ExecutionContext) -> dict[str, Any]:
    from detail_embed.fiftyone_bridge.curate import judge_labels

    report = judge_labels.read(ctx.dataset)
    if report is None:
        raise ValueError("these labels are gone: click on Mistaken labels again")
    return report
