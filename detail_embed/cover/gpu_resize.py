"""Resizing on a GPU: an antialiased resize is a product with a matrix on each side.

What torch's own kernel computes, by what a GPU is best at; that kernel also refuses to
make an image of 3,100 pixels one of 64. Of such a matrix all is zero but a band: tiles
of new pixels are products of their own, with the old pixels that they read.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor

DTYPE = torch.float16  # has room for 8 bits of colour, and 11 of a weight
_READ = 384  # old pixels, about, that a tile reads
_FEWEST, _MOST = 64, 256  # new pixels of a tile: with few there are many small products
_MOST_WEIGHTS = 2**24
_CACHED_BYTES = 2**27  # of weights, for each thread

_own = threading.local()  # what one thread's stream makes is not for another's


class _Tiling(NamedTuple):
    """Which old pixels the tiles of a side read.

    Attributes:
        new: pixels that are made
        tile: of them, those of one tile; the last one has fewer
        span: old pixels that a tile reads
        starts: the first of these, for each tile
    """

    new: int
    tile: int
    span: int
    starts: tuple[int, ...]

    @property
    def weights(self) -> int:
        """How many there are in all tiles."""
        return len(self.starts) * self.tile * self.span


def fits(image: Tensor, height: int, width: int, interpolation: str) -> bool:
    """Whether the weights for a resize are few enough to be kept in memory."""
    _, old_height, old_width = image.shape
    return _MOST_WEIGHTS >= max(
        _tiling(old, new, interpolation).weights
        for old, new in ((old_height, height), (old_width, width))
    )


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
    rows = _tiling(old_height, height, interpolation)
    columns = _tiling(old_width, width, interpolation)
    rows_first = rows.weights * old_width + columns.weights * height
    columns_first = columns.weights * old_height + rows.weights * width
    if rows_first < columns_first:
        image = _resize_rows(image, rows, interpolation)
        return _resize_columns(image, columns, interpolation)
    image = _resize_columns(image, columns, interpolation)
    return _resize_rows(image, rows, interpolation)


def _resize_rows(image: Tensor, tiling: _Tiling, interpolation: str) -> Tensor:
    """``(3, H, W)`` to ``(3, h, W)``."""
    resized = image.new_empty((3, tiling.new, image.shape[2]))
    weights = _kept_weights(image.shape[1], tiling, interpolation, image)
    for number, start in enumerate(tiling.starts):
        part = resized.narrow(1, *_made(tiling, number))
        read = image.narrow(1, start, tiling.span)
        torch.matmul(weights[number, : part.shape[1]], read, out=part)
    return resized


def _resize_columns(image: Tensor, tiling: _Tiling, interpolation: str) -> Tensor:
    """``(3, H, W)`` to ``(3, H, w)``."""
    resized = image.new_empty((3, image.shape[1], tiling.new))
    weights = _kept_weights(image.shape[2], tiling, interpolation, image)
    for number, start in enumerate(tiling.starts):
        part = resized.narrow(2, *_made(tiling, number))
        read = image.narrow(2, start, tiling.span)
        torch.matmul(read, weights[number, : part.shape[2]].T, out=part)
    return resized


def _made(tiling: _Tiling, number: int) -> tuple[int, int]:
    """The first pixel that a tile makes, and how many it makes."""
    first = number * tiling.tile
    return first, min(tiling.tile, tiling.new - first)


def _tiling(old: int, new: int, interpolation: str) -> _Tiling:
    step = old / new
    tile = min(new, max(_FEWEST, min(_MOST, int(_READ / step) // 16 * 16)))
    reach = _REACH[interpolation] * max(step, 1)
    span = min(old, math.ceil((tile - 1) * step + 2 * reach) + 2)
    lowest = (math.floor((first + 0.5) * step - reach) for first in range(0, new, tile))
    return _Tiling(
        new, tile, span, tuple(min(max(0, low), old - span) for low in lowest)
    )


def _kept_weights(
    old: int, tiling: _Tiling, interpolation: str, like: Tensor
) -> Tensor:
    """Those of :func:`_weights`, made once; what was used longest ago is let go."""
    if not hasattr(_own, "weights"):
        _own.weights, _own.bytes = OrderedDict(), 0
    key = old, tiling, interpolation, like.device, like.dtype
    if key in _own.weights:
        _own.weights.move_to_end(key)
        return _own.weights[key]
    made = _own.weights[key] = _weights(old, tiling, interpolation, like)
    _own.bytes += made.nbytes
    while _own.bytes > _CACHED_BYTES and len(_own.weights) > 1:
        _own.bytes -= _own.weights.popitem(last=False)[1].nbytes
    return made


def _weights(old: int, tiling: _Tiling, interpolation: str, like: Tensor) -> Tensor:
    """``(tiles, tile, span)`` weights of the old pixels in each new one.

    Rows sum to 1, but for those that the last tile has too many.
    """
    step = old / tiling.new
    first_centres = [
        (number * tiling.tile + 0.5) * step - start
        for number, start in enumerate(tiling.starts)
    ]
    centres = torch.arange(tiling.tile, device=like.device) * step
    centres = centres + torch.tensor(first_centres, device=like.device)[:, None]
    pixels = torch.arange(tiling.span, device=like.device) + 0.5
    distances = (pixels - centres[..., None]).abs() / max(step, 1)
    weights = _KERNELS[interpolation](distances)
    return (weights / weights.sum(dim=2, keepdim=True)).to(like.dtype)


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp(min=0)


def _cubic(x: Tensor) -> Tensor:
    """Keys' kernel of a = -1/2, as Pillow's."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, far) * (x < 2)


_KERNELS = {"bicubic": _cubic, "bilinear": _triangle}
_REACH = {"bicubic": 2, "bilinear": 1}  # in old pixels, or new ones if these are larger
