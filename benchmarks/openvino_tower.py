"""The image tower by OpenVINO against torch's, on the CPU, in one run.

    python benchmarks/openvino_tower.py

Prints patches per second at the best batch size, their ratio to torch's in fp32, and
the lowest cosine of a feature to torch's in fp32. Weights other than the demo
backbone's are random. The ways take turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed import demo  # noqa: E402
from detail_embed.backbone import Backbone  # noqa: E402

_WAYS = [("cpu", "fp32"), ("cpu", "bf16"), ("openvino", "fp32"), ("openvino", "bf16")]
_BATCHES = (16, 32, 64)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", nargs="+", default=[demo.NAME, "ViT-B-32"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of a measurement")
    arguments = parser.parse_args()
    print("| backbone | device | precision | patches/s | ratio | lowest cosine |")
    print("|--|--|--|--:|--:|--:|")
    for name in arguments.backbones:
        measure(name, arguments.rounds, arguments.seconds)


def measure(name: str, rounds: int, seconds: float) -> None:
    """Prints the rows of a backbone."""
    backbones = [Backbone.load(name, device=d, precision=p) for d, p in _WAYS]
    size = backbones[0].input_size
    rng = torch.Generator().manual_seed(0)
    patches = torch.randint(
        0, 255, (max(_BATCHES), 3, size, size), dtype=torch.uint8, generator=rng
    )
    rates: list[list[float]] = [[] for _ in backbones]
    for _ in range(rounds):
        for found, backbone in zip(rates, backbones):
            found.append(max(rate(backbone, patches[:n], seconds) for n in _BATCHES))
    plain = backbones[0].encode_patches(patches)
    for (device, precision), found, backbone in zip(_WAYS, rates, backbones):
        middle = statistics.median(found)
        ratio = middle / statistics.median(rates[0])
        cosine = (backbone.encode_patches(patches) * plain).sum(dim=1).min()
        print(
            f"| {name} | {device} | {precision} | {middle:,.0f} | {ratio:.2f} | "
            f"{cosine:.6f} |",
            flush=True,
        )


def rate(backbone: Backbone, patches: torch.Tensor, seconds: float) -> float:
    """Patches per second of one batch again and again."""
    backbone.encode_patches(patches)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        backbone.encode_patches(patches)
        done += len(patches)
    return done / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
