"""The frontier as a page for a person."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Sequence

import torch

from benchmarks._frontier.coarse_to_fine import Rule
from benchmarks._frontier.knee import frontier, knee, undominated
from benchmarks._frontier.points import Point

_WIDTH = 50  # of the bars, in characters
_KEEP, _AT_MOST = 0.95, 0.5  # of c = 10: what a cover from coarse to fine is to do
_PATCHES: Callable[[Point], float] = lambda p: p.patches  # noqa: E731
_BYTES: Callable[[Point], float] = lambda p: p.bytes  # noqa: E731


def page(points: Sequence[Point], rules: Sequence[Rule], n: int, sample: int) -> str:
    """Lays the results out as Markdown."""
    words = {"date": datetime.date.today().isoformat(), "machine": _machine(),
             "n": n, "sample": sample}
    by_patches, by_bytes = frontier(points, _PATCHES), frontier(points, _BYTES)
    return "\n\n".join([
        _HEAD.format(**words),
        "## What an image takes", _COST, _cost_table(points),
        "## Every setting",
        _TABLE + ("" if any(p.c == "auto" for p in points) else _WITHOUT_AUTO),
        _settings(points, by_patches, by_bytes),
        "## The frontier", _FRONTIER,
        "### By patches: what is computed", _bars(by_patches, _PATCHES, "patches"),
        "### By bytes: what is kept", _bars(by_bytes, _BYTES, "bytes"),
        "## The form's qualities", _QUALITIES,
        "## From coarse to fine", _RULES, _rule_table(rules), _verdict(rules), _LIMITS,
    ]) + "\n"


def _machine() -> str:
    threads = torch.get_num_threads()
    return f"{os.cpu_count()} cores, {platform.machine()}, torch on {threads} of them"


def _cost_table(points: Sequence[Point]) -> str:
    firsts = list({p.c: p for p in reversed(points)}.values())[::-1]
    ten = next(p for p in firsts if p.c == 10)
    each = ten.cpu_ms / ten.patches
    return _markdown(
        ["c", "patches", "of c = 10", "ms", "processor ms", "patches x ms a patch"],
        [[_c(p), p.patches, f"{p.patches / ten.patches:.0%}", f"{p.encode_ms:.0f}",
          f"{p.cpu_ms:.0f}", f"{p.patches * each:.0f}"] for p in firsts],
    )


def _settings(
    points: Sequence[Point], by_patches: Sequence[Point], by_bytes: Sequence[Point]
) -> str:
    kept, best = undominated(points), [
        (line, knee(line, cost), letter)
        for line, cost, letter in (
            (by_patches, _PATCHES, "patches"), (by_bytes, _BYTES, "bytes")
        )
    ]
    rows = []
    for p in points:
        marks = ["yes"] if p in kept else []
        marks += [f"**knee by {letter}**" for _, bend, letter in best if bend is p]
        rows.append([
            _c(p), p.kept, p.patches, f"{p.ms:.0f}", f"{p.bytes:,.0f}",
            _percent(p, "all"), *_by_scale(p.map),
            ", ".join(marks),
        ])
    head = ["c", "vectors", "patches", "ms", "bytes", "mAP", *list(points[0].map)[1:],
            "on the frontier"]
    return _markdown(head, rows)


def _bars(
    line: Sequence[Point], cost: Callable[[Point], float], name: str
) -> str:
    bend = knee(line, cost)
    rows = [
        f"c = {_c(p):<11}{p.kept:>9} {cost(p):>9,.0f} {name}  "
        f"{'#' * round(_WIDTH * p.quality):<{_WIDTH}} {100 * p.quality:.1f}"
        f"{'  <- knee' if p is bend else ''}"
        for p in line
    ]
    return "```text\n" + "\n".join(row.rstrip() for row in rows) + "\n```"


def _rule_table(rules: Sequence[Rule]) -> str:
    full = rules[0]
    return _markdown(
        ["what is encoded", "patches", "of c = 10", "mAP", "of c = 10",
         *list(full.map)[1:], "report card"],
        [[r.name, _patches(r), f"{r.patches / full.patches:.0%}",
          f"{100 * r.map['all'][0]:.1f}", f"{r.map['all'][0] / full.map['all'][0]:.0%}",
          *_by_scale(r.map), "" if r.card is None else f"{100 * r.card:.1f}"]
         for r in rules],
    )


def _verdict(rules: Sequence[Rule]) -> str:
    full = rules[0]
    reached = [
        f"- {r.name}: {r.map['all'][0] / full.map['all'][0]:.1%} of the mAP at "
        f"{r.patches / full.patches:.0%} of the patches"
        for r in rules[1:]
        if r.map["all"][0] >= _KEEP * full.map["all"][0]
        and r.patches <= _AT_MOST * full.patches
    ]
    return (
        f"The bar: {_KEEP:.0%} of the mAP at no more than {_AT_MOST:.0%} of the "
        "patches. It is reached by:\n\n"
    ) + "\n".join(reached or ["- nothing here"])


def _c(point: Point) -> str:
    return str(point.c)


def _patches(rule: Rule) -> str:
    spread = "" if rule.least is None else f" ({rule.least}-{rule.most})"
    return f"{rule.patches:.0f}{spread}"


def _by_scale(found: dict[str, tuple[float, float, float]]) -> list[str]:
    return [f"{100 * mean:.1f}" for mean, *_ in list(found.values())[1:]]


def _percent(point: Point, scale: str) -> str:
    mean, low, high = (100 * value for value in point.map[scale])
    return f"{mean:.1f} ({low:.0f}-{high:.0f})"


def _markdown(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


_HEAD = """# What quality costs

Measured by `python benchmarks/frontier.py`, demo backbone, CLVER-DS;
{machine}, no GPU; {date}.
{n} scenes of 1120 x 1120 pixels to search in, {sample} others of the same kind to fit
on; backgrounds that the backbone never saw; things' held-out words, which nothing was
fitted on. mAP in %, in brackets the 95 % bootstrap interval over words; by
scale, the square root of the share of the image that a thing's box takes. The command
draws the frontier, too, into `frontier.png` beside its features."""

_COST = """Decoding, cutting and encoding: the fastest of several passes that take all
covers in turn, on a machine that others load, too; by the clock, and of the processor,
which others' load changes less. In the last column the processor's milliseconds of a
patch of c = 10. The demo backbone takes little a patch; with ViT-B-32, which
encodes 18 patches a second on such a machine
([performance](../performance.md#embedding)), a patch is 55 ms, and only their number
counts. "auto" is as fine as the backbone can use: for a CLIP of 224 pixels that is
c = 5 for these scenes, for the demo backbone of 64 it would be c = 15, 355 patches."""

_TABLE = """Vectors: 1 by `gmp`, which needs no words; 1 by `ridge`, fitted on the words
of the demo that are not held out; 4, 8 and 16 as *Better* makes them; all patches as
float16 features. Milliseconds include making the vectors. On the frontier is a setting
for which no other finds as much with as few patches and as few bytes."""

_WITHOUT_AUTO = """

The demo backbone's own "auto" was left out of this run
(`--covers 3 4 5 6 8 10`); that of a CLIP is the line c = 5."""

_FRONTIER = """From cheap to dear, each setting that finds more than all that cost no
more. The knee is the one farthest above the line from the first to the last, both
axes scaled to 0..1."""

_QUALITIES = """Points of the frontier, chosen by this table:

- *Fast*: c = 4 and 8 vectors. It was c = 10 and one vector by `gmp`, the line that
  finds least of all: now less than a fifth of the patches finds several times as much,
  for 8 times the bytes.
- *Better*: c = 5 and up to 16 vectors, the knee by patches. It was c = 10 with as many
  vectors, the knee by bytes, which finds more for 4 times the patches, and still is
  what *Best* has beside its patches.
- *Best*: c = 10, up to 16 vectors, and all patches kept, as before; Python's defaults.

An index keeps the settings it was made with: it is searched, updated and goes on as it
is, whatever the qualities become. Choosing *Fast* or *Better* for the name of an index
that an earlier version made asks for another name, or to start over, as ever where the
settings differ; to go on with it, *Update* it, or name its cover and vectors under
*Advanced*."""

_RULES = """First the coarse windows of c = 10 are encoded (sides of 0.3 of the image
and more: 30 patches), then those of the fine ones, 0.2 and 0.1, that a rule names; in
brackets the patches of 90 % of the images. All was computed from features of all
windows. The rule, and the limit above which it names a window, are fitted on half of
the sample: on what a window adds for words of a vocabulary to what the coarse ones
answer already, without labels. The report card is made of the other half: what is
kept of the best hits of c = 10 for words that no rule was fitted on. mAP is that of a
search by all patches that were encoded."""

_LIMITS = """A window's own pixels, which are cut anyhow, do nearly as well alone as
with the feature of its parent: then nothing has to wait for the coarse windows. By the
range of grey levels windows without detail are left out by `skip_flat=True` (below 16
levels); here the sample sets the limit. A fitted rule names more windows of new images
than its limit left on the images it was fitted on.

These scenes have calm backgrounds. Photographs have more edges: of 13 of them the
limits that `less_work.py` tries leave out half as many windows as of scenes
([performance](../performance.md#less-work)). So the saving is not to be promised, but
measured on the user's own sample: `skip_flat="auto"` does so, and what it saves and
costs is in [flat-windows.md](flat-windows.md). The form's qualities encode all windows
of their cover."""
