"""What a million images cost, stage by stage: ``python benchmarks/scaling.py``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed import clver_ds, fusers
from detail_embed.backbone import (
    Backbone,
)
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover  # noqa: E402
from detail_embed.cover.patches import extract_patches  # noqa: E402
from detail_embed.distributed.parts import PartFolder  # noqa: E402
from detail_embed.distributed.worker import PartWorker  # noqa: E402
from detail_embed.engine.encode_options import EncodeOptions  # noqa: E402
from detail_embed.images.image_file import read_image  # noqa: E402
from detail_embed.space import DetailEmbedder  # noqa: E402

_MILLION = 1_000_000


class Stages:
    """Seconds by stage: of the processor on a CPU, of the wall on a GPU."""

    def __init__(self, device: torch.device):
        self._device = device
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[..., Any], *args: Any) -> Any:
        """Does some work and adds what it takes to its stage."""
        start = self._now()
        result = work(*args)
        self.seconds[name] = self.seconds.get(name, 0) + self._now() - start
        return result

    def _now(self) -> float:
        if self._device.type != "cuda":
            return time.process_time()
        torch.cuda.synchronize(self._device)
        return time.perf_counter()


def measure(paths: list[str], space: DetailEmbedder, folder: Path) -> Stages:
    """Does the stages one after the other, and then whole parts."""
    backbone, stages = space.backbone, Stages(space.backbone.device)

    def upload(pixels: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(pixels).to(backbone.device).permute(2, 0, 1)

    def fuse(features: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return space.fuser(features[None]).cpu()

    for path in paths:
        pixels = upload(stages("decode", read_image, path))
        patches = stages(
            "cut", extract_patches, pixels, space.cover, backbone.patch_spec
        )
        stages("fuse", fuse, stages("encode", backbone.encode_patches, patches))
    space.save(folder / "space")
    plan = PartFolder.create(folder / "parts", paths, folder / "space")
    options = EncodeOptions(device=str(backbone.device), num_workers=1)
    worker = PartWorker(plan.directory, options)
    stages("whole parts", worker, {"part": np.arange(len(plan))})
    return stages


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--size", type=int, default=1120, help="side in pixels")
    parser.add_argument("--cover", type=int, default=10)
    parser.add_argument("--backbone", default=DEMO)
    parser.add_argument("--pretrained")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clver_ds.generate(folder / "scenes", args.images, size=args.size)
        paths = sorted(map(str, (folder / "scenes").rglob("*.jpg")))
        backbone = Backbone.load(args.backbone, args.pretrained, device=args.device)
        fuser = fusers.create("gmp", dim=backbone.dim)
        space = DetailEmbedder(backbone, CompleteCover(args.cover), fuser).fit(paths)
        found = measure(paths, space, folder)
    print(f"{len(paths)} images of {args.size} px, cover {args.cover}, "
          f"{args.backbone} on {backbone.device}")
    print(f"{'stage':12s} {'s/image':>9s} {'h/million':>10s}")
    for stage, seconds in found.seconds.items():
        each = seconds / len(paths)
        print(f"{stage:12s} {each:9.4f} {each * _MILLION / 3600:10.1f}")


if __name__ == "__main__":
    main()
