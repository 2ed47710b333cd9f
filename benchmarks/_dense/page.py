"""The measurements as a page for a person."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks._dense.measure import FEW, Row

_BARS = 4, 5, 6  # covers that one pass is to beat


def page(rows: dict[str, Sequence[Row]], n: int, sample: int) -> str:
    """Lays the results out as Markdown.

    Args:
        rows: of the demo backbone, ``"demo"``, and of the small ViT, ``"vit"``
        n: scenes that were searched in
        sample: scenes that ridges were fitted on
    """
    machine = (f"{os.cpu_count()} cores, {platform.machine()}, torch on "
               f"{torch.get_num_threads()} of them, no GPU")
    parts = [_HEAD.format(machine=machine, date=datetime.date.today(), n=n,
                          sample=sample)]
    for name, some in rows.items():
        title, about = _TOWERS[name]
        parts += [title, about, table(some), verdict(some)]
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[Row]) -> str:
    """One line a method."""
    scales = [s for s in rows[0].map if s != "all"]
    head = ["features of windows", "vectors", "ms", "processor ms", "mAP", *scales,
            f"mAP, {FEW} kept", "cosine"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        mean, low, high = (100 * value for value in row.map["all"])
        cosine = "" if np.isnan(row.cosine) else f"{row.cosine:.3f}"
        lines.append([
            row.method.name, row.vectors, f"{row.ms:.0f}", f"{row.cpu_ms:.0f}",
            f"{mean:.1f} ({low:.0f}-{high:.0f})",
            *(f"{100 * row.map[s][0]:.1f}" for s in scales), f"{100 * row.few:.1f}",
            cosine,
        ])
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def verdict(rows: Sequence[Row]) -> str:
    """Which methods beat crops of c = 4, 5 or 6 in no more of the processor's time."""
    crops = {row.method.crops: row for row in rows if row.method.crops in _BARS}
    lines = []
    for row in rows:
        if row.method.crops:
            continue
        beaten = [
            c for c, bar in crops.items()
            if row.cpu_ms <= bar.cpu_ms and row.map["all"][0] > bar.map["all"][0]
        ]
        if beaten:
            names = " and ".join(f"c = {c}" for c in beaten)
            lines.append(f"- {row.method.name}: beats {names}")
    found = "\n".join(lines) or "- none"
    return ("Ways that find more than the crops of c = 4, 5 or 6 in no more of the "
            f"processor's time:\n\n{found}")


_HEAD = """# Features of all windows from one pass

Measured by `python benchmarks/dense.py --steps 900`, CLVER-DS;
{machine}; {date}. Scenes, words and terms are those of the
[frontier](frontier.md): {n} scenes of 1120 x 1120 pixels to search in, backgrounds that
no backbone saw, things' held-out words, mAP in % by the side of things, in brackets the
95 % bootstrap interval over words; an image's best vector counts. Ridges are fitted on
{sample} other scenes, to the features of the true crops of c = 10. One pass answers for
the 166 windows of c = 10, and the whole image has a crop of its own in all of them.
*1 x* is a picture as wide as the backbone's input. *ms* are decoding, resizing, the
tower and what is made of its map, on one core: the fastest of several passes that take
all ways in turn. *Cosine* is with the features of the true crops."""

_TOWERS = {
    "demo": ("## A ModifiedResNet: the demo backbone", """\
*Attention pool*: the pool looks at a window's own grid of places, which are averages of
the map by area (RegionCLIP's way); nothing is fitted. *Values*: its value and output
projections of the window's mean, without attention (MaskCLIP's). Of several passes
each window takes the one that shows it nearest to the size of the input."""),
    "vit": ("## A small ViT", """\
Five blocks, width 96, patches of 8 pixels, trained for this table on the demo's crops,
captions and losses with the demo backbone's frozen text tower and its features as
targets, for less than an hour of one core: far weaker than the demo backbone, so only
its own lines compare. *Values*: of the last block, without attention (MaskCLIP's);
*class token's attention*: its own in the last block, within the window."""),
}
