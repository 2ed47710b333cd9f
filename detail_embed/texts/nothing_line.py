"""The line below which an image probably does not show what was asked, without labels.

A cosine alone does not tell: some words are near to everything, and every word has a
nearest image. So each image's best place is asked three things: how near it is, whether
a place beside it agrees, and whether other words are nearer to it; and the image, how
far it stands out among all images for this word. Their sum is the *evidence*. Most
words of a long list of common nouns are shown by no image of a dataset: where their
evidence ends, the line is drawn. How well it does is in docs/results/nothing-line.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detail_embed.texts.vocabulary import Vocabulary

SAME = 0.9  # cosine of two texts that mean the same: they do not compete

_BESIDE, _OTHERS, _OUT = 0.35, 0.3, 0.8  # weights, where that of the cosine is 1
_RIVAL = 5  # the fifth nearest word: some of those before it say the same
_NOT_FIRST = 0.8  # evidence more that every image but the best needs
_LOW, _TIMES = 16, 2.4  # percentile one standard deviation below; of these, to the line
_ROUNDS = 20


def common_words() -> tuple[str, ...]:
    """600 of the 3,000 commonest nouns, which a report card encodes anyway."""
    return Vocabulary.nouns(3000).words[::5]


@dataclass(frozen=True, eq=False)
class Places:
    """The best place of each of ``m`` images for one text, the best image first.

    Attributes:
        scores: ``(m,)`` cosines of the text and the place
        vectors: ``(m, d)`` float32, of the places, unit length
        z_scores: ``(m,)``, how far each image stands out among all images, see
            :func:`~detail_embed.texts.score_summary.standardise`
        beside: ``(m,)`` cosines of the second best place, None where none is meant
    """

    scores: np.ndarray
    vectors: np.ndarray
    z_scores: np.ndarray
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

    def count(self, evidence: ArrayLike, before: int = 0) -> int:
        """Counts the images above the line, from the best to the first below it.

        The second and later images need a little more evidence than the first: what
        nobody shows has a nearest image too, but seldom two.

        Args:
            evidence: ``(m,)`` of the images, best first
            before (0): images before these, all of them above the line
        """
        places = np.arange(before, before + len(evidence))
        above = np.asarray(evidence) >= self.level + _NOT_FIRST * (places > 0)
        return len(above) if above.all() else int(above.argmin())


def weigh(
    text: np.ndarray, places: Places, words: np.ndarray, unit: float
) -> np.ndarray:
    """The evidence that images show what a text says.

    Args:
        text: ``(d,)`` unit vector
        places: of the images
        words: ``(W, d)`` unit vectors of common words, at least 5; those that mean the
            same as the text do not count
        unit: see :class:`NothingLine`

    Returns:
        ``(m,)`` float64

    Raises:
        ValueError: if there are too few words, or the unit is not above 0
    """
    if not unit > 0:
        raise ValueError(f"unit={unit!r}: scores that are all equal tell nothing")
    same = words @ text > SAME
    others = len(words) - int(same.sum())
    if others < _RIVAL:
        raise ValueError(f"{others} other words: give at least {_RIVAL}")
    rivals = places.vectors @ words.T
    rivals[:, same] = -np.inf
    rival = np.partition(rivals, -_RIVAL, axis=1)[:, -_RIVAL]
    cosines = places.scores + _OTHERS * (places.scores - rival)
    if places.beside is not None:
        cosines = cosines + _BESIDE * places.beside
    return cosines.astype(np.float64) / unit + _OUT * places.z_scores


def draw_line(best: ArrayLike) -> float:
    """The level that words reach which no image shows.

    Up to about half of the words may be shown: the level is 2.4 standard deviations
    above the middle of those below it, read from their lower side, where none is shown.

    Args:
        best: ``(W,)`` evidence of each word's best image

    Raises:
        ValueError: if there is none, or not all are finite
    """
    best = np.asarray(best, np.float64)
    if best.ndim != 1 or not len(best) or not np.isfinite(best).all():
        raise ValueError("give the evidence of each word, all finite")
    for _ in range(_ROUNDS):
        middle = np.median(best)
        level = middle + _TIMES * (middle - np.percentile(best, _LOW))
        below = best[best <= level]
        if len(below) == len(best):
            break
        best = below
    return float(level)
