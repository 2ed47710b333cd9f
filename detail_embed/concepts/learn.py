"""A concept from a text and examples: one vector, whose cosine finds more of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detail_embed.concepts.background import Background
from detail_embed.concepts.choose import agreed, best
from detail_embed.concepts.example import Example

_BELIEVED = 2.0  # examples by which a text is believed before it is tried
_TYPICAL = 1.0  # how far above chance that is for a text that is known
_KNOWN = 0.8  # how far above chance a text finds its examples that needs none
_LEAST = 0.07  # share of the examples where the text is all that is needed
_CONFUSED = 4.0  # negatives that count as much as all of the background
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
    if not positives and not negatives:
        return _unit(text)
    share = 1.0 if text is None else examples_share(text, positives, background)
    known = 0.0 if text is None else background.scaled(text)
    chosen = agreed(positives, negatives, background) if share > 0.5 else None
    vector = background.direction(chosen.mean(axis=0)) if share > 0.5 else known
    for _ in range(_ROUNDS):
        learned = _from_examples(vector, positives, negatives, background)
        vector = share * learned + (1 - share) * known
    return _unit(vector)


def examples_share(
    text: np.ndarray, positives: Sequence[Example], background: Background
) -> float:
    """How much examples count, 0 to 1, where a text counts the rest.

    A text that finds its own examples, among what random images show, needs no more
    than a touch of them; one that does not find them says nothing, such as a made-up
    name. Few examples cannot tell: until there are some, the text is believed.
    """
    scorer = background.scaled(text)
    scores = [(e.candidates @ scorer).max() for e in positives]
    above = np.sum(scores - background.chance(scorer))
    above = (above + _BELIEVED * _TYPICAL) / (len(positives) + _BELIEVED)
    return float(np.clip(1 - above / _KNOWN, _LEAST, 1))


def _from_examples(vector, positives, negatives, background) -> np.ndarray:
    to = best(positives, vector).mean(axis=0)
    if not negatives:
        return background.direction(to)
    weight = len(negatives) / (len(negatives) + _CONFUSED)
    confused = best(negatives, vector).mean(axis=0)
    start = (1 - weight) * background.mean + weight * confused
    return background.direction(to, start)


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


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)
