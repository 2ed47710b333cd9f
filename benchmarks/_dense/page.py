"""The measurements as a page for a person."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks._dense.measure import FEW, Row
from benchmarks._dense.uses import Where
from detail_embed.evaluation import bootstrap

_BARS = 4, 5, 6  # covers that one pass is to beat


def page(
    rows: dict[str, Sequence[Row]],
    others: tuple[dict[str, Where], dict[str, list[tuple[int, float, float]]]],
    counts: dict[str, int], sample: int,
) -> str:
    """Lays the results out as Markdown.

    Args:
        rows: of the demo backbone, ``"demo"``, of it on other scenes, ``"fresh"``,
            and of the small ViT, ``"vit"``
        others: of the demo backbone, as of ``World.uses``
        counts: scenes that were searched in
        sample: scenes that ridges were fitted on
    """
    machine = (f"{os.cpu_count()} cores, {platform.machine()}, torch on "
               f"{torch.get_num_threads()} of them, no GPU")
    command = " ".join(["python benchmarks/dense.py", *sys.argv[1:]])
    parts = [_HEAD.format(command=command, machine=machine, date=datetime.date.today(),
                          n=counts["demo"], sample=sample), _FOLLOWS]
    for name, some in rows.items():
        title, about = _TOWERS[name]
        about = about.format(n=counts[name], sample=sample // 5)
        parts += [title, about, table(some), verdict(some)]
        if name == "demo":
            parts.append(uses(some, *others))
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
    """How one pass compares with the crops of c = 4, 5 and 6, word by word."""
    crops = {row.method.crops: row for row in rows if row.method.crops in _BARS}
    lines = [["features of windows", *(f"c = {c}" for c in crops)]]
    lines.append(["---"] * len(lines[0]))
    for row in rows:
        if not row.method.crops:
            lines.append([row.method.name, *(_against(row, bar) for bar in
                                             crops.values())])
    found = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_AGAINST}\n\n{found}"


def uses(
    rows: Sequence[Row], places: dict[str, Where],
    proposals: dict[str, list[tuple[int, float, float]]],
) -> str:
    """Where a thing is, and which images are looked at closely, as tables."""
    times = {row.method.name: row.cpu_ms for row in rows}
    head = ["features of windows", "right", "IoU", "processor ms, stored",
            "processor ms, from the file"]
    lines = [head, ["---"] * len(head)]
    for name, w in places.items():
        lines.append([name, f"{100 * w.right:.1f} %", f"{w.iou:.2f}", f"{w.ms:.1f}",
                      f"{w.ms + times[name]:.0f}"])
    counts = [count for count, *_ in next(iter(proposals.values()))]
    tail = ["proposed by", *(f"best {k}: kept, mAP" for k in counts)]
    second = [tail, ["---"] * len(tail)]
    for name, some in proposals.items():
        second.append([name, *(f"{100 * kept:.0f} %, {100 * precision:.1f}"
                               for _, kept, precision in some)])
    tables = ["\n".join(f"| {' | '.join(line)} |" for line in some)
              for some in (lines, second)]
    hits = next(iter(places.values())).hits
    return "\n\n".join([_WHERE.format(hits=hits), tables[0], _PROPOSED, tables[1]])


def _against(row: Row, bar: Row) -> str:
    """Points of mAP more than a bar, word by word, and the share of its time."""
    more = 100 * (np.array(row.precisions) - np.array(bar.precisions))
    more = more[~np.isnan(more)]
    low, high = bootstrap(more)
    found = f"{more.mean():+.1f} ({low:+.1f} to {high:+.1f}), "
    found += f"{row.cpu_ms / bar.cpu_ms:.2f} x"
    return f"**{found}**" if low > 0 and row.cpu_ms <= bar.cpu_ms else found


_WHERE = """## Where a thing is

The top box of `localise`, as in [localisation](localisation.md), of {hits} correct hits
of the crops of c = 10 for held-out words: *right* if it holds the centre of such a
thing, and its best overlap with one. *Stored*: `localise` alone, where the features of
windows are kept; *from the file*: with decoding and encoding an image of which none
are."""

_PROPOSED = """## Which images to look at closely

The first images by each way, put into the order of the crops of c = 10: the share of
the 10 best of these crops that is among them, and the mAP of the whole order."""

_AGAINST = """Against fewer crops: points of mAP more, word by word, with the 95 %
bootstrap interval over words, and how many times the processor's time; bold where it
finds more, for sure, in no more time."""

_HEAD = """# Features of all windows from one pass

Measured by `{command}`, CLVER-DS;
{machine}; {date}.
Scenes, words and terms are those of the [frontier](frontier.md): {n} scenes of 1120 x
1120 pixels to search in, backgrounds that no backbone saw, things' held-out words, mAP
in % by the side of things, in brackets the 95 % bootstrap interval over words; an
image's best vector counts. Ridges are fitted on {sample} other scenes, to the features
of the true crops of c = 10. One pass answers for the 166 windows of c = 10; in the
lines of 3, 4 and 6 x, which the library makes, the whole image has its own crop.
*1 x* is a picture as wide as the backbone's input. *ms* are decoding, resizing, the
tower and what is made of its map, on one core that others load, too: the fastest of
several passes that take all ways in turn; of the processor's time the load changes
less. *Cosine* is with the features of the true crops."""

_FOLLOWS = """## What follows

- `features="dense"`, one pass of 4 x read by the attention pool, is a choice for a
  ModifiedResNet, in Python, and never the default. Where all patches are kept and
  searched it finds about what the crops of c = 5 find, in three quarters of their time,
  and what those of c = 6 find in half of it. Over the crops of c = 4, in no more time
  than theirs, it is 7.5 points ahead on the scenes on half of which its width was
  chosen, and 5.0 on fresh ones, fewer, where the interval just holds 0. It keeps 166
  vectors an image, 88 KB as float16, where c = 5 keeps 39, 21 KB.
- Not with a few vectors an image: 16 made of its windows find less than 16 made of the
  crops of c = 4. So the form and its qualities stay with crops.
- Three passes find as much as all crops of c = 10, or more, in somewhat less time. They
  are not built: the gain in time is small, and 16 vectors made of their windows find
  less than those of the crops of c = 5.
- A closed-form ridge to the true crops: no. It brings the features nearer to the crops'
  and finds less, above all of what is small. Nor MaskCLIP's values, which find less
  than the pool does in hardly less time.
- CLIPSelf on the user's images, about a minute of the processor for 100, in the one
  setting that was tried: no, in the same way. So it is no objective
  of a backbone's adaptation.
- For a ViT: not shown. The class token's attention within native tiles finds about what
  the crops of c = 4 find in at most their time; values and tokens, with a ridge or
  without, and larger pictures find far less. So `features="dense"` refuses a ViT.
- Where a thing is: one pass is tighter than the crops of c = 5 in less time, and looser
  than those of c = 10. An index of `features="dense"` shows where by its own windows;
  others are shown by their crops, as before.
- Proposals: its best images, ordered by crops of c = 10, come near the whole search by
  these, but crops of c = 5 propose about as well; and kept features make it needless.

How far to trust it: one world, one small tower that was trained on crops of all scales.
No weights of a real RN50 could be had where this was measured, so nothing here says
what one pass does on photographs; for a CLIP of 224 pixels the picture of 4 x has the
pixels of 16 crops, where c = 10 has 166 (counted, not measured). A GPU was not used."""

_TOWERS = {
    "demo": ("## A ModifiedResNet: the demo backbone", """\
*Attention pool*: the pool looks at a window's own grid of places, which are averages of
the map by area (RegionCLIP's way); nothing is fitted. *Values*: its value and output
projections of the window's mean, without attention (MaskCLIP's). Of several passes
each window takes the one that shows it nearest to the size of the input."""),
    "fresh": ("## The demo backbone on fresh scenes", """\
{n} scenes of another seed: the width of the pass was chosen on the first half of
those above."""),
    "vit": ("## A small ViT", """\
Five blocks, width 96, patches of 8 pixels, trained for this table (`--steps 500`, of
128 crops; here with a longer schedule at first, cut short for want of time) on the
demo's crops, captions and losses with the demo backbone's frozen text tower and its
features as targets: far weaker than the demo backbone, so only its own lines compare;
{n} scenes, ridges on {sample}. *Values*: of the last block, without attention
(MaskCLIP's); *class token's attention*: its own in the last block, within the
window. Every line of one pass computes what all kinds need, so its times are upper
bounds."""),
}
