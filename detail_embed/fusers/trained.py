"""What fusers have in common that are trained, not solved for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detail_embed.fusers.base import Fuser
from detail_embed.fusers.sample import FitSample


class TrainedFuser(Fuser):
    """A fuser with parameters; it can be called once it was trained.

    See :func:`detail_embed.training.fit`, and
    :class:`detail_embed.training.Training` for all choices.

    Args:
        dim: d, the dimension of the features
        **options: of the fuser
    """

    is_trained = True

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__(dim, **options)
        self.register_buffer("epochs_trained", torch.empty(0))

    def prepare(self, images: Tensor, mask: Tensor, proxies: Tensor) -> None:
        """Takes what the fuser needs before its first step; here: nothing.

        Args:
            images: ``(b, p, d)`` a sample of the training images
            mask: ``(b, p)`` bool
            proxies: ``(K, d)`` the training words
        """

    @classmethod
    def needs_words(cls, **options: Any) -> bool:
        """It is trained on them."""
        return True

    def _fit(self, sample: FitSample) -> None:
        raise NotImplementedError(
            f"the {self.name!r} fuser is trained: call detail_embed.training.fit(fuser,"
            " sample), or make a detail_embed.training.Training"
        )
