"""What windows that show too little save and cost, as an index leaves them out.

    python benchmarks/flat_limit.py --n 300

The limit is measured on a sample of scenes, as ``skip_flat="auto"`` does; other scenes
of the same kind are encoded by all windows and by those that are left, in turns. Prints
the limit, patches and seconds of each, and the mAP of a search by the best patch and by
16 vectors, with a paired bootstrap interval over the words. Demo backbone, CPU.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._scenes import scenes
from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.clver_ds import Queries
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.evaluation import average_precision
from detail_embed.evaluation.intervals import bootstrap
from detail_embed.space.choose_fuser import default_vocabulary
from detail_embed.space.flat_limit import Sampled, fit_limit, windows_of
from detail_embed.texts.templates import encode_queries
from detail_embed.texts.text_cache import encode_vocabulary

_AT_ONCE = 25  # images that a cover encodes before it is the other's turn


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=300, help="scenes to search in")
    parser.add_argument("--sample", type=int, default=200, help="scenes to measure on")
    parser.add_argument("--covers", type=int, nargs="+", default=[10, 5])
    arguments = parser.parse_args()
    backbone = Backbone.load(DEMO, device="torch", precision="fp32")
    words = [
        encode_vocabulary(backbone, some.words) for some in default_vocabulary().split()
    ]
    print(f"{platform.machine()}, torch {torch.__version__}, "
          f"{torch.get_num_threads()} threads; {arguments.n} scenes")
    with tempfile.TemporaryDirectory() as folder:
        sample = scenes(Path(folder) / "sample", arguments.sample, 7301)
        test = scenes(Path(folder) / "test", arguments.n, 7302)
        for c in arguments.covers:
            cover = CompleteCover(c)
            limit = fit_limit(
                Sampled.of(list(windows_of(sample.paths, backbone, cover))), *words
            )
            print(f"\nc = {c}: {limit.sentence}")
            covers = [cover, replace(cover, skip_flat=limit.levels or False)]
            compare(test, backbone, covers)


def compare(test: Queries, backbone: Backbone, covers: list[CompleteCover]) -> None:
    """Prints a line for each cover."""
    features, seconds = encode(test.paths, backbone, covers)
    texts = encode_queries(backbone, test.words)
    shown = test.target_scale > 0
    asked = shown.any(axis=1)
    print("| windows | patches | s | of all | search | mAP | difference [95 %] |")
    print("|--|--:|--:|--:|--|--:|--:|")
    base: dict[str, np.ndarray] = {}
    for cover, images, took in zip(covers, features, seconds, strict=True):
        patches = np.mean([len(image.unique(dim=0)) for image in images])
        for search, scores in searches(images, texts).items():
            found = 100 * average_precision(scores, shown)[asked]
            less = found - base.setdefault(search, found)
            low, high = bootstrap(less)
            print(
                f"| {cover.slug} | {patches:.0f} | {took:.0f} | "
                f"{took / seconds[0]:.0%} | {search} | {found.mean():.1f} | "
                f"{less.mean():+.2f} [{low:+.2f}, {high:+.2f}] |", flush=True,
            )


def encode(
    paths: list[Path], backbone: Backbone, covers: list[CompleteCover]
) -> tuple[list[list[torch.Tensor]], list[float]]:
    """Features of every image by each cover, and the seconds of each."""
    features, seconds = [[] for _ in covers], [0.0 for _ in covers]
    for start in range(0, len(paths), _AT_ONCE):
        items = list(enumerate(paths))[start : start + _AT_ONCE]
        for i, cover in enumerate(covers):
            began = time.perf_counter()
            found = iter_patch_features(items, backbone, cover)
            features[i] += [image.features for image in found]
            seconds[i] += time.perf_counter() - began
    return features, seconds


def searches(
    images: list[torch.Tensor], texts: torch.Tensor,
) -> dict[str, np.ndarray]:
    """Scores ``(q, n)`` of the best patch, and of the best of 16 vectors."""
    features = torch.stack(images)
    few = fusers.create("few", features.shape[2], k=16, method="kmeans")
    few.fit(fusers.FitSample.of_images(features[:50]))
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    vectors = torch.cat([
        few.fuse(*some).vectors
        for some in zip(features.split(16), mask.split(16), strict=True)
    ])
    return {
        "all patches": (features @ texts.T).amax(1).T.numpy(),
        "16 vectors": (vectors @ texts.T).amax(1).T.numpy(),
    }


if __name__ == "__main__":
    main()
