"""What the search tab shows of a result: a summary, scores, a threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import fiftyone.core.view as fov
import fiftyone.operators as foo
from fiftyone.operators import types

from detail_embed.fiftyone_bridge.samples.private_names import serialized

from .. import widgets
from ..state import memory, search_state

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.search.found import Found

_FOUND, _BARS = "found", "bars"
_HISTOGRAM = "search.histogram"
_SHOWN = 3  # templates
_HOW = {
    "vectors": "by its vectors",
    "reranked": "by its vectors, the best of them by their patches",
    "patches": "by all patches",
}
_BAR, _ABOVE = "#8a8f98", "#ff6d04"


def found(ctx: foo.ExecutionContext) -> dict[str, Any] | None:
    """What is kept of the search that is shown, None for none."""
    return memory.of(ctx).get(_FOUND)


def keep(
    ctx: foo.ExecutionContext, asked: search_state.Asked, answer: Found,
    view: fov.DatasetView, before: fov.DatasetView,
) -> None:
    """Keeps what the panel shows of a result, and puts the scores on the images."""
    from detail_embed.fiftyone_bridge.search.found import SCORE

    result = {
        "summary": _summarise(asked, answer),
        "high": float(answer.histogram.edges[-1]),
        "before": serialized(before),
        "shown": search_state.digest(view),
    }
    memory.of(ctx).update({_FOUND: result, _BARS: _bars(answer, asked.threshold)})
    refresh(ctx)
    if SCORE not in ctx.active_fields:
        ctx.ops.set_active_fields([*ctx.active_fields, SCORE])


def refresh(ctx: foo.ExecutionContext) -> None:
    """Sends the histogram, which a page that was loaded anew has lost."""
    ctx.panel.set_data(_HISTOGRAM, memory.of(ctx).get(_BARS))


def forget(ctx: foo.ExecutionContext) -> None:
    """Forgets the result, and takes the scores off the images."""
    from detail_embed.fiftyone_bridge.search.found import SCORE

    drop(ctx)
    if SCORE in ctx.active_fields:
        rest = [field for field in ctx.active_fields if field != SCORE]
        ctx.ops.set_active_fields(rest)


def drop(ctx: foo.ExecutionContext) -> None:
    """Forgets the result; what the grid shows is left alone."""
    memory.of(ctx).pop(_FOUND, None)


def draw(
    part: types.Object, ctx: foo.ExecutionContext, on_threshold: Callable,
    on_click: Callable,
) -> None:
    """Draws the result, if there is one."""
    result = found(ctx)
    if not result:
        return
    widgets.note(part, "summary", result["summary"])
    part.plot(
        "histogram",
        height="130px",
        config={"displayModeBar": False},
        layout={
            "bargap": 0.05,
            "margin": {"t": 4, "b": 34, "l": 4, "r": 4},
            "xaxis": {"title": {"text": "z-score", "standoff": 2}, "fixedrange": True},
            "yaxis": {"type": "log", "fixedrange": True, "showticklabels": False},
        },
        on_click=on_click,
    )
    high = round(max(result["high"], 1.0) + 0.1, 1)
    widgets.slider(
        part, "threshold", "Threshold", search_state.OFF, high, 0.1, on_threshold
    )


def templates(name: str) -> str:
    """The sentences of a set, or the first of them."""
    from detail_embed.texts.templates import template_set

    sentences = [f"“{text}”" for text in template_set(name)]
    rest = len(sentences) - _SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(sentences[:_SHOWN]) + more


def _summarise(asked: search_state.Asked, answer: Found) -> str:
    shown, total = len(answer.ids), answer.searched
    text = f"**{shown:,}** of {total:,} images, best first, in "
    text += f"{1000 * answer.seconds:.0f} ms, {_HOW[answer.method]}."
    if asked.threshold is not None:
        text += f" {answer.above:,} are at z ≥ {asked.threshold:g}."
    if answer.missing:
        text += f" {answer.missing:,} have no vector and were not searched."
    bare = answer.scores.count(None)
    if bare:
        text += f" The last {bare:,} have no stored patches and are not re-ranked."
    return text


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
            "hovertemplate": "%{y} images near z = %{x:.1f}<extra></extra>",
        }
    ]
