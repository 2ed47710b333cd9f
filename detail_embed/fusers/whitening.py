"""Whitening of features: directions that vary much count no more than others."""

from __future__ import annotations

import torch
from torch import Tensor


def fit_whitening(rows: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Mean ``m`` and ``W = (C + eps l I)^-1/2`` of features.

    Args:
        rows: ``(n, d)`` float64, with covariance ``C`` and its largest eigenvalue ``l``
        eps: floor of the spectrum, as a share of ``l``

    Returns:
        ``(d,)`` and ``(d, d)`` float32

    Raises:
        ValueError: if all rows are equal
    """
    mean = rows.mean(dim=0)
    centred = rows - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    if values[-1] <= torch.finfo(torch.float32).eps ** 2:
        raise ValueError("patch_features are all equal: no whitening can be fitted")
    scale = (values.clamp(min=0) + eps * values[-1]).rsqrt()
    return mean.float(), (vectors * scale @ vectors.T).float()
