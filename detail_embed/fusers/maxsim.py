"""MaxSim: the best patch of an image for a text, the ceiling of every fuser."""

from __future__ import annotations

import torch

_MAX_SCORES = 2**26


_CACHED_SCORES = 2**21  # of a CPU: more would come back from memory


def maxsim(texts: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Scores an image by its best patch: the ceiling for frozen features.

    Args:
        texts: ``(q, d)`` unit features
        features: ``(p, d)`` unit features of the patches of one image

    Returns:
        ``(q,)`` largest dot product of each text
    """
    return (texts @ features.T).amax(dim=1)


def maxsim_batch(
    texts: torch.Tensor, features: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Scores images by their best patches, in parts of bounded memory.

    Args:
        texts: ``(q, d)`` unit features
        features: ``(b, p, d)`` unit features of the patches of ``b`` images
        mask: ``(b, p)`` bool, the valid rows; at least one an image

    Returns:
        ``(b, q)`` largest dot products
    """
    most = _MAX_SCORES if features.is_cuda else _CACHED_SCORES
    step = max(1, most // (features.shape[1] * len(texts)))
    parts, is_full = [], bool(mask.all())
    for part, valid in zip(features.split(step), mask.split(step), strict=True):
        scores = part @ texts.T
        if not is_full:
            scores = scores.masked_fill(~valid[..., None], -torch.inf)
        parts.append(scores.amax(dim=1))
    return torch.cat(parts)
