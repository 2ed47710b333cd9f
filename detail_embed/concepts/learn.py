"""A concept from a text and examples: one vector, whose cosine finds more of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detail_embed.concepts.background import Background
from detail_embed.concepts.example import Example

_HALF = 4.0  # positives at which examples count as much as the text
_AGAINST = 0.3  # weight of the negatives
_ROUNDS = 3  # of choosing patches and learning from them


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
    _check(text, positives, negatives, background)
    precision = background.precision()
    if not positives and not negatives:
        return _unit(text)
    known = None if text is None else _scaled(text, background)
    vector = known
    if vector is None:
        vector = _scaled(precision @ (_mean_of_all(positives) - background.mean),
                         background)
    for _ in range(_ROUNDS):
        direction = np.zeros_like(vector)
        for examples, weight in ((positives, 1.0), (negatives, -_AGAINST)):
            if examples:
                best = [e.candidates[np.argmax(e.candidates @ vector)]
                        for e in examples]
                direction += weight * (np.mean(best, axis=0) - background.mean)
        learned = _scaled(precision @ direction, background)
        share = len(positives) / (len(positives) + _HALF)
        vector = learned if known is None else (1 - share) * known + share * learned
    return _unit(vector)


def _mean_of_all(examples: Sequence[Example]) -> np.ndarray:
    return np.mean([e.candidates.mean(axis=0) for e in examples], axis=0)


def _check(text, positives, negatives, background) -> None:
    if text is None and not positives:
        raise ValueError(
            "there is neither a text nor a positive example: give a thumb up to one "
            "image at least, or say in words what you look for"
        )
    size = len(background.mean)
    if text is not None:
        text = np.asarray(text)
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


def _scaled(vector: np.ndarray, background: Background) -> np.ndarray:
    """So that the scores of the background's patches have a spread of 1."""
    spread = np.sqrt(vector @ background.covariance @ vector)
    return np.asarray(vector, np.float64) / max(spread, 1e-12)


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)
