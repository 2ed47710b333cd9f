"""A concept from a text and examples: one vector, whose cosine finds more of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detail_embed.concepts.background import Background
from detail_embed.concepts.choose import agreed, best
from detail_embed.concepts.example import Example
from detail_embed.concepts.share import blend, find_share

_PUSH = 0.1  # of a text, away from what was thumbed down


def learn(
    text: np.ndarray | None,
    positives: Sequence[Example],
    negatives: Sequence[Example],
    background: Background,
) -> np.ndarray:
    """Learns one vector.

    The score of an image is the largest cosine of this vector and a patch of it, as for
    any prompt.

    Args:
        text: ``(d,)`` unit vector of what a person calls it, None for no text
        positives: images that show it
        negatives: images that do not; those that look like it teach the most
        background: of the same dataset

    Returns:
        ``(d,)`` float32, unit length

    Raises:
        ValueError: if there is nothing to learn from, or the vectors are of different
            spaces, or not finite
    """
    text = None if text is None else np.asarray(text, np.float64)
    _check(text, positives, negatives, background)
    known = np.zeros(len(background.mean))
    if text is not None:
        known = _away_from(background.scaled(text), negatives, background)
    if not positives:
        return _unit(known)
    may_choose = text is None or len(positives) > 1 or positives[0].patch is not None
    chosen = agreed(positives, negatives, background) if may_choose else None
    examples = chosen, positives, negatives, background
    share = 1.0 if text is None else find_share(known, *examples)
    return _unit(blend(share, known, *examples))


def _away_from(known, negatives, background) -> np.ndarray:
    """A text, and a little less of what it is mistaken for."""
    if not negatives:
        return known
    confused = background.direction(best(negatives, known).mean(axis=0))
    push = _PUSH * len(negatives) / (len(negatives) + 1)
    return background.scaled(known - push * confused)


def _check(text, positives, negatives, background) -> None:
    if text is None and not positives:
        raise ValueError(
            "there is neither a text nor a positive example: give a thumb up to one "
            "image at least, or say in words what you look for"
        )
    size = len(background.mean)
    if text is not None:
        if text.shape != (size,):
            raise ValueError(
                f"the text has shape {text.shape} and the images' patches {size} "
                "dimensions: they were made with different models"
            )
        if not np.isfinite(text).all() or not np.any(text):
            raise ValueError("the text's vector is empty, NaN or infinite: encode it "
                             "again")
    for example in [*positives, *negatives]:
        if example.features.shape[1] != size:
            raise ValueError(
                f"an example has {example.features.shape[1]} dimensions and the "
                f"background {size}: they were made with different models"
            )


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    if length < 1e-9:
        raise ValueError(
            "the examples look like every other image: give others, or a text"
        )
    return (vector / length).astype(np.float32)
