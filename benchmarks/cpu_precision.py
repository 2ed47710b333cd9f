"""What bf16 and int8 on a CPU cost in quality: CLVER-DS with the demo backbone.

    python benchmarks/cpu_precision.py --n 200
    pip install nncf && python benchmarks/cpu_precision.py --int8

The patches of the same scenes are encoded in each way. Prints the cosine of a patch's
feature to torch's in fp32, and for a search by all patches, by 8 vectors an image and
by one: mAP, its difference with a paired bootstrap interval over words, and the share
of the first 10 images that stay. Words are always encoded in fp32. ``--int8`` adds
weights and activations of 8 bits by NNCF, calibrated on patches of other scenes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._scenes import scenes
from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import extract_patches
from detail_embed.evaluation import average_precision
from detail_embed.evaluation.intervals import bootstrap
from detail_embed.images.reader import read_images
from detail_embed.texts.templates import encode_queries

COVER = CompleteCover(10)
Encode = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="scenes to search in")
    parser.add_argument("--seed", type=int, default=7202, help="of the scenes")
    parser.add_argument("--int8", action="store_true", help="with NNCF's 8 bits")
    arguments = parser.parse_args()
    exact = Backbone.load(DEMO, device="torch", precision="fp32")
    ways: dict[str, Encode] = {"torch fp32": exact.encode_patches}
    for device, precision in (("torch", "bf16"), ("openvino", "fp32"),
                              ("openvino", "bf16")):
        name = f"{device} {precision}"
        ways[name] = Backbone.load(
            DEMO, device=device, precision=precision
        ).encode_patches
    with tempfile.TemporaryDirectory() as folder:
        queries = scenes(Path(folder) / "test", arguments.n, arguments.seed)
        if arguments.int8:
            other = scenes(Path(folder) / "calibrate", 10, 7201).paths
            some = torch.cat([cut(path, exact) for path in other])
            ways["openvino int8"] = int8(exact, some)
        features = encode(queries.paths, exact, ways)
    texts = encode_queries(exact, queries.words)
    shown = queries.target_scale > 0
    asked = shown.any(axis=1)
    print(f"{arguments.n} scenes, {asked.sum()} words, torch {torch.__version__}\n")
    print("| way | lowest cosine | mean cosine | search | mAP | difference [95 %] | "
          "of the first 10 |")
    print("|--|--:|--:|--|--:|--:|--:|")
    base: dict[str, np.ndarray] = {}
    for way, found in features.items():
        near = (found * features["torch fp32"]).sum(-1)
        for search, scores in searches(found, texts).items():
            base.setdefault(search, scores)
            ours, theirs = (
                100 * average_precision(s, shown)[asked]
                for s in (scores, base[search])
            )
            low, high = bootstrap(ours - theirs)
            first, others = (np.argsort(-s)[asked, :10] for s in (scores, base[search]))
            same = np.mean([len(set(a) & set(b)) for a, b in zip(first, others)]) / 10
            print(
                f"| {way} | {near.min():.5f} | {near.mean():.6f} | {search} | "
                f"{ours.mean():.2f} | {(ours - theirs).mean():+.3f} "
                f"[{low:+.3f}, {high:+.3f}] | {100 * same:.1f} % |", flush=True,
            )


def cut(path: Path, backbone: Backbone) -> torch.Tensor:
    """The patches of an image, ``(p, 3, s, s)`` uint8."""
    (image,) = read_images([path])
    pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
    return extract_patches(pixels, COVER, backbone.patch_spec)


def encode(
    paths: list[Path], backbone: Backbone, ways: dict[str, Encode]
) -> dict[str, torch.Tensor]:
    """The features of the same patches in each way, ``(n, p, d)``."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in ways}
    for path in paths:
        patches = cut(path, backbone)
        for name, way in ways.items():
            found[name].append(way(patches).clone())
    return {name: torch.stack(features) for name, features in found.items()}


def searches(features: torch.Tensor, texts: torch.Tensor) -> dict[str, np.ndarray]:
    """Scores ``(q, n)`` of the best patch, of the best of 8 vectors, and of one."""
    dim = features.shape[-1]
    few = fusers.create("few", dim, k=8, method="kmeans")
    few.fit(fusers.FitSample.of_images(features[:50]))
    one = fusers.create("gmp", dim).fit(fusers.FitSample.of_images(features[:50]))
    boxes = torch.from_numpy(COVER.boxes(1120, 1120)).float() / 1120
    vectors = torch.cat([
        few(image[None], boxes=boxes[None]) for image in features
    ])
    return {
        name: torch.stack([(texts @ v.T).amax(1) for v in found], dim=1).numpy()
        for name, found in (
            ("all patches", features), ("8 vectors", vectors),
            ("one vector (gmp)", one(features)[:, None]),
        )
    }


def int8(backbone: Backbone, patches: torch.Tensor) -> Encode:
    """The tower with weights and activations of 8 bits, calibrated on patches."""
    import nncf
    import openvino

    from detail_embed.backbone.openvino_tower import convert

    size = backbone.input_size
    model = convert(backbone._model, size, backbone._mean, backbone._std)
    chosen = patches[:: max(1, len(patches) // 300)][:300]
    is_vit = hasattr(getattr(backbone._model, "visual", None), "transformer")
    kind = nncf.ModelType.TRANSFORMER if is_vit else None
    small = nncf.quantize(
        model, nncf.Dataset([p[None].numpy() for p in chosen]), model_type=kind,
    )
    compiled = openvino.Core().compile_model(small, "CPU", {"NUM_STREAMS": 1})
    return lambda some: torch.from_numpy(compiled([some.contiguous().numpy()])[0])


if __name__ == "__main__":
    main()
