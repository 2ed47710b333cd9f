"""What fusers have in common that are trained, not solved for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detail_embed.fusers.base import Fuser, check_images, check_rows


class TrainedFuser(Fuser):
    """A fuser with parameters; it can be called once it was trained.

    See :mod:`detail_embed.training` for training with all its choices.

    Args:
        dim: d, the dimension of the features
        **options: of the fuser
    """

    is_trained = True

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__(dim, **options)
        self.register_buffer("epochs_trained", torch.empty(0))

    def prepare(
        self, images: Tensor, mask: Tensor, proxies: Tensor
    ) -> None:
        """Takes what the fuser needs before its first step; here: nothing.

        Args:
            images: ``(b, p, d)`` a sample of the training images
            mask: ``(b, p)`` bool
            proxies: ``(K, d)`` the training words
        """

    def fit(
        self,
        patch_features: Tensor | None = None,
        proxies: Tensor | None = None,
        images: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Fuser:
        """Trains for the default number of epochs; see :meth:`Fuser.fit`.

        A fifth of the images and of the proxies is held out to stop early by.
        ``patch_features`` is not used.

        Raises:
            ValueError: also if there are too few images or proxies
            TrainingDiverged: if the loss is not finite
        """
        from detail_embed.training import InMemory, Training  # which imports fusers

        texts = check_rows(proxies, self.dim, "proxies").float()
        if images is None:
            raise ValueError(
                f"{self.name}: fit() needs images, (b, p, {self.dim}); got None"
            )
        images, mask = check_images(images, mask, self.dim)
        held_out = torch.arange(len(texts), device=texts.device) % 5 == 4
        training = Training(
            self, InMemory(images, mask), texts[~held_out], texts[held_out],
            device=images.device,
        )
        for _ in training:
            pass
        return self
