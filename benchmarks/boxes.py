"""How much is to be added around a known box: search and zero-shot classes by size.

    python benchmarks/boxes.py --n 100 --seeds 4301 4302 4303

Makes CLVER-DS scenes on backgrounds that nothing was tuned on, encodes the box of each
thing with several paddings, and compares it with the words of all things.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed import clver_ds  # noqa: E402
from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS  # noqa: E402
from detail_embed.cover import CompleteCover  # noqa: E402
from detail_embed.cover.complete_cover import NO_COVER  # noqa: E402
from detail_embed.engine.box_patches import Boxes, ImageBoxes  # noqa: E402
from detail_embed.engine.encode_files import iter_patch_features  # noqa: E402
from detail_embed.evaluation.metrics import average_precision  # noqa: E402
from detail_embed.texts.templates import encode_queries  # noqa: E402

OUT = Path(__file__).parents[1] / "docs/results/boxes.md"
PADDINGS = (0.0, 0.05, 0.1, 0.25, 0.5)
JITTER = 0.1  # of a box's sides: how far each edge is off where labels are not exact
SIDES = (0.05, 0.1, 0.2, 1.0)  # where bins of a thing's share of the side end
_SMALL = 0.1
_LARGER = 3.0  # times the side of the small thing
_NEAR = 0.5  # of its longer side


@dataclass
class Things:
    """The things of some scenes.

    Attributes:
        items: ids and paths of the scenes
        boxes: of each scene
        labels: ``(n,)`` the word of each thing, a number
        words: the words
        sides: ``(n,)`` share of the image's side
        beside: ``(n,)`` bool, small and beside one that is much larger
    """

    items: list[tuple[int, str]]
    boxes: dict[int, ImageBoxes]
    labels: np.ndarray
    words: list[str]
    sides: np.ndarray
    beside: np.ndarray


def load(folder: Path) -> Things:
    """Reads what :func:`detail_embed.clver_ds.generate` wrote, but unseen things."""
    coco = json.loads((folder / clver_ds.ANNOTATIONS).read_text("utf-8"))
    names = {c["id"]: c["name"] for c in coco["categories"] if not c["unseen"]}
    words = sorted({names[a["category_id"]] for a in coco["annotations"]
                    if a["category_id"] in names})
    labels, sides, beside, boxes, items = [], [], [], {}, []
    for image in coco["images"]:
        size = np.array([image["width"], image["height"]] * 2)
        notes = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        every = np.array([a["bbox"] for a in notes], float).reshape(-1, 4)
        wanted = [i for i, a in enumerate(notes) if a["category_id"] in names]
        items.append((image["id"], str(folder / clver_ds.IMAGES / image["file_name"])))
        boxes[image["id"]] = ImageBoxes([*map(str, wanted)], every[wanted] / size)
        labels += [words.index(names[notes[i]["category_id"]]) for i in wanted]
        side = np.sqrt(every[:, 2:].prod(axis=1) / size[:2].prod())
        sides += side[wanted].tolist()
        beside += [_is_beside(every[i], side[i], every, side) for i in wanted]
    return Things(items, boxes, np.array(labels), words, np.array(sides),
                  np.array(beside))


def _is_beside(
    box: np.ndarray, own: float, boxes: np.ndarray, sides: np.ndarray
) -> bool:
    """Whether a box is small and another, much larger one is near it or behind it."""
    low = np.maximum(boxes[:, :2] - (box[:2] + box[2:]),
                     box[:2] - (boxes[:, :2] + boxes[:, 2:]))
    near = (low <= _NEAR * box[2:].max()).all(axis=1)
    return bool(own <= _SMALL and (near & (sides >= _LARGER * own)).any())


def moved(boxes: ImageBoxes, seed: int) -> ImageBoxes:
    """Boxes as people, or detectors, draw them: each edge is somewhat off."""
    off = np.random.default_rng(seed).uniform(-JITTER, JITTER, boxes.boxes.shape)
    sides = boxes.boxes[:, 2:]
    low = boxes.boxes[:, :2] + off[:, :2] * sides
    high = boxes.boxes[:, :2] + sides + off[:, 2:] * sides
    return replace(boxes, boxes=np.concatenate([low, high - low], axis=1))


def encode(
    things: Things, backbone: Backbone, padding: float, is_exact: bool
) -> np.ndarray:
    """``(n, d)`` vectors of the boxes alone."""
    held = things.boxes
    if not is_exact:
        held = {id: moved(boxes, id) for id, boxes in held.items()}
    boxes = Boxes(lambda ids: {id: held[id] for id in ids}, padding)
    uncovered = {id for id, _ in things.items}
    found = iter_patch_features(
        things.items, backbone, CompleteCover(NO_COVER), boxes=boxes,
        uncovered=uncovered,
    )
    return np.concatenate([image.boxes.encoded.numpy() for image in found])


def measure(
    things: Things, vectors: np.ndarray, texts: np.ndarray
) -> dict[str, tuple[int, float, float]]:
    """By group of things: how many, percent classified right, mAP of box search."""
    scores = vectors @ texts.T
    right = scores.argmax(axis=1) == things.labels
    shown = things.labels == np.arange(len(things.words))[:, None]
    found = {}
    for name, group in groups(things).items():
        precision = average_precision(scores.T, shown & group, shown & ~group)
        found[name] = (
            int(group.sum()), 100 * right[group].mean(), 100 * np.nanmean(precision)
        )
    return found


def groups(things: Things) -> dict[str, np.ndarray]:
    """The groups of things that are measured, ``(n,)`` bool each."""
    found, start = {"all": np.ones(len(things.sides), bool)}, 0.0
    for end in SIDES:
        name = f"{100 * start:g} to {100 * end:g} %"
        found[name] = (things.sides > start) & (things.sides <= end)
        start = end
    return found | {"small beside large": things.beside}


def report(results: Sequence[dict[float, dict[str, tuple[int, float, float]]]]) -> str:
    """Lays the means of all seeds out as Markdown.

    Args:
        results: of each seed, by padding, those of :func:`measure`
    """
    names = list(results[0][PADDINGS[0]])
    lines = []
    for title, place in (("zero-shot accuracy, %", 1), ("mAP of box search, %", 2)):
        lines += [f"| {title} | {' | '.join(names)} |", "|--" * (len(names) + 1) + "|"]
        for padding in PADDINGS:
            values = [np.mean([r[padding][n][place] for r in results]) for n in names]
            cells = " | ".join(f"{value:.1f}" for value in values)
            lines.append(f"| padding {padding:g} | {cells} |")
        lines.append("")
    counts = [sum(r[PADDINGS[0]][n][0] for r in results) for n in names]
    lines.append(f"Things, all seeds: {', '.join(map(str, counts))}.")
    spread = [
        f"{padding:g}: " + ", ".join(f"{r[padding]['all'][2]:.1f}" for r in results)
        for padding in PADDINGS
    ]
    return "\n".join([*lines, f"mAP of all things by seed: {'; '.join(spread)}."])


def main() -> None:
    """Measures, prints, and writes the tables between the marks of the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100, help="scenes of a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[4301, 4302, 4303])
    parser.add_argument("--scenes", type=Path, help="a folder that keeps them")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    backbone, exact, off = Backbone.load(DEMO), [], []
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        for seed in arguments.seeds:
            folder = (arguments.scenes or Path(name)) / f"boxes-{seed}"
            clver_ds.generate(
                folder, arguments.n, seed=seed, backgrounds=UNSEEN_KINDS
            )
            things = load(folder)
            texts = encode_queries(backbone, things.words).numpy()
            for results, is_exact in ((exact, True), (off, False)):
                results.append({
                    padding: measure(
                        things, encode(things, backbone, padding, is_exact), texts
                    )
                    for padding in PADDINGS
                })
                print(report(results[-1:]), flush=True)
    numbers = (
        f"Exact boxes:\n\n{report(exact)}\n\nEach edge off by up to "
        f"{JITTER:.0%} of the box's side:\n\n{report(off)}"
    )
    print(numbers)
    command = f"python benchmarks/boxes.py --n {arguments.n} --seeds"
    command = " ".join([command, *map(str, arguments.seeds)])
    made = f"`{command}`, {datetime.date.today()}."
    before, _, rest = arguments.out.read_text().partition("<!-- tables -->\n")
    after = rest.partition("<!-- end -->")[2]
    arguments.out.write_text(
        f"{before}<!-- tables -->\n{made}\n\n{numbers}\n<!-- end -->{after}"
    )


if __name__ == "__main__":
    main()
