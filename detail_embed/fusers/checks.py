"""Checks of what is passed to fusers: options, features to fit on, images."""

from __future__ import annotations

import functools
import math
from numbers import Real

import torch
from torch import Tensor

from detail_embed.storage.plain_numbers import is_a


def check_number(
    option: str,
    value: object,
    above: float = -math.inf,
    at_least: float = -math.inf,
) -> float:
    """Returns an option of a fuser as a float.

    Raises:
        ValueError: if it is no finite number, or out of range
    """
    is_number = is_a(Real, value)
    if is_number and math.isfinite(value) and above < value >= at_least:
        return float(value)
    limit = f"above {above:g}" if above > at_least else f"at least {at_least:g}"
    raise ValueError(f"{option} must be a number {limit}, got {value!r}")


@functools.cache
def fit_device(device: torch.device) -> torch.device:
    """Where features of a device are fitted on: the CPU, if it lacks float64.

    Apple's MPS does, and some of Intel's GPUs.
    """
    try:
        torch.ones(1, dtype=torch.float64, device=device).add_(1)
    except Exception:  # of a kind of its own on each
        return torch.device("cpu")
    return device


def check_rows(rows: Tensor | None, dim: int, what: str, at_least: int = 1) -> Tensor:
    """Checks ``(n, d)`` features for fitting; returns them as float64.

    They come back on the CPU where their device has no float64.

    Raises:
        ValueError: if they are missing, too few, of another shape or not finite
    """
    if rows is None:
        raise ValueError(f"fit() needs {what}, shape (n, {dim}); got None")
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"{what}: shape (n, {dim}) expected, got {tuple(rows.shape)}")
    if len(rows) < at_least:
        raise ValueError(f"{what}: at least {at_least} needed, got {len(rows)}")
    if not torch.isfinite(rows).all():
        raise ValueError(f"{what}: NaN or infinite values; leave out failed rows")
    return rows.to(fit_device(rows.device)).double()


def check_features(
    features: Tensor, mask: Tensor | None, dim: int
) -> tuple[Tensor, Tensor]:
    """Checks ``(b, p, d)`` features and their mask.

    Returns:
        features as float32, masked rows zero, and the mask ``(b, p)``, all True by
        default

    Raises:
        ValueError: on a wrong shape or dtype, an image without its row 0, or values
            that are not finite in valid rows
    """
    if features.ndim != 3 or features.shape[2] != dim or features.shape[1] < 1:
        raise ValueError(
            f"features: shape (b, p, {dim}) expected, got {tuple(features.shape)}"
        )
    features = features.float()
    if mask is None:
        mask = features.new_ones(features.shape[:2], dtype=torch.bool)
    elif mask.dtype != torch.bool or mask.shape != features.shape[:2]:
        raise ValueError(
            f"mask: bool of shape {tuple(features.shape[:2])} expected, got "
            f"{mask.dtype} of shape {tuple(mask.shape)}"
        )
    else:
        features = features.masked_fill(~mask[..., None], 0.0)
    if not mask[:, 0].all():
        raise ValueError("mask: row 0, the whole image, must be valid in every image")
    bad = ~torch.isfinite(features).all(dim=2).all(dim=1)
    if bad.any():
        raise ValueError(
            f"features of images {bad.nonzero().flatten().tolist()[:5]} hold NaN or "
            "infinite values; leave failed images out"
        )
    return features, mask
