"""Features of images with different numbers of patches, put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def pad(images: Sequence[Tensor], dim: int) -> tuple[Tensor, Tensor]:
    """Puts images together.

    Args:
        images: ``b`` tensors, each ``(p_i, d)``
        dim: d, for no images

    Returns:
        ``(b, p, d)``, filled up with zeros; and the mask ``(b, p)`` bool of the rows
        that are theirs
    """
    if not images:
        return torch.zeros(0, 0, dim), torch.zeros(0, 0, dtype=torch.bool)
    padded = pad_sequence(list(images), batch_first=True)
    counts = torch.tensor([len(image) for image in images], device=padded.device)
    positions = torch.arange(padded.shape[1], device=padded.device)
    return padded, positions < counts[:, None]
