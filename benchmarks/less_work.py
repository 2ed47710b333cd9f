"""What is saved by less work, and what it costs: flat windows, c="auto", twins.

``python benchmarks/less_work.py --n 100``: on CLVER-DS scenes the share of windows
that are flat and the mAP with and without them; ridge is fitted on other scenes and
the words of the demo's vocabulary. On the photographs that scikit-image, scikit-learn
and matplotlib ship, which have no labels, the share and how far scores move.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
import sklearn.datasets
import torch
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._scenes import scenes
from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.cover.flat_windows import FLAT_RANGE, parents, spread, stand_ins
from detail_embed.cover.patches import PatchSpec, extract_patches
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.evaluation import average_precision
from detail_embed.images.image_file import read_image
from detail_embed.images.reader import read_images
from detail_embed.texts.templates import encode_queries
from detail_embed.texts.text_cache import encode_vocabulary

RANGES = (0, 8, FLAT_RANGE, 24, 32, 48, 64)
PHOTOS = (
    "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg",
    "motorcycle_left.png", "ihc.png", "retina.jpg", "camera.png", "coins.png",
)


def photos() -> list[Path]:
    """Real photographs that installed packages bring along."""
    folder = Path(data.__file__).parent
    found = [folder / name for name in PHOTOS]
    found += map(Path, sklearn.datasets.load_sample_images().filenames)
    found.append(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg")
    return [path for path in found if path.is_file()]


def patches(
    paths: Iterable[Path], cover: CompleteCover, spec: PatchSpec
) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """Yields ``(p, 3, s, s)`` patches and ``(p,)`` parents of every image."""
    for image in read_images(paths):
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
        height, width = pixels.shape[1:]
        yield (
            extract_patches(pixels, cover, spec), parents(cover, width, height)
        )


def encode(
    paths: list[Path], cover: CompleteCover, backbone: Backbone
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Encodes all windows: ``(n, p, d)``, spreads ``(n, p)``, parents ``(p,)``."""
    features, spreads = [], []
    for cut, parent in patches(paths, cover, backbone.patch_spec):
        features.append(backbone.encode_patches(cut))
        spreads.append(spread(cut).numpy())
        same = parent  # all scenes are of one size
    return torch.stack(features), np.stack(spreads), same


def with_stand_ins(
    features: torch.Tensor, spreads: np.ndarray, parent: np.ndarray, limit: int
) -> torch.Tensor:
    """The features as they are where windows below a spread are flat."""
    rows = [stand_ins(flat, parent) for flat in spreads < limit]
    return torch.stack([image[row] for image, row in zip(features, rows)])


def skipped(spreads: np.ndarray, limit: int) -> float:
    """Share of windows that are not encoded; the whole image always is."""
    return float((spreads[:, 1:] < limit).sum() / spreads.size)


def flat_on_scenes(n: int, size_of_fit: int, backbone: Backbone) -> None:
    """Prints what is skipped and what mAP is left, for several limits."""
    cover = CompleteCover(10)
    with tempfile.TemporaryDirectory() as folder:
        fitted = scenes(Path(folder) / "fit", size_of_fit, 7201)
        queries = scenes(Path(folder) / "test", n, 7202)
        fit, test = (encode(q.paths, cover, backbone) for q in (fitted, queries))
    words = encode_vocabulary(backbone, demo_vocabulary().words)
    texts = encode_queries(backbone, queries.words)
    relevant = queries.target_scale > 0
    asked = relevant.any(axis=1)
    print(f"\nCLVER-DS, {n} scenes, c = 10, {asked.sum()} words")
    print("flat below   skipped   mAP ridge   mAP MaxSim")
    for limit in RANGES:
        seen = with_stand_ins(*fit, limit)
        ridge = fusers.create("ridge", backbone.dim).fit(
            fusers.FitSample.of_images(seen, proxies=words)
        )
        found = with_stand_ins(*test, limit)
        scores = {
            "ridge": texts @ ridge(found).T,
            "maxsim": torch.stack([(texts @ i.T).amax(1) for i in found], dim=1),
        }
        means = {
            name: 100 * np.mean(average_precision(s.numpy(), relevant)[asked])
            for name, s in scores.items()
        }
        share = 100 * skipped(test[1], limit)
        print(
            f"{limit:>10}   {share:5.1f} %   {means['ridge']:9.2f}   "
            f"{means['maxsim']:10.2f}", flush=True,
        )


def flat_on_photos(backbone: Backbone) -> None:
    """Prints what is skipped of photographs, and what becomes of their scores."""
    paths, cover = photos(), CompleteCover(10)
    large = [
        spread(cut).numpy() for cut, _ in patches(paths, cover, PatchSpec(224))
    ]
    images = [
        (backbone.encode_patches(cut), spread(cut).numpy(), parent)
        for cut, parent in patches(paths, cover, backbone.patch_spec)
    ]
    words = demo_vocabulary().words
    texts = encode_queries(backbone, words)
    everything = _best_scores(texts, images, 0)
    print(
        f"\n{len(paths)} photographs, c = 10; {len(words)} words: the photograph with "
        "the best patch, and how far\nscores of best patches move, in deviations of "
        "a word's scores\n"
        "              224 pixels: skipped, of the flattest   "
        f"{backbone.input_size} pixels: skipped, same best, moved"
    )
    for limit in RANGES:
        shares = [100 * skipped(s[None], limit) for s in large]
        small = [100 * skipped(s[None], limit) for _, s, _ in images]
        scores = _best_scores(texts, images, limit)
        same = (scores.argmax(1) == everything.argmax(1)).float().mean()
        moved = (scores - everything).abs().mean() / everything.std(dim=1).mean()
        print(
            f"flat below {limit:>2}:{np.mean(shares):17.1f} %{max(shares):15.1f} %"
            f"{np.mean(small):21.1f} %{100 * same:10.1f} %{moved:7.4f}"
        )


def _best_scores(
    texts: torch.Tensor,
    images: list[tuple[torch.Tensor, np.ndarray, np.ndarray]],
    limit: int,
) -> torch.Tensor:
    """Scores of the best patches, ``(words, images)``, without the flat ones."""
    best = [
        (texts @ features[stand_ins(spreads < limit, parent)].T).amax(1)
        for features, spreads, parent in images
    ]
    return torch.stack(best, dim=1)


def auto() -> None:
    """Prints the windows that ``c="auto"`` saves for images of common sizes."""
    print('\nWindows of c = "auto" at 224 pixels, and of c = 10')
    for width, height in ((640, 480), (1120, 1120), (1920, 1080), (4000, 3000)):
        cover = CompleteCover("auto")
        found, ten = (
            len(c.boxes(width, height)) for c in (cover, CompleteCover(10))
        )
        c = cover.for_image(width, height).c
        print(f"{width} x {height}: c = {c}, {found} and {ten}: {found / ten:.2f}")


def twins() -> None:
    """Prints what looking for files of the same content costs while decoding."""
    paths = photos()
    for path in paths:
        read_image(path)  # from now on the disk does not count
    took = {}
    for window in (0, 1000, 0, 1000, 0, 1000):
        started = time.process_time()
        for _ in read_images(paths, num_workers=1, identical_within=window):
            pass
        seconds = time.process_time() - started
        took[window] = min(took.get(window, seconds), seconds)
    print(f"\nDecoding with the search for twins: {took[1000] / took[0]:.3f} x as long")


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100, help="scenes to search in")
    parser.add_argument("--fit", type=int, default=50, help="scenes to fit ridge on")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, torch {torch.__version__}")
    auto()
    twins()
    backbone = Backbone.load(DEMO, device="cpu")
    flat_on_photos(backbone)
    flat_on_scenes(arguments.n, arguments.fit, backbone)


if __name__ == "__main__":
    main()
