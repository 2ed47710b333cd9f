"""From what one pass says of a window to what its own crop would say: a closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LAMS = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Ridge:
    """A linear map for each level of the cover.

    Attributes:
        maps: ``(g * d + 1, d)`` by level
        lam: the ridge, as a share of the mean of the diagonal
        cosine: of the estimates with the true crops', on images of the sample that
            were left out for it
    """

    maps: dict[int, Tensor]
    lam: float
    cosine: float

    def __call__(self, found: Tensor, levels: Sequence[int]) -> Tensor:
        """Estimates: ``(..., p, d)`` of ``(..., p, g, d)``, not of unit length.

        A vector is the shorter, the less is known of it.
        """
        inputs = _inputs(found)
        levels = torch.as_tensor(levels)
        made = inputs.new_empty(*inputs.shape[:-1], found.shape[-1])
        for level, weight in self.maps.items():
            rows = levels == level
            made[..., rows, :] = inputs[..., rows, :] @ weight
        return made


def fit(found: Tensor, targets: Tensor, levels: Sequence[int]) -> Ridge:
    """Fits it; of the ridges in ``LAMS`` the one that does best on a quarter left out.

    Args:
        found: ``(n, p, g, d)`` of a sample of images, as a pass says
        targets: ``(n, p, d)`` features of the crops
        levels: ``(p,)`` of the cover

    Raises:
        ValueError: if there are fewer than 4 images
    """
    if len(found) < 4:
        raise ValueError(f"{len(found)} images: give at least 4")
    quarter = len(found) // 4
    tried = []
    for lam in LAMS:
        maps = _solve(found[quarter:], targets[quarter:], levels, lam)
        made = Ridge(maps, lam, 0.0)(found[:quarter], levels)
        near = torch.cosine_similarity(made, targets[:quarter].float(), dim=-1)
        tried.append((float(near.mean()), lam))
    cosine, lam = max(tried)
    return Ridge(_solve(found, targets, levels, lam), lam, cosine)


def _solve(
    found: Tensor, targets: Tensor, levels: Sequence[int], lam: float
) -> dict[int, Tensor]:
    maps, levels = {}, torch.as_tensor(levels)
    for level in levels.unique().tolist():
        rows = levels == level
        x = _inputs(found[:, rows]).flatten(0, 1)
        y = targets[:, rows].flatten(0, 1).float()
        gram = x.T @ x
        gram.diagonal().add_(lam * gram.diagonal().mean())
        maps[level] = torch.linalg.solve(gram, x.T @ y)
    return maps


def _inputs(found: Tensor) -> Tensor:
    flat = found.float().flatten(-2)
    return torch.cat([flat, torch.ones_like(flat[..., :1])], dim=-1)
