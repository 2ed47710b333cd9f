"""An evaluation as a table and plots in the App."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fiftyone.operators import types

from ..detail_embed.retrieval.table import ALL, title

if TYPE_CHECKING:
    from ..detail_embed.retrieval import Evaluation

_WORST = 25
_COLUMNS = {"method": "Brain key", "words": "Words", "scale": "Side of the object"}


def results(evaluation: Evaluation, files: Sequence[str] = ()) -> dict[str, Any]:
    """What is shown, as JSON values.

    Args:
        evaluation: what was measured
        files: that were written
    """
    return {
        "summary": _summary(evaluation, files),
        "metrics": list(evaluation.metrics),
        "table": [_line(evaluation, row) for row in evaluation.rows],
        "by_scale": _by_scale(evaluation) if len(evaluation.scales) > 1 else [],
        "by_class": _by_class(evaluation),
    }


def schema(values: Mapping[str, Any]) -> types.Property:
    """How :func:`results` are shown."""
    outputs = types.Object()
    outputs.str("summary", view=types.MarkdownView())
    table = types.TableView()
    for key, label in _COLUMNS.items():
        table.add_column(key, label=label)
    table.add_column("queries", label="Classes")
    for metric in values.get("metrics", ()):
        table.add_column(metric, label=title(metric))
    outputs.list("table", types.Object(), label="In %", view=table)
    if values.get("by_scale"):
        _add_plot(outputs, "by_scale", "mAP by the side of the object", "% of the side")
    _add_plot(outputs, "by_class", f"mAP by class, the {_WORST} worst", "")
    return types.Property(outputs, view=types.View(label="Retrieval"))


def _add_plot(outputs: types.Object, name: str, label: str, x_title: str) -> None:
    outputs.plot(
        name,
        label=label,
        height="380px",
        layout={
            "title": {"text": label},
            "showlegend": True,
            "barmode": "group",
            "margin": {"t": 40, "l": 60, "b": 60, "r": 20},
            "xaxis": {"title": {"text": x_title}, "type": "category"},
            "yaxis": {"title": {"text": "mAP, %"}, "rangemode": "tozero"},
        },
    )


def _line(evaluation: Evaluation, row: Any) -> dict[str, Any]:
    line = {key: getattr(row, key) for key in _COLUMNS} | {"queries": row.queries}
    line |= {metric: f"{100 * row[metric]:.1f}" for metric in evaluation.metrics}
    if not math.isnan(row["map_low"]):
        line["map"] += f" ({100 * row['map_low']:.1f}–{100 * row['map_high']:.1f})"
    return line


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
                "name": method,
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
            "name": method,
            "x": [evaluation.queries[q].label for q in worst],
            "y": [100 * float(values[q]) for q in worst],
        }
        for method, values in zip(evaluation.methods, maps)
    ]


def _percent(scale: str) -> str:
    return "–".join(f"{100 * float(edge):g}" for edge in scale.split("-"))
