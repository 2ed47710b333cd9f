"""An evaluation as a table and plots in the App."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from fiftyone.operators import types

from detail_embed.evaluation.table import ALL, title

from ..shared.output import PLOT, table

if TYPE_CHECKING:
    from detail_embed.evaluation import Evaluation
    from detail_embed.evaluation.table import Row

_WORST = 25
_LONGEST = 30  # characters of a brain key beside numbers
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NO_BREAK_DASH = "\N{WORD JOINER}–\N{WORD JOINER}"


def results(evaluation: Evaluation, files: Sequence[str] = ()) -> dict[str, Any]:
    """What is shown, as JSON values.

    Args:
        evaluation: what was measured
        files: that were written
    """
    rows = evaluation.rows
    groups = [row for row in rows if row.scale == ALL and row.words != ALL]
    if len({row.words for row in groups}) < 2:  # it is the line for all words again
        groups = []
    groups.sort(key=lambda row: evaluation.words.index(row.words))
    overall = [row for row in rows if row.scale == row.words == ALL]
    scales = [row for row in rows if row.scale != ALL and row.words == ALL]
    scales.sort(key=lambda row: evaluation.scales.index(row.scale))
    return {
        "summary": _summary(evaluation, files),
        "table": _markdown(evaluation, [*overall, *groups], bool(groups), False),
        "by_scale": _by_scale(evaluation) if scales else [],
        "scales": _markdown(evaluation, scales, False, True) if scales else "",
        "by_class": _by_class(evaluation),
    }


def schema(values: Mapping[str, Any]) -> types.Property:
    """How :func:`results` are shown; nothing where there are none.

    Tables are Markdown: the App's own view of a table does not let the mouse wheel
    through to what is below it.
    """
    outputs = types.Object()
    if values:
        outputs.str("summary", view=types.MarkdownView())
        outputs.str("table", label="All sizes, in %", view=types.MarkdownView())
        if values["by_scale"]:
            side = "Side of the object, % of the image"
            add_plot(outputs, "by_scale", "mAP by size", side)
            outputs.str("scales", label="By size, in %", view=types.MarkdownView())
        add_plot(outputs, "by_class", f"mAP by class, the {_WORST} worst", "")
    return types.Property(outputs, view=types.View(label="Retrieval"))


def worst(evaluation: Evaluation, count: int = _WORST) -> list[dict[str, str]]:
    """The classes that all indexes find badly, with the mAP of each, in percent."""
    maps = evaluation.values[:, :, 0, evaluation.metrics.index("map")]
    rows = maps.max(axis=0).argsort(kind="stable")[:count]
    return [
        {"label": evaluation.queries[q].label}
        | {key: f"{100 * maps[m, q]:.1f}" for m, key in enumerate(evaluation.methods)}
        for q in rows
    ]


def short(brain_key: str) -> str:
    """A brain key for a narrow place: a long one without its middle."""
    if len(brain_key) <= _LONGEST:
        return brain_key
    half = _LONGEST // 2
    return f"{brain_key[:half]}…{brain_key[-half:]}"


def add_plot(
    outputs: types.Object, name: str, label: str, x_title: str, height: str = "380px"
) -> None:
    """Adds a plot of mAP."""
    outputs.plot(
        name,
        label=label,
        height=height,
        config=PLOT,
        layout={
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.15},
            "barmode": "group",
            "margin": {"t": 40, "l": 60, "b": 60, "r": 20},
            "xaxis": {"title": {"text": x_title}, "type": "category"},
            "yaxis": {"title": {"text": "mAP, %"}, "rangemode": "tozero"},
        },
    )


def _markdown(
    evaluation: Evaluation, rows: Sequence[Row], has_words: bool, has_scale: bool
) -> str:
    titles = ["Index", "Words", "Side in %", "Classes"]
    shown = [True, has_words, has_scale, True]
    lines = []
    for row in rows:
        scale = _percent(row.scale) if has_scale else ALL
        facts = [f"`{short(row.method)}`", row.words, scale, str(row.queries)]
        lines.append([*compress(facts, shown), *_numbers(evaluation, row)])
    head = [*compress(titles, shown), *map(title, evaluation.metrics)]
    return table(head, lines)


def _numbers(evaluation: Evaluation, row: Row) -> list[str]:
    numbers = {metric: f"{100 * row[metric]:.1f}" for metric in evaluation.metrics}
    if not math.isnan(row["map_low"]):
        low, high = (f"{100 * row[end]:.1f}" for end in ("map_low", "map_high"))
        ends = f"({low}{_NO_BREAK_DASH}{high})"
        numbers["map"] += f"{_NO_BREAK}{ends}"
    return list(numbers.values())


def _summary(evaluation: Evaluation, files: Sequence[str]) -> str:
    lines = [
        f"**{evaluation.facts['name']}**: {len(evaluation.queries)} classes of "
        f"`{evaluation.bank}`, {evaluation.images} images. In brackets: "
        f"{100 * evaluation.confidence:g} % bootstrap interval over the classes."
    ]
    first = evaluation.methods[0]
    for other in evaluation.methods[1:]:
        gain = evaluation.compare(first, other)
        line = f"`{other}` against `{first}`: mAP {100 * gain.mean:+.1f}"
        if not math.isnan(gain.low):
            line += f" ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        lines.append(line)
    lines += evaluation.notes
    lines += [f"Written: `{path}`" for path in files]
    return "\n\n".join(lines)


def _by_scale(evaluation: Evaluation) -> list[dict[str, Any]]:
    traces = []
    for method in evaluation.methods:
        rows = [
            row
            for row in evaluation.rows
            if (row.method, row.words) == (method, ALL) and row.scale != ALL
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "cliponaxis": False,
                "name": short(method),
                "x": [_percent(row.scale) for row in rows],
                "y": [100 * row.map for row in rows],
                "error_y": _errors(rows),
            }
        )
    return traces


def _errors(rows: Sequence[Any]) -> dict[str, Any]:
    ends = [(row["map"] - row["map_low"], row["map_high"] - row["map"]) for row in rows]
    low, high = (
        [0.0 if math.isnan(pair[end]) else 100 * pair[end] for pair in ends]
        for end in (0, 1)
    )
    return {"type": "data", "symmetric": False, "array": high, "arrayminus": low}


def _by_class(evaluation: Evaluation) -> list[dict[str, Any]]:
    maps = evaluation.values[:, :, 0, evaluation.metrics.index("map")]
    worst = maps.max(axis=0).argsort(kind="stable")[:_WORST]
    return [
        {
            "type": "bar",
            "name": short(method),
            "x": [evaluation.queries[q].label for q in worst],
            "y": [100 * float(values[q]) for q in worst],
        }
        for method, values in zip(evaluation.methods, maps)
    ]


def _percent(scale: str) -> str:
    return "–".join(f"{100 * float(edge):g}" for edge in scale.split("-"))
