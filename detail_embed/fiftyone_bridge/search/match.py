"""The best place of each image that a search found, as a label of the view alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
from bson import ObjectId
from fiftyone import ViewExpression

from detail_embed.fiftyone_bridge.samples.app_defaults import (
    MATCH,
    MATCH_MAKER,
    is_made_by,
)
from detail_embed.fiftyone_bridge.samples.private_names import (
    is_frames,
    serialized,
)
from detail_embed.fiftyone_bridge.search.places import Place

_OWN = 8  # digits of an id that tell a search; the others are of the sample


def is_known(samples: foc.SampleCollection) -> bool:
    """Whether the field for the best place is there, and is not somebody else's."""
    field = samples.get_field(MATCH)
    return field is not None and is_ours(field)


def is_ours(field: fo.Field) -> bool:
    """Whether a field is for the best places of searches."""
    return is_made_by(field, MATCH_MAKER)


def draw(
    view: fov.DatasetView,
    ids: Sequence[str],
    places: Sequence[Sequence[Place]],
    asked: str,
) -> fov.DatasetView:
    """Adds the best places to a view; nothing is written to the samples.

    Args:
        view: of the samples
        ids: of the ``k`` samples
        places: of each, for each thing that was looked for; empty for none
        asked: what was looked for, all of it; see :func:`text_of`
    """
    most = max(map(len, places), default=0)
    labels = [_label([p[at] if at < len(p) else None for p in places], asked)
              for at in range(most)]
    detections = {"$concatArrays": labels}
    value = {"_cls": "Detections", "detections": detections}
    named = {"$let": {"vars": {"asked": {"$literal": asked}}, "in": value}}
    return view.set_field(MATCH, of_each(ids, named))


def _label(places: Sequence[Place | None], asked: str) -> dict[str, Any]:
    """A list of a label for each sample, or of none where it has no such place."""
    texts = [(place and place.text) or asked for place in places]
    each = list(dict.fromkeys(texts))  # a long text stands here once
    which = item([each.index(text) for text in texts])
    own = {"$substrBytes": [{"$toString": "$_id"}, _OWN, -1]}
    label = {
        "label": {"$arrayElemAt": [{"$literal": each}, which]},
        "_id": {"$toObjectId": {"$concat": [str(ObjectId())[-_OWN:], own]}},
        "_cls": "Detection",
        "bounding_box": "$$box",
        "confidence": item([place and _confidence(place.score) for place in places]),
        "tags": [],
    }
    labels = {"$cond": [{"$ne": ["$$box", None]}, [label], []]}
    boxes = item([place and " ".join(map(_digits, place.box)) for place in places])
    numbers = {"$map": {  # FiftyOne copies a view's stages often: texts take no time
        "input": {"$split": [boxes, " "]}, "in": {"$toDouble": "$$this"}
    }}
    return {"$let": {"vars": {"box": numbers}, "in": labels}}


def _digits(value: float) -> str:
    """A number as MongoDB reads it; it refuses those that are all but 0."""
    return str(float(value)) if abs(value) > sys.float_info.min else "0"


def of_each(ids: Sequence[str], value: Any) -> ViewExpression:
    """A value for each of some samples, by their place ``$$at`` among them.

    The lists that are looked up are constants: MongoDB parses them once, and finds the
    place by a hash.

    Args:
        ids: of the samples; others have none
        value: an expression of MongoDB
    """
    place = {"$indexOfArray": [list(ids), {"$toString": "$_id"}]}
    known = {"$cond": [{"$gte": ["$$at", 0]}, value, None]}
    return ViewExpression({"$let": {"vars": {"at": place}, "in": known}})


def item(values: list[Any]) -> dict[str, Any]:
    """That of some constants which stands at ``$$at``."""
    return {"$arrayElemAt": [{"$literal": values}, "$$at"]}


def close_ups(view: fov.DatasetView, ids: Sequence[str]) -> fov.DatasetView:
    """The best places of a view as patches; FiftyOne writes a dataset for them.

    Args:
        view: of :func:`draw`
        ids: of its samples, in the order of the patches
    """
    owner = "frame_id" if is_frames(view) else "sample_id"
    return view.to_patches(MATCH).select_by(owner, ids, ordered=True)


def text_of(view: foc.SampleCollection) -> str | None:
    """What the search that a view shows looked for; None for a view of another kind."""
    if not isinstance(view, fov.DatasetView):
        return None
    for stage in serialized(view):
        names = dict(kwarg for kwarg in stage["kwargs"])
        if names.get("field") == MATCH and "expr" in names:
            return _first_text(names["expr"])
    return None


def _first_text(value: Any) -> str | None:
    """The first literal text of an expression."""
    if isinstance(value, dict):
        if isinstance(value.get("$literal"), str):
            return value["$literal"]
        value = list(value.values())
    parts = map(_first_text, value) if isinstance(value, list) else ()
    return next((part for part in parts if part is not None), None)


def _confidence(score: float | None) -> float | None:
    return None if score is None else round(min(max(score, 0.0), 1.0), 4)
