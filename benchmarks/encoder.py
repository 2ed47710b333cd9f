"""Ways to run a frozen image tower, side by side in one run.

    python benchmarks/encoder.py
    python benchmarks/encoder.py --device cuda --backbones ViT-B-32 ViT-B-16
    python benchmarks/encoder.py --probe --backbones ViT-B-32 ViT-B-16 RN50

Prints patches per second at the best batch size, by one caller or by parallel workers,
whichever is faster; their ratio to what the engine does on
that device by default, the seconds until the first patches are encoded (compiling), and
the lowest cosine of a feature to the default's. Weights other than the demo backbone's
are random. The ways take turns. CUDA graphs (reduce-overhead) belong to one thread, so
they are measured by one caller, and all ways of CUDA on the first GPU.

``--probe`` prints what is measured when a backbone is loaded on a CPU for the first
time: how long that takes, each time in a process of its own, and what it finds. Without
it the benchmark shows whether whole towers have these ratios.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _engine.encoder import best_way, rate, some_patches, synchronise  # noqa: E402

from detail_embed.backbone import (  # noqa: E402
    Backbone,
    cpu_ways,
    openvino_tower,
)
from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402
from detail_embed.backbone.preprocessing import spec_of  # noqa: E402
from detail_embed.backbone.weights import create_model  # noqa: E402


class Way(NamedTuple):
    """How the tower runs; ``mode`` is torch.compile's, None for no compiling."""

    device: str
    precision: str
    mode: str | None = None


_CPU = [Way("torch", "fp32"), Way("torch", "bf16"), Way("torch", "fp32", "default")]
_OPENVINO = [Way("openvino", "fp32"), Way("openvino", "bf16")]
_CUDA = [
    Way("cuda", "bf16"), Way("cuda", "fp16"), Way("cuda", "fp32"),
    Way("cuda", "bf16", "default"), Way("cuda", "bf16", "reduce-overhead"),
]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=[DEMO, "ViT-B-32"])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of a measurement")
    parser.add_argument("--probe", action="store_true", help="what loading measures")
    arguments = parser.parse_args()
    if arguments.probe:
        probe(arguments.backbones, arguments.rounds)
        return
    ways = _CUDA
    if arguments.device == "cpu":
        ways = _CPU + (_OPENVINO if openvino_tower.is_installed() else [])
    print("| backbone | device | precision | compiled | patches/s | ratio | first, s | "
          "lowest cosine |")
    print("|--|--|--|--|--:|--:|--:|--:|")
    for name in arguments.backbones:
        measure(name, ways, arguments.rounds, arguments.seconds)


def measure(name: str, ways: list[Way], rounds: int, seconds: float) -> None:
    """Prints the rows of a backbone."""
    backbones = [load(name, way) for way in ways]
    patches = some_patches(backbones[0])
    waited, features = zip(*[first(backbone, patches) for backbone in backbones])
    rates: list[list[float]] = [[] for _ in ways]
    best = [
        best_way(backbone, by_workers=way.mode != "reduce-overhead")
        for way, backbone in zip(ways, backbones)
    ]
    for _ in range(rounds):
        for found, backbone, how in zip(rates, backbones, best):
            wanted = int(seconds * rate(backbone, patches, how, 1))
            found.append(rate(backbone, patches, how, wanted))
    for way, found, wait, some in zip(ways, rates, waited, features):
        middle = statistics.median(found)
        ratio = middle / statistics.median(rates[0])
        cosine = (some * features[0]).sum(dim=1).min()
        print(
            f"| {name} | {way.device} | {way.precision} | {way.mode or '–'} | "
            f"{middle:,.0f} | {ratio:.2f} | {wait:.1f} | {cosine:.6f} |",
            flush=True,
        )


def probe(names: list[str], rounds: int) -> None:
    """Prints seconds and ratios of the probe of backbones."""
    ways = cpu_ways.candidates(None, "auto")
    print(f"| backbone | s | {' | '.join(ways)} |")
    print(f"|--|--:|{'--:|' * len(ways)}")
    fresh = multiprocessing.get_context("spawn")
    for name in names:
        found = []
        for _ in range(rounds):
            with fresh.Pool(1) as pool:
                found.append(pool.apply(_probed, (name, ways)))
        seconds = statistics.median(took for took, _ in found)
        rates = [statistics.median(rates[way] for _, rates in found) for way in ways]
        cells = " | ".join(f"{rate:.2f}" for rate in rates)
        print(f"| {name} | {seconds:.1f} | {cells} |", flush=True)


def _probed(name: str, ways: list[str]) -> tuple[float, dict[str, float]]:
    """Seconds of a probe, and the rates it finds."""
    visual = create_model(name, None)[0].eval().visual
    started = time.perf_counter()
    rates = cpu_ways.probe(visual, spec_of(visual.preprocess_cfg).size, ways)
    return time.perf_counter() - started, rates


def load(name: str, way: Way) -> Backbone:
    """Loads a backbone that runs in this way."""
    device = "cuda:0" if way.device == "cuda" else way.device
    backbone = Backbone.load(name, device=device, precision=way.precision)
    if way.mode:
        tower = backbone._model
        tower.encode_image = torch.compile(
            tower.encode_image, mode=way.mode, dynamic=way.mode == "default"
        )
    return backbone


def first(backbone: Backbone, patches: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Seconds that the first call takes, and its features."""
    started = time.perf_counter()
    features = backbone.encode_patches(patches)
    synchronise(backbone)
    return time.perf_counter() - started, features.clone()


if __name__ == "__main__":
    main()
