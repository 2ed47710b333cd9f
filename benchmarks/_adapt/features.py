"""Patch features of a world's scenes, kept between runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from _adapt.world import SIDE, Box, Part
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.demo.table import encode
from detail_embed.fusers.base import Fuser


@dataclass(frozen=True)
class Features:
    """What a backbone makes of the scenes of a part.

    Attributes:
        patches: ``(n, p, d)`` float32, unit length; row 0 of p is the whole scene
        cover: that cut them
    """

    patches: np.ndarray
    cover: CompleteCover

    def row_of(self, box: Box) -> int:
        """The patch that is most like a box (largest IoU)."""
        windows = self.cover.boxes(SIDE, SIDE)
        low = np.array(box.box[:2])
        high = low + box.box[2:]
        sides = np.minimum(windows[:, 2:], high) - np.maximum(windows[:, :2], low)
        both = sides.clip(min=0).prod(axis=1)
        areas = (windows[:, 2:] - windows[:, :2]).prod(axis=1)
        return int(np.argmax(both / (areas + np.prod(box.box[2:]) - both)))

    def few(self, fuser: Fuser) -> np.ndarray:
        """``(n, k, d)``, the vectors of an index with a fitted fuser."""
        parts = map(torch.from_numpy, np.array_split(self.patches, 10))
        with torch.inference_mode():
            made = [fuser.fuse(part).vectors.cpu().numpy() for part in parts]
        return np.concatenate(made)


def encoded(part: Part, backbone: Backbone, c: int, folder: Path) -> Features:
    """Encodes the scenes, unless the folder has this backbone's features of them.

    Args:
        part: the scenes
        backbone: of any dimension
        c: of the cover
        folder: where features are kept, a file each
    """
    cover = CompleteCover(c)
    name = f"{part.paths[0].parent.parent.name}-{backbone.slug}-{cover.slug}.npy"
    file = folder / name
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        images = [im.half().cpu().numpy() for im in encode(part.paths, backbone, cover)]
        np.save(file, np.stack(images))
    rows = np.load(file).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return Features(rows, cover)
