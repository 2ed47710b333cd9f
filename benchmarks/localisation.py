"""Does the box that is drawn hold the thing, and how long does it take?

    python benchmarks/localisation.py            # 100 scenes, about two minutes
    python benchmarks/localisation.py --n 20 --out /tmp/look.md

Writes docs/results/localisation.md.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from detail_embed.demo.fiftyone_home import isolate  # noqa: E402

isolate(ROOT / ".benchmarks/home")  # before FiftyOne is imported

import fiftyone as fo  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torchvision.ops import box_iou  # noqa: E402

from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402
from detail_embed.clver_ds import generate  # noqa: E402
from detail_embed.cover.patches import relative  # noqa: E402
from detail_embed.demo.home_database import start_database  # noqa: E402
from detail_embed.fiftyone_bridge.compute import compute_index  # noqa: E402
from detail_embed.fiftyone_bridge.index import feature_stores  # noqa: E402
from detail_embed.fiftyone_bridge.index.index import Index  # noqa: E402
from detail_embed.fiftyone_bridge.index.settings import Settings  # noqa: E402
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds  # noqa: E402
from detail_embed.fiftyone_bridge.where.show_where import show_where  # noqa: E402
from detail_embed.patch_search.localise import localise  # noqa: E402
from detail_embed.patch_search.rerank import rerank  # noqa: E402
from detail_embed.texts.templates import encode_queries  # noqa: E402

OUT = ROOT / "docs/results/localisation.md"
_SEED = 8301  # 8201 to 8203 are those that the method was tuned on
_SMALLEST = 0.05
_EDGES = (0, 0.05, 0.08, 0.12, 0.2, 1)
_HITS = 25
_RUNS = 7
_TITLE = """\
# Where: does the box that is drawn hold the thing?

CLVER-DS scenes of 1120 px, the demo backbone, cover 10, stored features in float16. A
*correct hit* is an image that shows a class and is among the first k of a full patch
search for it, k the number of images that show it. The top box of `localise` is right
if it holds the centre of an object of that class; *IoU* is the mean of its best overlap
with one. The baseline is the best window, the patch with the highest cosine. *Side* is
the square root of the share of the image that the largest object of the class takes.

"""
_CAVEATS = """\
## How the method was found, and how far to trust it

Tuned on scenes of other seeds: on 120 of 1120 x 1120 the top box held the centre in
99.5 % of the correct hits at sides of 0.05 and more, at mean IoU 0.51; on 60 of
1600 x 900 in 99.6 %, at 0.55. The best window: 90.1 %, 0.31, and 91.3 %, 0.33. Tried
there and left out:

- windows that count alike for all cells they cover, not most at their centre: 98.8 %,
  IoU 0.48;
- a search for the box whose expected scores correlate best with those of the windows,
  on 60 scenes: 83 to 94 %, IoU 0.45 to 0.53, by its settings. Tighter on small things,
  but it missed a quarter of their centres;
- boxes in the order of the window that says most for each peak, not of the best window
  that holds it: 95 %.

How far to trust it:

- A thing of half a window's side gets a box larger than itself: windows say no more.
- Scores within one image do not tell whether the thing is shown: the best score of an
  image does that. A picture without the thing gets a box too, with a low score.
- A second box needs a peak half as high as the first. With the scores of two classes
  that an image shows put together, 90 % of the things were in a box, with 0.08 wrong
  boxes an image (120 scenes, made-up test: no class is shown twice often enough).
- The time depends on what else runs: an earlier run of the same command, when other
  work kept both cores busy, had a median of 0.71 s (0.61 to 2.07 s).
- One world of plain backgrounds, one small backbone: nothing here says how it does with
  real photographs and real CLIP models.
"""


@dataclass(frozen=True)
class Hit:
    """A correct hit, and how well it was localised.

    Attributes:
        side: of the largest object of the class
        ours: whether the top box holds a centre, and its IoU
        window: the same of the best window
    """

    side: float
    ours: tuple[bool, float]
    window: tuple[bool, float]


def prepare(folder: Path, n: int, seed: int) -> fo.Dataset:
    """Makes scenes, and their index with stored features."""
    generate(folder, n, seed=seed, num_workers=2, progress=True)
    dataset = load_clver_ds(folder, persistent=False)
    settings = Settings(
        backbone=DEMO, fuser="mean", device="cpu", keep_features="float16"
    )
    compute_index.compute(Index.of(dataset, "detail"), dataset, settings).finish(
        progress=True
    )
    return dataset


def hits(dataset: fo.Dataset, backbone: Backbone) -> Iterator[Hit]:
    """Localises every correct hit."""
    cover = Settings(backbone=DEMO, fuser="mean").make_space(backbone).patch_slug
    store = feature_stores.find(dataset, cover)
    shown: dict[str, dict[str, list]] = {}
    ids, objects = dataset.values(["id", "ground_truth.detections"])
    for id, some in zip(ids, objects):
        for thing in some:
            places = shown.setdefault(thing.label, {})
            places.setdefault(id, []).append(thing.bounding_box)
    words = sorted(shown)
    queries = encode_queries(backbone, words)
    found = rerank(queries, ids, store)
    for word, query, order, patches in zip(
        words, queries, found.order, found.patches
    ):
        truth = shown[word]
        for place, patch in zip(order[: len(truth)], patches):
            if ids[place] in truth:
                image = store[ids[place]]
                top = localise(image.features, image.boxes, image.levels, query, 1)
                window = relative(image.boxes, np.array([patch]))
                boxes = np.array(truth[ids[place]])
                side = float(np.sqrt(boxes[:, 2:].prod(axis=1).max()))
                yield Hit(side, judge(top.boxes, boxes), judge(window, boxes))


def judge(box: np.ndarray, truth: np.ndarray) -> tuple[bool, float]:
    """Whether a box holds the centre of one of some objects, and its best IoU.

    Args:
        box: ``(m, 4)`` left, top, width, height; the first counts
        truth: ``(n, 4)`` likewise
    """
    if not len(box):
        return False, 0.0
    centres = truth[:, :2] + truth[:, 2:] / 2
    ends = box[0, :2] + box[0, 2:]
    holds = ((box[0, :2] <= centres) & (centres <= ends)).all(axis=1).any()
    corners = [
        torch.from_numpy(np.concatenate([x[:, :2], x[:, :2] + x[:, 2:]], axis=1))
        for x in (box[:1].astype(float), truth)
    ]
    return bool(holds), float(box_iou(*corners).max())


def seconds(dataset: fo.Dataset, word: str) -> list[float]:
    """Durations of showing where in 25 hits, with all that is written."""
    view = dataset.sort_by_similarity(word, brain_key="detail", k=_HITS)
    show_where(
        Index.of(view, "detail"), view, word
    ).finish()  # loads the backbone and makes the fields
    times = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        show_where(Index.of(view, "detail"), view, word).finish()
        times.append(time.perf_counter() - started)
    return times


def report(found: list[Hit], times: list[float]) -> str:
    """Lays the numbers out as Markdown."""
    lines = [
        "| side | correct hits | right | IoU | right: best window | IoU |",
        "|--|--|--|--|--|--|",
    ]
    for low, high in zip(_EDGES, _EDGES[1:]):
        some = [hit for hit in found if low <= hit.side < high]
        lines.append(_row(f"{low:g} to {high:g}", some))
    lines.append(_row(f"**{_SMALLEST:g} and more**",
                      [hit for hit in found if hit.side >= _SMALLEST]))
    lines += [
        "",
        f"`show_where` on {_HITS} hits with stored features, boxes and heat maps "
        f"written to MongoDB: median {np.median(times):.2f} s, {min(times):.2f} to "
        f"{max(times):.2f} s in {len(times)} runs (backbone warm, the text encoded "
        f"each time), at a load average of {os.getloadavg()[0]:.1f}.",
    ]
    return "\n".join(lines)


def _row(title: str, some: list[Hit]) -> str:
    if not some:
        return f"| {title} | 0 | | | | |"
    cells = []
    for name in ("ours", "window"):
        right, overlap = zip(*(getattr(hit, name) for hit in some))
        cells += [f"{100 * np.mean(right):.1f} %", f"{np.mean(overlap):.2f}"]
    return f"| {title} | {len(some)} | {' | '.join(cells)} |"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100, help="scenes")
    parser.add_argument("--seed", type=int, default=_SEED, help="of the scenes")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    start_database()
    logging.getLogger("detail_embed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DETAIL_EMBED_DATA"] = str(Path(folder) / "data")
        dataset = prepare(Path(folder) / "scenes", args.n, args.seed)
        try:
            backbone = Backbone.load(DEMO, device="cpu")
            found = list(hits(dataset, backbone))
            word = dataset.first().ground_truth.detections[0].label
            numbers = report(found, seconds(dataset, word))
        finally:
            dataset.delete()
    machine = (f"{os.cpu_count()} cores ({platform.machine()}), "
               f"{torch.get_num_threads()} threads, no GPU used")
    head = f"{args.n} scenes of seed {args.seed}; {machine}, {datetime.date.today()}."
    args.out.write_text(f"{_TITLE}{head}\n\n{numbers}\n\n{_CAVEATS}", "utf-8")
    print(args.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
