"""A measure over the number of examples, as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Protocol

_MARKERS = "osD^vPX*"
_WIDE = 70  # letters of a line of the title


class Point(Protocol):
    """A point of a curve; see :class:`detail_embed.classifiers.curve.CurvePoint`."""

    kind: str
    shots: int
    mean: float
    low: float | None
    high: float | None


def plot_curve(
    points: Sequence[Point], path: str | Path, title: str = "", measure: str = "right"
) -> None:
    """Draws one line for each kind, with its interval as a band, as a PNG.

    Args:
        points: of any number of kinds
        path: where to write
        title (""): above the plot
        measure ("right"): what was measured

    Raises:
        ValueError: if there is no point
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not all need it
    from matplotlib.figure import Figure

    if not points:
        raise ValueError("there are no points, so there is nothing to draw")
    figure = Figure(figsize=(6.4, 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = sorted({point.shots for point in points})
    kinds = list(dict.fromkeys(point.kind for point in points))
    for kind, marker in zip(kinds, cycle(_MARKERS), strict=False):
        own = sorted((p for p in points if p.kind == kind), key=lambda p: p.shots)
        places = [steps.index(point.shots) for point in own]
        heights = [100 * point.mean for point in own]
        line, = axes.plot(places, heights, marker=marker, linewidth=2, label=kind)
        low, high = (
            [100 * (point.mean if end is None else end) for point, end in ends]
            for ends in (
                [(point, point.low) for point in own],
                [(point, point.high) for point in own],
            )
        )
        axes.fill_between(places, low, high, color=line.get_color(), alpha=0.2)
    axes.set_xticks(range(len(steps)), [str(step) for step in steps])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("examples of each class")
    axes.set_ylabel(f"{measure}, %")
    figure.suptitle(textwrap.fill(title, _WIDE), fontweight="bold", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path)
