"""One way to fit any fuser: by its own rule, or by a training."""

from __future__ import annotations

import torch

from detail_embed.fusers.base import Fuser
from detail_embed.fusers.checks import check_features, check_rows
from detail_embed.fusers.sample import FitSample
from detail_embed.training.data import InMemory
from detail_embed.training.loop import Training


def fit(fuser: Fuser, sample: FitSample) -> Fuser:
    """Fits a fuser on a sample of features; one that is trained, by default choices.

    Of what a training gets, a fifth of the images and of the proxies is held out to
    stop early by.

    Args:
        fuser: changed in place
        sample: the features

    Returns:
        the fuser itself

    Raises:
        ValueError: if an input that is needed is missing, too small, of another
            dimension, or not finite
        TrainingDiverged: if the loss is not finite
    """
    if not fuser.is_trained:
        return fuser.fit(sample)
    texts = check_rows(sample.proxies, fuser.dim, "proxies").float()
    if sample.images is None:
        raise ValueError(
            f"{fuser.name}: fit() needs images, (b, p, {fuser.dim}); got None"
        )
    images, mask = check_features(sample.images, sample.mask, fuser.dim)
    held_out = torch.arange(len(texts), device=texts.device) % 5 == 4
    training = Training(
        fuser, InMemory(images, mask), texts[~held_out], texts[held_out],
        device=images.device,
    )
    for _ in training:
        pass
    return fuser
