"""What can be known of a window before it is encoded: its pixels and its parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks._frontier.points import World
from benchmarks._league.data import Scenes
from detail_embed.cover.flat_windows import parents, spread
from detail_embed.cover.patches import extract_patches
from detail_embed.images.reader import read_images

COARSE = 3  # levels of c = 10 from here on are encoded always: 30 windows
_SLOPES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Windows:
    """All windows of some images of one size.

    Attributes:
        features: ``(n, p, d)`` unit features
        pixels: ``(n, p, 10)``: means, deviations, range and slopes of colours
            in 0..1
        levels: ``(p,)`` of the cover
        parents: ``(p,)`` rows
    """

    features: np.ndarray
    pixels: np.ndarray
    levels: np.ndarray
    parents: np.ndarray

    def __getitem__(self, part: slice) -> Windows:
        """Some of the images."""
        return replace(
            self, features=self.features[part], pixels=self.pixels[part]
        )

    @property
    def coarse(self) -> np.ndarray:
        """``(p,)`` bool: the windows that are encoded always."""
        return self.levels >= COARSE

    @property
    def spreads(self) -> np.ndarray:
        """``(n, p)``: the widest range of a colour, as for flat windows."""
        return self.pixels[..., 6]

    @property
    def edges(self) -> np.ndarray:
        """``(n, p)``: what only 1 % of the slopes exceeds."""
        return self.pixels[..., 9]

    @cached_property
    def of_pixels(self) -> np.ndarray:
        """Pixels, how they differ from the parent's and from others of the level."""
        others = np.empty_like(self.pixels)
        for level in np.unique(self.levels):
            rows = self.levels == level
            some = self.pixels[:, rows]
            away = some - np.median(some, axis=1, keepdims=True)
            others[:, rows] = away / (np.abs(away).mean(axis=1, keepdims=True) + 1e-3)
        return np.concatenate(
            [self.pixels, self.pixels - self.pixels[:, self.parents], others,
             self._level], axis=2,
        )

    @cached_property
    def of_parents(self) -> np.ndarray:
        """The parent's feature, and how near it is to the image's mean and whole."""
        found = self.features[:, self.parents]
        mean = self.features[:, self.coarse].mean(axis=1)
        near = [np.einsum("npd,nd->np", found, one)[..., None]
                for one in (mean, self.features[:, 0])]
        return np.concatenate([found, *near, self._level], axis=2)

    @property
    def _level(self) -> np.ndarray:
        shape = (*self.features.shape[:2], 1)
        return np.broadcast_to(self.levels[:, None], shape).astype(np.float32)


def windows(world: World, scenes: Scenes) -> Windows:
    """Those of c = 10; their pixels are looked at once."""
    cover, paths = world.cover(10), scenes.queries.paths
    kept = world.home / f"pixels-{paths[0].parents[1].name}-{len(paths)}.npy"
    if not kept.is_file():
        np.save(kept, np.stack([_describe(p) for p in _patches(world, paths)]))
    size = Image.open(paths[0]).size
    features = np.stack([scenes.store[id].features for id in scenes.ids])
    return Windows(
        features.astype(np.float32), np.load(kept), cover.levels(*size),
        parents(cover, *size),
    )


def _patches(world: World, paths: Sequence[Path]) -> Iterator[Tensor]:
    for image in read_images(paths):
        whole = torch.from_numpy(image.pixels).permute(2, 0, 1)
        yield extract_patches(whole, world.cover(10), world.backbone.patch_spec)


def _describe(patches: Tensor) -> np.ndarray:
    grey = patches.float().mean(dim=1) / 255
    along, down = (grey.diff(dim=dim) for dim in (2, 1))
    slopes = torch.hypot(along[:, :-1], down[:, :, :-1]).flatten(1)[:, ::4]
    colours = patches.float().flatten(2) / 255
    parts = [
        colours.mean(dim=2), colours.std(dim=2), spread(patches)[:, None] / 255,
        torch.quantile(slopes, torch.tensor(_SLOPES), dim=1).T,
    ]
    return torch.cat(parts, dim=1).numpy()
