"""CLIP's loss where several images may have one text, or one image several."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def contrast(
    images: Tensor, texts: Tensor, fits: Tensor, scale: Tensor,
    unknown: Tensor | None = None,
) -> Tensor:
    """Symmetric cross-entropy; whatever fits shares the probability.

    Where every image has one text and every text one image it is open_clip's
    ``ClipLoss``. A text that fits no image is compared with all the same.

    Args:
        images: ``(b, d)`` unit vectors
        texts: ``(t, d)`` unit vectors of different texts
        fits: ``(b, t)`` bool, which text is said of which image
        scale: of the scores
        unknown (None): ``(b, t)`` bool, pairs that may fit or not: they do not count

    Returns:
        the mean of both directions
    """
    logits = scale * images @ texts.T
    if unknown is not None:
        logits = logits.masked_fill(unknown & ~fits, -1e4)
    return (_one_way(logits, fits) + _one_way(logits.T, fits.T)) / 2


def stay(images: Tensor, texts: Tensor, before: Tensor, scale: Tensor) -> Tensor:
    """How far other words have moved: their scores against those before training.

    Args:
        images: ``(b, d)`` unit vectors
        texts: ``(t, d)`` unit vectors
        before: ``(b, t)`` scores of the same by the model that training began with
        scale: of the scores

    Returns:
        the Kullback-Leibler divergence, the mean of both directions
    """
    now, then = scale * images @ texts.T, scale * before
    return (_divergence(now, then) + _divergence(now.T, then.T)) / 2


def _one_way(logits: Tensor, fits: Tensor) -> Tensor:
    used = fits.any(dim=1)
    fits = fits[used].to(logits)
    return F.cross_entropy(logits[used], fits / fits.sum(dim=1, keepdim=True))


def _divergence(now: Tensor, then: Tensor) -> Tensor:
    return F.kl_div(
        now.log_softmax(dim=1), then.log_softmax(dim=1), reduction="batchmean",
        log_target=True,
    )
