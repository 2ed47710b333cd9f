"""The form in which patch features are stored: small, and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detail_embed.images.file_source import FileSource

DTYPES = ("float16", "int8")

_PLACE_BYTES = 20  # of a patch: box and level, int32
_NAME_BYTES = 220  # of an image: its id, its offset and what its file was, as JSON


@dataclass(frozen=True)
class StoredImage:
    """What is stored of an image.

    Attributes:
        id: of the image
        features: ``(p, d)`` float32, row 0 the whole image
        boxes: ``(p, 4)`` int32 array, ``x0, y0, x1, y1`` in pixels
        levels: ``(p,)`` int32 array, the cover's level of each window
        source: what its file was, None where that is not known
    """

    id: str
    features: Tensor
    boxes: np.ndarray
    levels: np.ndarray
    source: FileSource | None = None


def estimate_bytes(
    num_images: int, patches_per_image: float, dim: int, dtype: str = "float16"
) -> int:
    """What patch features will take on the disk.

    Args:
        num_images: number of images
        patches_per_image: p, on average
        dim: d, the dimension of the features
        dtype ("float16"): ``"float16"`` or ``"int8"``

    Raises:
        ValueError: if ``dtype`` is neither
    """
    check_dtype(dtype)
    row = _PLACE_BYTES + (2 * dim if dtype == "float16" else dim + 4)
    return math.ceil(num_images * (patches_per_image * row + _NAME_BYTES))


def pack(
    id: str, features: Any, boxes: Any, levels: Any, dim: int, dtype: str
) -> dict[str, Tensor]:
    """Checks an image and makes of it what is stored.

    Args:
        id: of the image
        features: ``(p, d)`` float
        boxes: ``(p, 4)`` int
        levels: ``(p,)`` int
        dim: d
        dtype: one of ``DTYPES``

    Raises:
        TypeError: if the id is no string
        ValueError: if a shape is wrong, or features are not finite
    """
    if not isinstance(id, str):
        raise TypeError(f"{id!r} is no string: a store names images by strings")
    features = torch.as_tensor(features)
    boxes, levels = (torch.as_tensor(x, dtype=torch.int32) for x in (boxes, levels))
    count = len(features)
    shapes = [tuple(x.shape) for x in (features, boxes, levels)]
    if count < 1 or shapes != [(count, dim), (count, 4), (count,)]:
        raise ValueError(
            f"{id}: features, boxes and levels are {shapes}: give (p, {dim}), "
            "(p, 4) and (p,)"
        )
    packed = _quantize(features) if dtype == "int8" else {"features": features.half()}
    if not all(torch.isfinite(tensor).all() for tensor in packed.values()):
        raise ValueError(
            f"the features of {id} hold NaN or values that are not finite in {dtype}"
        )
    packed |= {"boxes": boxes, "levels": levels}
    return {key: tensor.cpu() for key, tensor in packed.items()}


def check_dtype(dtype: str) -> None:
    """Checks the name of a type.

    Raises:
        ValueError: if it is none of ``DTYPES``
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}: give one of {', '.join(DTYPES)}")


def _quantize(features: Tensor) -> dict[str, Tensor]:
    """``(p, d)`` as int8 and the ``(p,)`` float32 scale of every vector."""
    features = features.float()
    scale = features.abs().amax(dim=1) / 127
    steps = features / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return {"features": steps.round().to(torch.int8), "scale": scale}


def unpack(tensors: Mapping[str, Tensor], rows: slice | Tensor) -> Tensor:
    """Some rows of what :func:`pack` made, ``(p, d)`` float32."""
    features = tensors["features"][rows].float()
    if "scale" in tensors:
        features *= tensors["scale"][rows, None]
    return features
