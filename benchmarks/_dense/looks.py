"""One look at an image: a few frames through the tower, features for every window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._dense import area, towers
from benchmarks._dense.towers import Areas
from detail_embed.backbone import Backbone
from detail_embed.backbone.preprocessing import normalise
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import PatchSpec, extract_patches, extract_windows


@dataclass(frozen=True)
class Look:
    """Frames of one size: squares of a part of the image's short side.

    Attributes:
        tiles: along the short side, edge to edge
        side: pixels of a frame, as the tower sees it
    """

    tiles: int
    side: int

    @property
    def name(self) -> str:
        """For tables."""
        tiled = "whole" if self.tiles == 1 else f"{self.tiles} x {self.tiles} tiles"
        return f"{tiled} of {self.side} px"

    def frames(self, width: int, height: int) -> np.ndarray:
        """``(f, 4)`` boxes that leave nothing of the image out."""
        side = min(width, height) / self.tiles
        x, y = (np.linspace(0, length - side, int(np.ceil(length / side - 1e-6)))
                for length in (width, height))
        left, top = (part.ravel() for part in np.meshgrid(x, y))
        return np.stack([left, top, left + side, top + side], axis=1)


@dataclass(frozen=True)
class Pass:
    """What is computed of an image.

    Attributes:
        looks: frames whose maps are read
        kind: how a window's feature is made of a map
        crops: a cover whose crops are encoded, too; their own maps are read where
            ``reads_crops``
        reads_crops: whether the crops' maps are read
    """

    looks: tuple[Look, ...] = ()
    kind: str = "values"
    crops: int | None = None
    reads_crops: bool = False


class Dense:
    """Runs passes with one backbone.

    Args:
        backbone: on the CPU, by torch
        cover: whose windows get features
    """

    def __init__(self, backbone: Backbone, cover: CompleteCover) -> None:
        self.backbone, self.cover = backbone, cover
        self.distilled = backbone  # until there is one whose map learned
        self._map = towers.of(backbone._model.visual)
        self._areas = lru_cache(64)(self._make_areas)

    def encode(self, image: Tensor, asked: Pass) -> Tensor:
        """What a pass says of every window of the cover.

        Args:
            image: ``(3, H, W)`` uint8
            asked: the pass

        Returns:
            ``(p, g, d)`` unit features, one for each look, then, of the crops, the
            nearest one of each level and what their maps say
        """
        size = image.shape[2], image.shape[1]
        found = []
        with torch.inference_mode():
            for look in asked.looks:
                frames = look.frames(*size)
                spec = PatchSpec(look.side, self.backbone.patch_spec.interpolation)
                pixels = extract_windows(image, np.rint(frames).astype(int), spec)
                found.append(self._read(pixels, look, asked.kind, size))
            if asked.crops:
                found += self._of_crops(image, asked, size)
            return F.normalize(torch.stack(found, dim=1), dim=2)

    def _of_crops(
        self, image: Tensor, asked: Pass, size: tuple[int, int]
    ) -> list[Tensor]:
        few = CompleteCover(asked.crops)
        pixels = extract_patches(image, few, self.backbone.patch_spec)
        whole = self.backbone.encode_patches(pixels)
        levels = few.levels(*size)
        found = [whole[row] for row in nearest(few, self.cover, size).values()]
        if asked.reads_crops:
            for level in np.unique(levels[1:]):
                rows = torch.from_numpy(_rows(levels, level))
                found.append(self._read(
                    pixels[rows], (asked.crops, int(level)), asked.kind, size
                ))
        return found

    def _read(
        self, pixels: Tensor, which: Look | tuple[int, int], kind: str,
        size: tuple[int, int],
    ) -> Tensor:
        backbone = self.backbone
        images = normalise(
            pixels, 255, backbone._mean, backbone._std, torch.float32
        ).contiguous(memory_format=torch.channels_last)
        cells = self._map.cells(images)
        return self._map.features(
            kind, cells, self._areas(which, kind, pixels.shape[2], size)
        )

    def _make_areas(
        self, which: Look | tuple[int, int], kind: str, side: int,
        size: tuple[int, int],
    ) -> Areas:
        windows, cells = self.cover.boxes(*size), side // self._map.stride
        if isinstance(which, Look):
            frames = which.frames(*size)
        else:
            few = CompleteCover(which[0])
            frames = few.boxes(*size)[_rows(few.levels(*size), which[1])]
        whole = torch.from_numpy(area.weights(windows, frames, cells))
        if kind != "attended" or not self._map.parts:
            return Areas(whole)
        parts = area.parts(windows, self._map.parts)
        return Areas(whole, torch.from_numpy(area.weights(parts, frames, cells)))


def _rows(levels: np.ndarray, level: int) -> np.ndarray:
    """The windows of a level, without the whole image."""
    return 1 + np.flatnonzero(levels[1:] == level)


def nearest(
    few: CompleteCover, cover: CompleteCover, size: tuple[int, int]
) -> dict[int, np.ndarray]:
    """For each level of a cover, the row whose window is nearest to each of another's.

    Returns:
        ``(p,)`` rows of ``few`` by its levels; nearest is the greatest overlap of
        both, as IoU
    """
    windows, boxes = cover.boxes(*size).astype(float), few.boxes(*size).astype(float)
    low = np.maximum(windows[:, None, :2], boxes[None, :, :2])
    high = np.minimum(windows[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (windows, boxes)]
    overlap = shared / (areas[0][:, None] + areas[1] - shared)
    levels = few.levels(*size)
    return {
        int(level): np.where(levels == level, overlap, -1.0).argmax(axis=1)
        for level in np.unique(levels)
    }
