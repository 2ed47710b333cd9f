"""Does the model look at things: its attention on the pixels of things, and beside.

    python benchmarks/attention.py             # 40 scenes, some minutes

Writes docs/results/attention.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from scipy.stats import rankdata  # noqa: E402

from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.clver_ds import generate  # noqa: E402
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS  # noqa: E402
from detail_embed.cover import CompleteCover  # noqa: E402
from detail_embed.engine.encode_attention import iter_attention  # noqa: E402
from detail_embed.evaluation import bootstrap  # noqa: E402

_SEED = 9201  # 9101 is of the scenes on which ways to lay maps over were compared
_COVERS = {
    "the whole image, once": "none", "c = 5, 39 windows": 5, "c = 10, 166 windows": 10
}
_EDGES = (0, 0.05, 0.1, 0.2, 1)
_PAGE = """\
# Attention: does the model look at things?

Measured by `python benchmarks/attention.py`; {cores} cores, {machine}, no GPU;
{date}. {n} scenes of CLVER-DS of 1120 x 1120 pixels with four to eight things, on
backgrounds that the demo backbone never saw; `show_attention`'s heat maps, the last
layer. Each cell is the chance that a place on a thing is brighter than a place on the
background (AUC, 50 % is blind), with a 95 % bootstrap interval over images; by
*side*, the square root of the share of the image that a thing's box takes.

{table}

**Verdict.** A look at the whole image hardly tells where things are: the demo
backbone has four places in it. The windows of the cover, which are what the vectors
of an index are made of, do. So the windows are the default. (Milliseconds: on cores
that others kept busy, with decoding.)

How the maps of windows are laid over each other was chosen on 24 scenes of another
seed: the mean of windows, then of levels, 90 %; the geometric mean of levels 92 %;
the best window that holds a place 81 %; the finest level alone 70 %; windows that
count most about their centres, no better than all alike; a map divided by what it has
in all, 88 %.

How far to trust it:

- That the model looks at a thing does not say that it knows it, or that it is what
  was looked for: the heat map is the same for every prompt. Attention is not an
  explanation of a score: what a place adds to the vector is in its value, not in its
  share of attention.
- The demo backbone is a small ResNet with one layer of attention. No trained vision
  transformer was at hand: that their maps are their attention is tested against
  softmax and roll-out by hand, for towers of open_clip and of timm; how well these
  tell things apart is not measured. Large ones are known to put much of it on a few
  places of plain background (arXiv 2309.16588).
"""


def main() -> None:
    """Measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/attention")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/attention.md")
    args = parser.parse_args()
    folder = args.home / f"scenes-{args.n}"
    generate(folder, args.n, seed=_SEED, bank="things", backgrounds=UNSEEN_KINDS)
    page = _PAGE.format(
        cores=os.cpu_count(), machine=platform.machine(),
        date=datetime.date.today().isoformat(), n=args.n, table=_table(folder),
    )
    args.out.write_text(page, "utf-8")
    print(page)


def _table(folder: Path) -> str:
    coco = json.loads((folder / "annotations.json").read_text("utf-8"))
    things: dict[int, list[list[float]]] = {}
    for note in coco["annotations"]:
        things.setdefault(note["image_id"], []).append(note["bbox"])
    items = [(i["id"], str(folder / "images" / i["file_name"])) for i in coco["images"]]
    backbone = Backbone.load("detail-demo", device="cpu")
    sides = [f"{a:g} to {b:g}" for a, b in zip(_EDGES, _EDGES[1:])]
    lines = [f"| looked at | all things | {' | '.join(sides)} | ms an image |"]
    lines.append("| --- " * (len(sides) + 3) + "|")
    for name, c in _COVERS.items():
        started = time.perf_counter()
        looks = list(iter_attention(items, backbone, CompleteCover(c)))
        spent = 1e3 * (time.perf_counter() - started) / len(items)
        cells = []
        for low, high in [(0, 1), *zip(_EDGES, _EDGES[1:])]:
            found = (_auc(look.heat, things[look.item[0]], low, high) for look in looks)
            cells.append(_cell(np.array([each for each in found if each is not None])))
        lines.append(f"| {name} | {' | '.join(cells)} | {spent:.0f} |")
    return "\n".join(lines)


def _auc(
    heat: np.ndarray, boxes: list[list[float]], low: float, high: float
) -> float | None:
    """Cells of things between two sides against those of no thing; None without."""
    size = 1120
    things, others = np.zeros((2, *heat.shape), bool)
    for x, y, w, h in boxes:
        rows, columns = (
            slice(int(start / size * cells), int(np.ceil(end / size * cells)))
            for start, end, cells in (
                (y, y + h, heat.shape[0]), (x, x + w, heat.shape[1])
            )
        )
        is_meant = low < np.sqrt(w * h) / size <= high
        (things if is_meant else others)[rows, columns] = True
    if not things.any():
        return None
    on, off = heat[things], heat[~things & ~others]
    ranks = rankdata(np.concatenate([on, off]))[: len(on)].sum()
    return float((ranks - len(on) * (len(on) + 1) / 2) / (len(on) * len(off)))


def _cell(values: np.ndarray) -> str:
    low, high = bootstrap(values)
    return f"{100 * values.mean():.1f} % ({100 * low:.0f} to {100 * high:.0f})"


if __name__ == "__main__":
    main()
