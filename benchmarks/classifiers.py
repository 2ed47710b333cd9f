"""Classifiers from labels: which kind is best for what, by the number of examples.

    python benchmarks/classifiers.py --work /tmp/classifiers

Makes CLVER-DS scenes, small things and large ones, whose class is the shape of a solid
(two other things beside it if it is small), and takes real images that packages ship:
handwritten digits (scikit-learn), faces and other cut-outs, and photographs of surfaces
(scikit-image). Half of each set is measured on, the examples are drawn from the other.
Prints tables in Markdown, and writes a plot beside the features.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _classifier_sets import SETS, Images  # noqa: E402

from detail_embed import classifiers, fusers  # noqa: E402
from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402
from detail_embed.classifiers import Bags, VectorBags  # noqa: E402
from detail_embed.classifiers.captions import captions  # noqa: E402
from detail_embed.classifiers.curve import CurvePoint, curve_in_steps  # noqa: E402
from detail_embed.cover import CompleteCover  # noqa: E402
from detail_embed.evaluation.curve_plot import plot_curve  # noqa: E402
from detail_embed.features import FeatureStore  # noqa: E402
from detail_embed.space import DetailEmbedder  # noqa: E402

SHOTS = (0, 1, 2, 4, 8, 16)
EVERYTHING = 10**6  # examples of each class: all that there are


class StoredBags:
    """All patches of images, read from a store."""

    def __init__(self, store: FeatureStore, ids: list[str]):
        self._store, self._ids, self.dim = store, ids, store.dim

    def __len__(self) -> int:
        return len(self._ids)

    def batch(self, numbers: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Reads some of them."""
        return self._store.batch([self._ids[number] for number in numbers])


def ways(images: Images, folder: Path, backbone: Backbone) -> Iterator[tuple]:
    """What classifiers are trained on: a title, a kind, and the vectors."""
    cover = CompleteCover(images.cover)
    embedder = DetailEmbedder(
        backbone, cover, fusers.create("mean", dim=backbone.dim)
    )
    embedder.embed_files(images.paths, features=folder)
    store = FeatureStore.open(folder)
    ids = [str(path) for path in images.paths]
    patches = [store.features(id) for id in ids]
    whole = VectorBags(torch.stack([one[0] for one in patches]).numpy())
    yield "linear, whole image", "linear", whole
    yield "prompts, whole image", "prompts", whole
    if images.pixels is not None:
        yield "linear, pixels (no CLIP)", "linear", VectorBags(images.pixels)
    if images.cover > 1:
        fuser = fusers.create("gmp", dim=backbone.dim)
        fuser.fit(torch.cat([one[::4] for one in patches]))
        one = VectorBags(torch.cat([fuser(one[None]) for one in patches]).numpy())
        yield "linear, one vector (gmp)", "linear", one
        yield "prompts, one vector (gmp)", "prompts", one
        yield "multiple-instance", "multiple-instance", StoredBags(store, ids)


def measure(
    kind: str, bags: Bags, images: Images, backbone: Backbone, draws: int
) -> list[CurvePoint]:
    """The curve of a kind of classifier, and all examples as its last point."""
    texts = [text for name in images.classes for text in captions(name)]
    encoded = backbone.encode_texts(texts).cpu().unflatten(0, (images.count, -1))
    targets = np.eye(images.count, dtype=bool)[images.numbers]
    points = []
    for shots, times in ((SHOTS, draws), ((EVERYTHING,), 1)):
        steps = curve_in_steps(
            classifiers.create(kind), bags, targets, False, encoded, shots, times
        )
        while True:
            try:
                next(steps)
            except StopIteration as end:
                points += end.value
                break
    return points


def line(title: str, points: list[CurvePoint], seconds: float) -> str:
    """A line of the table: percent that is right, with its interval."""
    found = {point.shots: point for point in points}
    cells = [title]
    for shots in (*SHOTS, EVERYTHING):
        point = found.get(shots)
        text = "" if point is None else f"{100 * point.mean:.1f}"
        if point is not None and point.low is not None:
            text += f" ({100 * point.low:.0f}–{100 * point.high:.0f})"
        cells.append(text)
    return "| " + " | ".join([*cells, f"{seconds:.0f}"]) + " |"


def main(argv: list[str] | None = None) -> None:
    """Measures every set that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="for scenes, features")
    parser.add_argument("--n", type=int, default=240, help="images of a set, at most")
    parser.add_argument("--draws", type=int, default=3, help="of the examples")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    asked = parser.parse_args(argv)
    backbone = Backbone.load(DEMO, device="cpu")
    for name in asked.sets:
        folder = asked.work / name
        images = SETS[name](folder, asked.n)
        print(f"\n## {name}: {images.what}\n")
        print(
            f"{len(images.paths)} images, {images.count} classes, cover "
            f"{images.cover}; right by chance "
            f"{100 * np.bincount(images.numbers).max() / len(images.numbers):.1f} %\n"
        )
        shown = ["by names", *map(str, SHOTS[1:]), "all (half)"]
        print("| " + " | ".join(["", *shown, "seconds"]) + " |")
        print("|" + "--|" * (len(shown) + 2))
        curves = []
        for title, kind, bags in ways(images, folder / "features", backbone):
            started = time.monotonic()
            points = measure(kind, bags, images, backbone, asked.draws)
            print(line(title, points, time.monotonic() - started), flush=True)
            curves += [
                CurvePoint(title, p.shots, p.mean, p.low, p.high, p.draws)
                for p in points
                if p.shots in SHOTS
            ]
        plot_curve(curves, folder / "curve.png", images.what)


if __name__ == "__main__":
    main()
