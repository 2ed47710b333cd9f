"""Small real open_clip models and image files for the tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from detail_embed.backbone import Backbone

TINY = "detail-test-tiny"
_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8,
                   "head_width": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16,
                 "heads": 2, "layers": 1},
}


def register_tiny(folder: Path, name: str = TINY, **changes) -> str:
    """Adds a small config to open_clip; returns its name."""
    path = Path(folder) / f"{name}.json"
    path.write_text(json.dumps({**_CONFIG, **changes}))
    open_clip.add_model_config(path)
    return name


def tiny_backbone(folder: Path) -> Backbone:
    """A small model with random weights, always the same."""
    return Backbone.load(register_tiny(folder), device="cpu")


def tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """A file with weights; seed 0 has those of :func:`tiny_backbone`."""
    torch.manual_seed(seed)
    model = open_clip.create_model(register_tiny(folder))
    path = Path(folder) / f"tiny-{seed}.pt"
    torch.save(model.state_dict(), path)
    return path


def write_images(folder: Path, sizes, seed: int = 0) -> list[Path]:
    """Writes a PNG of coloured blocks for every ``(width, height)``."""
    rng = np.random.default_rng(seed)
    paths = []
    for i, (width, height) in enumerate(sizes):
        blocks = rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)
        path = Path(folder) / f"image_{i:03d}.png"
        Image.fromarray(blocks).resize((width, height)).save(path)
        paths.append(path)
    return paths
