"""The line below which an image probably does not show what was asked, without labels.

A cosine alone does not tell: some words are near to everything, and every word has a
nearest image. So each image's best place is asked three things: how near it is, whether
a place beside it agrees, and how many other words are nearer to it. Their sum is the
*evidence*. Most words of a long list of common nouns are shown by no image of a
dataset: where their evidence ends, the line is drawn. How well it does is in
docs/results/nothing-line.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detail_embed.texts.vocabulary import Vocabulary

SAME = 0.9  # cosine of two texts that mean the same: they do not compete
LOOK = 8  # images whose evidence is weighed together: the best by their scores
VERSION = 2  # of what evidence is: lines of another say nothing

_RIVALS = 0.5  # weight of ln(1 + the words that are nearer), where that of cosines is 1
_NOT_FIRST = 0.8  # evidence more that every image but the best needs
_LOW = 16  # percentile one standard deviation below the middle
_TIMES = {True: 1.97, False: 1.5}  # of these to the line, with places beside or without
_ROUNDS = 20


def common_words() -> tuple[str, ...]:
    """600 of the 3,000 commonest nouns, which a report card encodes anyway."""
    return Vocabulary.nouns(3000).words[::5]


@dataclass(frozen=True, eq=False)
class Places:
    """The best place of each of ``m`` images for one text.

    Attributes:
        scores: ``(m,)`` cosines of the text and the place
        vectors: ``(m, d)`` float32, of the places, unit length
        beside: ``(m,)`` cosines of the second best place, None where none is meant
    """

    scores: np.ndarray
    vectors: np.ndarray
    beside: np.ndarray | None = None


@dataclass(frozen=True)
class NothingLine:
    """The line of one way to search in one set of images.

    Attributes:
        level: the evidence that the best image must reach
        unit: a cosine by which evidence is measured: how far the scores of a common
            word are spread over the images, in the middle of such words
    """

    level: float
    unit: float

    def above(self, evidence: ArrayLike) -> np.ndarray:
        """``(m,)`` bool, which images of a search are above the line.

        All but the best need a little more evidence than the best: what nobody shows
        has a nearest image too, but seldom two.

        Args:
            evidence: ``(m,)`` of the images
        """
        above = self.clearly_above(evidence)
        if len(above):
            best = np.argmax(evidence)
            above[best] = np.asarray(evidence)[best] >= self.level
        return above

    def clearly_above(self, evidence: ArrayLike) -> np.ndarray:
        """``(m,)`` bool, which images are, whether or not others are better."""
        return np.asarray(evidence, np.float64) >= self.level + _NOT_FIRST


def weigh(
    text: np.ndarray, places: Places, words: np.ndarray, unit: float
) -> np.ndarray:
    """The evidence that images show what a text says.

    Args:
        text: ``(d,)`` unit vector
        places: of the images
        words: ``(W, d)`` unit vectors of common words; those that mean the same as the
            text do not count
        unit: see :class:`NothingLine`

    Returns:
        ``(m,)`` float64

    Raises:
        ValueError: if there are no other words, or the unit is not above 0
    """
    if not unit > 0:
        raise ValueError(f"unit={unit!r}: scores that are all equal tell nothing")
    others = words[words @ text <= SAME]
    if not len(others):
        raise ValueError("no other words: give some that mean something else")
    nearer = (places.vectors @ others.T > places.scores[:, None]).sum(axis=1)
    cosines = places.scores if places.beside is None else places.scores + places.beside
    return np.asarray(cosines, np.float64) / unit - _RIVALS * np.log1p(nearer)


def draw_line(best: ArrayLike, beside: bool) -> float:
    """The level that words reach which no image shows.

    Up to about half of the words may be shown: the level is a number of standard
    deviations above the middle of those below it, read from their lower side, where
    none is shown. The number was chosen on scenes, see docs/results/nothing-line.md.

    Args:
        best: ``(W,)`` the most evidence that each word has in an image
        beside: whether evidence counts a place beside the best

    Raises:
        ValueError: if there is none, or not all are finite
    """
    best = np.asarray(best, np.float64)
    if best.ndim != 1 or not len(best) or not np.isfinite(best).all():
        raise ValueError("give the evidence of each word, all finite")
    for _ in range(_ROUNDS):
        middle = np.median(best)
        level = middle + _TIMES[beside] * (middle - np.percentile(best, _LOW))
        below = best[best <= level]
        if len(below) == len(best):
            break
        best = below
    return float(level)
