"""Resizing on a GPU: an antialiased resize is a product with a matrix on each side.

What torch's own kernel computes, by what a GPU is best at; that kernel also refuses to
make an image of 3,100 pixels one of 64.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import torch
from torch import Tensor

DTYPE = torch.float16  # has room for 8 bits of colour, and 11 of a weight
_MOST_WEIGHTS = 2**24
_CACHED = 24  # matrices

_own = threading.local()  # what one thread's stream makes is not for another's


def fits(image: Tensor, height: int, width: int) -> bool:
    """Whether the matrices for a resize are of a size to be kept in memory."""
    return max(image.shape[1] * height, image.shape[2] * width) <= _MOST_WEIGHTS


def resize(image: Tensor, height: int, width: int, interpolation: str) -> Tensor:
    """Resizes an image with antialias, as ``F.interpolate`` does.

    Args:
        image: ``(3, H, W)`` float
        height: in pixels, h
        width: in pixels, w
        interpolation: "bicubic" or "bilinear"

    Returns:
        ``(3, h, w)`` of the image's type, unrounded
    """
    _, old_height, old_width = image.shape
    if not hasattr(_own, "weights"):
        _own.weights = lru_cache(_CACHED)(_weights)
    kind = interpolation, image.device, image.dtype
    rows = _own.weights(old_height, height, *kind)
    columns = _own.weights(old_width, width, *kind).T
    if height * old_width * (old_height + width) < old_height * width * (
        old_width + height
    ):
        return (rows @ image) @ columns
    return rows @ (image @ columns)


def _weights(
    old: int, new: int, interpolation: str, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """``(new, old)`` weights of the old pixels in each new one; rows sum to 1."""
    step = old / new
    centres = (torch.arange(new, device=device) + 0.5) * step
    pixels = torch.arange(old, device=device) + 0.5
    distances = (pixels - centres[:, None]).abs() / max(step, 1)
    weights = _KERNELS[interpolation](distances)
    return (weights / weights.sum(dim=1, keepdim=True)).to(dtype)


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp(min=0)


def _cubic(x: Tensor) -> Tensor:
    """Keys' kernel of a = -1/2, as Pillow's."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, far) * (x < 2)


_KERNELS = {"bicubic": _cubic, "bilinear": _triangle}
