"""The rows as Markdown."""

from __future__ import annotations

import datetime

from _league.report import _machine, _markdown

from benchmarks._patch_search.data import NOISE
from benchmarks._patch_search.engines import Ours

_OURS, _BARE = Ours.names
_HEAD = ["engine", "bytes/patch", "bytes/image", "build s", "median ms", "p95 ms",
         "recall@25", "mAP@25", "mAP"]
_KEYS = ["engine", "bytes_per_patch", "bytes_per_image", "build_s", "median_ms",
         "p95_ms", "recall_25", "map_25_share", "map_share"]


def report(rows: list[dict]) -> str:
    """Lays the rows out as Markdown.

    Args:
        rows: what :func:`_patch_search.run.run` returns
    """
    sizes = sorted({int(row["images"]) for row in rows})
    few = sizes[0]
    parts = [_INTRODUCTION.format(
        machine=_machine(), date=datetime.date.today().isoformat(), few=few,
        noise=NOISE,
    )]
    for n in sizes:
        made = "real scenes" if n == few else "resampled"
        parts += [f"## {n:,} images ({made})\n", _table(rows, n)]
    parts += ["## Bars\n", _bars(rows, few, sizes[-1]), _CHOICE]
    return "\n".join(parts)


_INTRODUCTION = """# Full patch search: engines side by side

Measured by `python benchmarks/patch_search.py` with the demo backbone (d = 256) on
CLVER-DS, 166 patches an image; {date};
{machine}, held to one.
Times are seconds and milliseconds of the processor, one thread: those of the wall on a
core that does nothing else. Rows may be of several starts of the command, and other
programs, which take caches and bandwidth, may have run beside it.

The smallest set is {few:,} real scenes on backgrounds that the backbone does not know.
The larger ones are resampled from it: an image takes each of its windows from a scene
drawn at random, and noise of length {noise} is added to every patch of length 1. Real
images repeat themselves more from window to window, and less from image to image: here
the best 25 of 10,000 images are near copies of one another, and harder to tell apart.

Queries are the held-out words that a scene shows, one at a time, for 25 images; files
are in the page cache. Recall@25 is the share of exact MaxSim's first 25 images. mAP is
given as a share of exact MaxSim's, for the first 25 images that are asked for, and for
the whole ranking. Re-ranking reads the best 4 candidates per image asked for in the
feature store (532 bytes a patch, on the disk), so that a whole ranking that is
re-ranked is exact but for images that were not found: the engine's own is the row
without. LanceDB's bytes are its index without the rows, which hold the features too.
All lists are as many, and as many are probed, but for the graphs, which have none.
"""


_CHOICE = """## Why RaBitQ with two bits

Of FAISS' engines with at most 100 bytes a patch it misses least of MaxSim's first
images, with or without re-ranking. One bit takes half the bytes and less than half the
time to build, and by mAP does as well on the real scenes; where many more images than
the candidates are nearly as good it falls far behind. A product quantizer of 64 bytes
comes close, is built faster, and takes twice as long to scan; in four-bit steps it
scans fastest and loses more. At these bytes none does without re-ranking.

LanceDB and usearch were measured where they could be built in the time given. LanceDB
finds as much on the real scenes, in half the bytes with one bit, but takes 2 to 4 times
as long a query and 10 to 30 times as long to build, and holds the features in its own
rows, so that they are stored twice beside a feature store. usearch with one byte a
dimension needs no re-ranking, at 4 times the bytes; its graph alone takes more than
100.

The others fall on the resampled images as these get more: each patch then has as many
near copies as the set is larger than the real one, and only so many candidates are
ranked again. Real images are not such copies; how far they are from it at that size was
not measured. PatchIndex puts 4,000 patches in their exact order, each a row of the
store, before it reads all patches of the best 100 images; the version before read these
alone, and found 0.881 at 100,000 images.

The rows of PatchIndex, and of the same codes without re-ranking, are of 2026-11-29, on
an Intel Xeon that other programs used (`--engines PatchIndex`); all others are of
2026-11-21, on an AMD EPYC. Milliseconds of both are not to be compared.

## How to run it

    pip install faiss-cpu lancedb usearch
    taskset -c 0 python benchmarks/patch_search.py --images 1000 10000 100000

Without LanceDB and usearch it measures the others. Rows that are in the CSV file are
not measured again.
"""


def _table(rows: list[dict], n: int) -> str:
    """Every engine at one size; what was not measured says why."""
    found: list[list[str]] = []
    left: dict[str, list[str]] = {}
    for row in rows:
        if int(row["images"]) != n:
            continue
        if row["note"]:
            left.setdefault(row["note"], []).append(row["engine"])
        else:
            found.append([_cell(key, row[key]) for key in _KEYS])
    notes = [f"- {'; '.join(names)}: {note}\n" for note, names in left.items()]
    return "\n".join([_markdown(_HEAD, found), *(["".join(notes)] if notes else [])])


def _cell(key: str, value: str) -> str:
    if key.endswith("_share") and value:
        return f"{100 * float(value):.1f} %"
    return f"{float(value):,.0f}" if key == "bytes_per_image" else value


def _bars(rows: list[dict], few: int, most: int) -> str:
    """The goals, each with what was reached."""
    held = {(int(row["images"]), row["engine"]): row for row in rows}
    small, large = held[few, _OURS], held[most, _OURS]
    bare = held[few, _BARE]
    bars = [
        ("at most 100 bytes a patch", small["bytes_per_patch"], 100, -1),
        ("% of MaxSim's mAP@25, at least", 100 * float(small["map_25_share"]), 98, 1),
        ("the same without re-ranking", 100 * float(bare["map_25_share"]), 98, 1),
        (f"ms for {most:,} images, at most", large["median_ms"], 100, -1),
    ]
    return _markdown(
        ["PatchIndex", "bar", "reached", "met"],
        [[name, str(bar), f"{float(got):.1f}",
          "yes" if sign * float(got) >= sign * bar else "no"]
         for name, got, bar, sign in bars],
    )
