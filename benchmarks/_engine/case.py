"""What is measured: a backbone, files of one size, and a cover."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks._engine.encoder import Way
from detail_embed import clver_ds, fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import extract_patches
from detail_embed.fusers.base import Fuser
from detail_embed.images.image_file import read_image
from detail_embed.space.choose_fuser import default_vocabulary

_RAW = 8  # images whose patches lie on the device


@dataclass
class Case:
    """One row of the table.

    Attributes:
        backbone: the model
        cover: the windows
        side: of the images in pixels
        files: JPEGs, all different
        fuser: as a user has it by default
        best_way: how the encoder alone is fastest
        patches: ``(n, 3, size, size)`` uint8 on the device, of some of the images
    """

    backbone: Backbone
    cover: CompleteCover
    side: int
    files: list[Path]
    fuser: Fuser
    best_way: Way
    patches: torch.Tensor = field(repr=False)

    @property
    def per_image(self) -> int:
        """Patches of an image."""
        return len(self.cover.boxes(self.side, self.side))

    @property
    def items(self) -> list[tuple[str, Path]]:
        """What the engine takes."""
        return [(path.stem, path) for path in self.files]


def make_case(
    backbone: Backbone, c: int, side: int, files: list[Path], best_way: Way
) -> Case:
    """Prepares a case; the fuser's speed does not depend on what it was fitted on."""
    cover = CompleteCover(c)
    patches = torch.cat(
        [
            extract_patches(
                torch.from_numpy(read_image(path)).to(backbone.device).permute(2, 0, 1),
                cover, backbone.patch_spec,
            )
            for path in files[:_RAW]
        ]
    )
    return Case(backbone, cover, side, files, _fuser(backbone), best_way, patches)


def make_files(folder: Path, side: int, count: int) -> list[Path]:
    """Saves JPEGs of ``side`` pixels, shifted and mirrored copies of scenes."""
    scenes = folder / "scenes"
    clver_ds.generate(scenes, 12, size=1120)
    sources = [Image.open(p).convert("RGB") for p in sorted(scenes.rglob("*.jpg"))]
    target = folder / f"jpeg-{side}"
    target.mkdir(exist_ok=True)
    for number in range(count):
        path = target / f"{number:05d}.jpg"
        if not path.exists():
            pixels = np.asarray(sources[number % len(sources)].resize((side, side)))
            moved = np.roll(pixels, 16 * (number // len(sources)), axis=1)
            Image.fromarray(moved).save(path, quality=85)
    return sorted(target.iterdir())[:count]


def _fuser(backbone: Backbone) -> Fuser:
    rng = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(16, 39, backbone.dim, generator=rng), dim=-1)
    words = len(default_vocabulary().words)
    proxies = F.normalize(torch.randn(words, backbone.dim, generator=rng), dim=-1)
    fuser = fusers.create("ridge", backbone.dim, lam=0.01)
    fuser.fit(fusers.FitSample.of_images(images, proxies=proxies))
    return fuser.to(backbone.device)
