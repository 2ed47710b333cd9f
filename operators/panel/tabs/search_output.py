"""What the search tab shows of a result: a summary, scores, a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.view as fov
import fiftyone.operators as foo
from fiftyone.operators import types

from detail_embed.fiftyone_bridge.samples.app_defaults import MATCH, SCORE
from detail_embed.fiftyone_bridge.samples.private_names import serialized, view_of

from ...shared.app import DRAW_IN_IMAGE, take_defaults
from ...shared.output import PLOT
from .. import widgets
from ..state import memory, search_state
from . import result_words

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.search.found import Found

OURS = SCORE, MATCH
_FOUND, _BARS, _ACTIVE = "found", "bars", "active"
_HISTOGRAM = "search.histogram"
_CLOSE_UPS = 12
_PICTURES = 3  # of an image, beside each other
_STEP = 0.1  # of the threshold
_EDGE = 16  # pixels beside a slider, and so beside the histogram above it
_BAR, _ABOVE = "#8a8f98", "#ff6d04"


def found(ctx: foo.ExecutionContext) -> dict[str, Any] | None:
    """What is kept of the search that is shown, None for none."""
    return memory.of(ctx).get(_FOUND)


def require(ctx: foo.ExecutionContext) -> dict[str, Any]:
    """What is kept of the search that is shown.

    Raises:
        ValueError: if there is none any more, as after a restart of the server
    """
    result = found(ctx)
    if result is None:
        raise ValueError("no search is shown any more: search again")
    return result


def keep(
    ctx: foo.ExecutionContext, asked: search_state.Asked, answer: Found,
    view: fov.DatasetView, before: fov.DatasetView, summary: str | None = None,
    clips: Sequence[dict[str, Any]] | None = None, drawn: Sequence[str] = OURS,
) -> None:
    """Keeps what the panel shows of a result, and draws scores and places alone.

    What the App drew before is remembered, and drawn again by :func:`forget`.

    Args:
        ctx: of the panel
        asked: what was asked
        answer: what was found
        view: of it
        before: what the grid showed before it
        summary (None): what is said of it, by default how it was searched
        clips (None): of videos: their best clips, in place of images
        drawn (OURS): the fields that are drawn of clips
    """
    known, edges = memory.of(ctx), answer.histogram.edges
    are_boxes = clips is None and answer.images is not answer
    images = answer.images.view if are_boxes else view
    result = {
        "summary": summary or result_words.summarise(asked, answer),
        "low": math.floor(edges[0] / _STEP) * _STEP,
        "high": math.ceil(edges[-1] / _STEP + 1) * _STEP,
        "hints": " ".join(answer.hints),
        "nothing": result_words.nothing(answer),
        "hits": _hits(answer) if clips is None else clips,
        "places": _images(answer) if clips is None else {},
        "clips": clips is not None,
        "before": serialized(before),
        "images": serialized(images),
        "boxes": serialized(view) if are_boxes else None,
        "label_field": answer.label_field if are_boxes else None,
        "has_places": clips is None and any(answer.boxes) and images.has_field(MATCH),
        "shown": [search_state.digest(one) for one in (view, images)],
        "where": False,
        "close": are_boxes,  # what the view of an event tells only afterwards
    }
    last = found(ctx)
    if last is None or last["close"]:
        take_defaults(ctx)  # patches have other fields, and mix up the groups
    if last is None:
        known[_ACTIVE] = [f for f in ctx.active_fields if f not in drawn]
    known.update({_FOUND: result, _BARS: _bars(answer, asked.threshold)})
    refresh(ctx)
    if clips is None:
        draw_labels(ctx)
    else:
        _draw(ctx, *drawn)


def is_shown(ctx: foo.ExecutionContext) -> bool:
    """Whether the grid shows the result: its images, or their close-ups."""
    result = found(ctx)
    return result is not None and (
        _are_close_ups(ctx) or search_state.digest(ctx.view) in result["shown"]
    )


def stored(ctx: foo.ExecutionContext, which: str) -> fov.DatasetView:
    """A view that is kept of the result: ``before``, or its ``images``."""
    return view_of(ctx.dataset, require(ctx)[which])


def close_ups(ctx: foo.ExecutionContext) -> fov.DatasetView:
    """The places that matched, best first; made only when it is asked for."""
    from detail_embed.fiftyone_bridge.search import match

    result = require(ctx)
    if result["boxes"]:
        return view_of(ctx.dataset, result["boxes"])
    if not result["has_places"]:
        raise ValueError(
            "nobody knows where these images match: compute the index again, with "
            "patch features or several vectors per image"
        )
    images = stored(ctx, "images")
    return match.close_ups(images, images.values("id"))


def show_where(ctx: foo.ExecutionContext, *fields: str) -> None:
    """Draws boxes and heat maps, too; without fields, an operator will draw them."""
    require(ctx)["where"] = True
    if fields:
        _draw(ctx, SCORE, *fields)


def hide_where(ctx: foo.ExecutionContext) -> None:
    """Draws scores and places alone again."""
    require(ctx)["where"] = False
    draw_labels(ctx)


def draw_labels(ctx: foo.ExecutionContext) -> None:
    """Draws scores and places; of boxes that are close-ups, their labels."""
    result = require(ctx)
    label = result["label_field"] if result["close"] else None
    _draw(ctx, SCORE, label or MATCH)


def in_grid(ctx: foo.ExecutionContext, id: str) -> str:
    """The id of a hit as the grid has it: a box is found by its image among images."""
    result = require(ctx)
    return id if result["close"] else result["places"].get(id, id)


def refresh(ctx: foo.ExecutionContext) -> None:
    """Sends the histogram, which a page that was loaded anew has lost."""
    ctx.panel.set_data(_HISTOGRAM, memory.of(ctx).get(_BARS))


def forget(ctx: foo.ExecutionContext) -> None:
    """Forgets the result, and draws what was drawn before it."""
    if (found(ctx) or {}).get("close"):
        take_defaults(ctx)  # as in keep()
    drop(ctx)
    kept = memory.of(ctx).pop(_ACTIVE, None)
    if kept is None:
        kept = [field for field in ctx.active_fields if field not in OURS]
    _draw(ctx, *kept)


def drop(ctx: foo.ExecutionContext) -> None:
    """Forgets the result; what the grid shows is left alone."""
    memory.of(ctx).pop(_FOUND, None)


def draw(
    part: types.Object, ctx: foo.ExecutionContext, on_threshold: Callable,
    on_click: Callable, on_open: Callable, on_judge: Callable,
    judged: Mapping[str, bool],
) -> None:
    """Draws the result, if there is one; and which images were judged, and how."""
    result = found(ctx)
    if not result:
        return
    for name in ("hints", "nothing"):
        if result[name]:
            alert = types.AlertView(label=result[name], severity="warning")
            part.view(name, alert)
    widgets.note(part, "summary", result["summary"])
    if result["hits"]:
        hits = [{**hit, "judged": judged.get(hit["id"])} for hit in result["hits"]]
        widgets.close_ups(part, hits, on_open, None if result["clips"] else on_judge)
    axis = {
        "title": {"text": "stronger match \N{RIGHTWARDS ARROW}", "standoff": 2},
        "fixedrange": True,
        "range": [result["low"], result["high"]],
        "zeroline": False,
    }
    part.plot(
        "histogram",
        height="110px",
        config=PLOT,
        layout={
            "bargap": 0.05,
            "margin": {"t": 4, "b": 34, "l": _EDGE, "r": _EDGE},
            "xaxis": axis,
            "yaxis": {"type": "log", "fixedrange": True, "showticklabels": False},
        },
        on_click=on_click,
    )
    widgets.slider(
        part, "threshold", "Show all from here on", result["low"], result["high"],
        _STEP, on_threshold,
    )


def _hits(answer: Found) -> list[dict[str, Any]]:
    """The best images, for their close-ups."""
    images, found = _images(answer), answer.images
    within = found.samples.select(list(set(images.values())))
    paths = dict(zip(*within.values(["id", "filepath"])))
    rows = zip(images, answer.places, answer.scores)
    return [
        {
            "id": id,
            "filepath": paths[images[id]],
            "box": list(places[0].box) if places else None,
            "pictures": [
                {"box": list(one.box), "text": one.text} for one in places[:_PICTURES]
            ],
            "score": "" if score is None else f"{score:.2f}",
            "likely": answer.likely is None or place < answer.likely,
        }
        for place, (id, places, score) in enumerate(rows)
        if images[id] in paths
    ]


def _images(answer: Found) -> dict[str, str]:
    """The images of the best hits, which may be boxes, by the ids of the hits."""
    images = getattr(answer, "sample_ids", answer.ids)
    return dict(zip(answer.ids[:_CLOSE_UPS], images))


def _bars(answer: Found, threshold: float | None) -> list[dict[str, Any]]:
    edges = answer.histogram.edges
    middles = ((edges[:-1] + edges[1:]) / 2).round(3)
    cut = float("inf") if threshold is None else threshold
    return [
        {
            "type": "bar",
            "x": middles.tolist(),
            "y": answer.histogram.counts.tolist(),
            "width": float(edges[1] - edges[0]),
            "marker": {"color": [_ABOVE if x >= cut else _BAR for x in middles]},
            "hovertemplate": f"%{{y}} {answer.noun} at %{{x:.1f}}<extra></extra>",
        }
    ]


def _are_close_ups(ctx: foo.ExecutionContext) -> bool:
    return any(
        stage["_cls"].endswith(".ToPatches") and ["field", MATCH] in stage["kwargs"]
        for stage in serialized(ctx.view)
    )


def _draw(ctx: foo.ExecutionContext, *fields: str) -> None:
    if list(fields) != list(ctx.active_fields):
        ctx.ops.set_active_fields(list(fields))
        ctx.trigger(DRAW_IN_IMAGE, {"fields": list(fields)})
