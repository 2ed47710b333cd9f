"""The frontier as a picture, for whoever runs the benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from benchmarks._frontier.knee import frontier, knee
from benchmarks._frontier.points import Point

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

_COSTS = {
    "patches an image": lambda p: p.patches,
    "bytes kept of an image": lambda p: p.bytes,
}


def plot(points: Sequence[Point], file: Path) -> None:
    """Writes quality over either cost, with the frontier and its knee."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.5), sharey=True)
    for axis, (title, cost) in zip(axes, _COSTS.items()):
        for kept in dict.fromkeys(p.kept for p in points):
            some = [p for p in points if p.kept == kept]
            axis.plot([*map(cost, some)], [100 * p.quality for p in some], "o",
                      label=kept)
        line = frontier(points, cost)
        axis.plot([*map(cost, line)], [100 * p.quality for p in line], "k-", lw=1)
        bend = knee(line, cost)
        axis.annotate(
            f"knee: c = {bend.c}, {bend.kept}", (cost(bend), 100 * bend.quality),
            xytext=(30, -40), textcoords="offset points",
            arrowprops={"arrowstyle": "->"},
        )
        axis.set_xscale("log")
        axis.set_xlabel(title)
    axes[0].set_ylabel("mAP in %, held-out words")
    axes[0].legend(title="vectors")
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
