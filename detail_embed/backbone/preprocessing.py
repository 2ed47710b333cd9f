"""What a model of open_clip wants its images to be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detail_embed.cover.patches import PatchSpec


def spec_of(cfg: dict[str, Any]) -> PatchSpec:
    """Reads what patches have to look like.

    Args:
        cfg: ``preprocess_cfg`` of an open_clip image tower

    Raises:
        ValueError: if the model sees no squares
    """
    return PatchSpec(
        size=_side(cfg["size"]),
        interpolation=_interpolation(cfg["interpolation"]),
        resize_mode=cfg["resize_mode"],
    )


def normalise(
    images: Tensor, white: int, mean: Tensor, std: Tensor, dtype: torch.dtype
) -> Tensor:
    """Brings colours to what the model was trained on, in fp32.

    Args:
        images: ``(n, 3, h, w)`` uint8 or float, of 0 to ``white``
        white: the largest value
        mean: ``(1, 3, 1, 1)`` of each colour
        std: likewise
        dtype: of the result

    Returns:
        ``(n, 3, h, w)``, a tensor of its own
    """
    if images.is_cuda:
        return in_one_pass(images, white, mean, std, dtype)
    images = images.to(torch.float32, copy=True)  # in place is faster
    return images.div_(white).sub_(mean).div_(std).to(dtype)


def in_one_pass(
    images: Tensor, white: int, mean: Tensor, std: Tensor, dtype: torch.dtype
) -> Tensor:
    """The same, in one pass over memory, which is what a GPU waits for."""
    found = torch.empty(images.shape, dtype=dtype, device=images.device)
    return torch.addcmul(-mean / std, images, 1 / (white * std), out=found)


def _side(size: int | tuple[int, int]) -> int:
    width, height = (size, size) if isinstance(size, int) else size
    if width != height:
        raise ValueError(f"the model sees {width} x {height} pixels: only squares work")
    return width


def _interpolation(mode: str) -> str:
    """open_clip takes "random" for bicubic when it does not train."""
    return "bilinear" if mode == "bilinear" else "bicubic"
