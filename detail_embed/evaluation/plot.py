"""mAP over the scale of the target, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from detail_embed.evaluation.table import ALL, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^vPX*"


def plot(rows: Sequence[Row], path: str | Path) -> None:
    """Draws mAP over the scale of the target, one line a method, as one PNG.

    Every (bank, words) group has a panel: banks below each other, words side by side.

    Args:
        rows: of :func:`~detail_embed.evaluation.table`
        path: where to write

    Raises:
        ValueError: if no row is of a scale bin
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not all need it
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.scale != ALL]
    if not rows:
        raise ValueError("the rows hold no scale bins, so there is nothing to draw")
    banks, words, methods, scales = (
        list(dict.fromkeys(getattr(row, name) for row in rows))
        for name in ("bank", "words", "method", "scale")
    )
    scales.sort(key=lambda scale: float(scale.split("-")[0]))
    size = (4.6 * len(words), 3.4 * len(banks) + 0.4)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(banks), len(words), sharey=True, squeeze=False)
    for bank, line in zip(banks, panels, strict=True):
        for group, axes in zip(words, line, strict=True):
            panel = [row for row in rows if (row.bank, row.words) == (bank, group)]
            if panel:
                _draw(axes, panel, methods, scales)
                axes.set_title(f"{bank}, {group} words", loc="left", fontweight="bold")
            else:
                axes.set_axis_off()
    panels[0, 0].set_ylim(bottom=0)  # of all; earlier, it would cut later panels off
    figure.supxlabel("side of the object, % of the image's side", fontsize="medium")
    figure.supylabel("mAP, %", fontsize="medium")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False
    )
    figure.savefig(path)


def _draw(axes: Axes, rows: list[Row], methods: list[str], scales: list[str]) -> None:
    for method, marker in zip(methods, cycle(_MARKERS), strict=False):
        found = {row.scale: 100 * row.map for row in rows if row.method == method}
        heights = [found.get(scale, float("nan")) for scale in scales]
        axes.plot(heights, marker=marker, linewidth=2, label=method)
    axes.set_xticks(range(len(scales)), [_percent(scale) for scale in scales])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)


def _percent(scale: str) -> str:
    """``"0.04-0.065"`` -> ``"4–6.5"``."""
    return "–".join(f"{100 * float(edge):g}" for edge in scale.split("-"))
