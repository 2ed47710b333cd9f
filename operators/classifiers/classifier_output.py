"""A trained classifier as text, a table and a plot in the App."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fiftyone.operators import types

from ..shared.output import PLOT, table, without

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.classifiers.train import TrainedClassifier

LAYOUT = {
    "margin": {"t": 20, "l": 60, "b": 60, "r": 20},
    "showlegend": False,
    "xaxis": {"title": {"text": "examples of each class"}, "type": "category"},
    "yaxis": {"title": {"text": "right, %"}, "rangemode": "tozero"},
}


def results(trained: TrainedClassifier) -> dict[str, Any]:
    """What is shown, as JSON values, and all that was measured."""
    values = asdict(trained)
    return values | {
        "summary": summary(values),
        "pairs": pairs(values),
        "plot": plot(values["curve"]),
    }


def schema(values: Mapping[str, Any] | None) -> types.Property:
    """How :func:`results` are shown; nothing where there are none."""
    outputs = types.Object()
    if values:
        outputs.str("summary", view=types.MarkdownView())
        if values["pairs"]:
            outputs.str("pairs", label="Most confused", view=types.MarkdownView())
        if values["plot"]:
            add_plot(outputs, "plot")
    return types.Property(outputs, view=types.View(label="Trained classifier"))


def add_plot(outputs: types.Object, name: str) -> None:
    """Adds the plot of a curve."""
    outputs.plot(name, height="280px", layout=LAYOUT, config=PLOT)


def summary(report: Mapping[str, Any]) -> str:
    """A report in words.

    Args:
        report: the fields of a :class:`TrainedClassifier`
    """
    what = "boxes" if report["unit"] == "box" else "images"
    examples = sum(report["examples"].values())
    lines = [
        f"**{report['name']}** ({report['kind']}) knows {len(report['examples'])} "
        f"classes of `{report['labels_field']}` from {examples} examples. "
        f"{_right(report, what)}",
        f"Its labels are in `{report['field']}`, for {_given(report)} "
        f"{what}.{without(report['without'])}",
    ]
    odd = ", ".join(f"{count} {why}" for why, count in report["left_out"].items())
    if odd:
        lines.append(f"Not learned from: {odd}.")
    if report["eval_key"]:
        lines.append(
            f"FiftyOne's evaluation `{report['eval_key']}` is in the panel *Model "
            "Evaluation*."
        )
    return "\n\n".join([*lines, *report["notes"]])


def pairs(report: Mapping[str, Any]) -> str:
    """The table of confused classes in Markdown; empty where there are none."""
    rows = [
        (f"`{row['pair']}`", row["iou"], row["wrong"]) for row in pair_rows(report)
    ]
    return table(["Taken for each other", "IoU, %", "How often"], rows) if rows else ""


def pair_rows(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """The confused classes, a row each."""
    return [
        {
            "pair": f"{one['pair']['first']} / {one['pair']['second']}",
            "iou": f"{100 * one['pair']['iou']:.1f}",
            "wrong": f"{one['pair']['first_as_second']} + "
            f"{one['pair']['second_as_first']} of "
            f"{one['pair']['first_count'] + one['pair']['second_count']}",
        }
        for one in report["confused"]
    ]


def plot(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The curve as a line with intervals; empty where there is none."""
    if not curve:
        return []
    ends = {
        name: [
            0.0 if point[end] is None else 100 * abs(point[end] - point["mean"])
            for point in curve
        ]
        for name, end in (("array", "high"), ("arrayminus", "low"))
    }
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "cliponaxis": False,
            "x": [str(point["shots"]) for point in curve],
            "y": [100 * point["mean"] for point in curve],
            "error_y": {"type": "data", "symmetric": False, **ends},
        }
    ]


def _given(report: Mapping[str, Any]) -> str:
    if not report["several"]:
        return f"{sum(report['counts'].values()):,}"
    return "all that are likely in"


def _right(report: Mapping[str, Any], what: str) -> str:
    if report["accuracy"] is None:
        return "How good it is was not measured: no example was held out."
    measure = "mean average precision" if report["several"] else "right"
    return (
        f"By classifiers that did not see them, {report['judged']:,} {what} with a "
        f"label: **{100 * report['accuracy']:.1f} %** {measure}."
    )
