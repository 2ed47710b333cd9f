"""What is measured: a backbone, files of one size, and a cover."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
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

MIXED = ("640x480", "1120", "1920x1080", "2240", "4000x3000")
_RAW = 8  # images whose patches lie on the device


@dataclass
class Case:
    """One row of the table.

    Attributes:
        backbone: the model
        cover: the windows
        size: of the images in pixels, as it was asked for
        files: JPEGs, all different
        fuser: as a user has it by default
        best_way: how the encoder alone is fastest
        patches: ``(n, 3, size, size)`` uint8 on the device, of some of the images
    """

    backbone: Backbone
    cover: CompleteCover
    size: str
    files: list[Path]
    fuser: Fuser
    best_way: Way
    patches: torch.Tensor = field(repr=False)

    @cached_property
    def windows(self) -> list[int]:
        """Patches of each image."""
        return [len(boxes_of(self.cover, path)) for path in self.files]

    @property
    def per_image(self) -> float:
        """Patches of an image, on average."""
        return sum(self.windows) / len(self.windows)

    @property
    def items(self) -> list[tuple[str, Path]]:
        """What the engine takes."""
        return [(path.stem, path) for path in self.files]


def make_case(
    backbone: Backbone, c: int, size: str, files: list[Path], best_way: Way
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
    return Case(backbone, cover, size, files, _fuser(backbone), best_way, patches)


def boxes_of(cover: CompleteCover, path: Path) -> np.ndarray:
    """The windows of a file, in pixels."""
    with Image.open(path) as image:
        return cover.boxes(*image.size)


def make_files(folder: Path, size: str, count: int) -> list[Path]:
    """Saves JPEGs, all different: shifted copies of scenes.

    Args:
        folder: where
        size: of one side of squares, such as ``"1120"``; of both, such as
            ``"4000x3000"``; or ``"mixed"``, for several by turns
        count: how many
    """
    scenes = folder / "scenes"
    clver_ds.generate(scenes, 12, size=1120)
    sources = [Image.open(p).convert("RGB") for p in sorted(scenes.rglob("*.jpg"))]
    sizes = [_sides(one) for one in (MIXED if size == "mixed" else [size])]
    target = folder / f"jpeg-{size}"
    target.mkdir(exist_ok=True)
    for number in range(count):
        path = target / f"{number:05d}.jpg"
        if not path.exists():
            own = sizes[number % len(sizes)]
            pixels = np.asarray(sources[number % len(sources)].resize(own))
            moved = np.roll(pixels, 16 * (number // len(sources)), axis=1)
            Image.fromarray(moved).save(path, quality=85)
    return sorted(target.iterdir())[:count]


def _sides(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width), int(height or width)


def _fuser(backbone: Backbone) -> Fuser:
    rng = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(16, 39, backbone.dim, generator=rng), dim=-1)
    words = len(default_vocabulary().words)
    proxies = F.normalize(torch.randn(words, backbone.dim, generator=rng), dim=-1)
    fuser = fusers.create("ridge", backbone.dim, lam=0.01)
    fuser.fit(fusers.FitSample.of_images(images, proxies=proxies))
    return fuser.to(backbone.device)
