"""Learns what words look like on one's own images, and measures it on held-out ones."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from detail_embed.adapt import held_out
from detail_embed.adapt.lesson import FEWEST, Lesson
from detail_embed.concepts import Background, learn
from detail_embed.texts.text_adapter import TextAdapter

FOLDS = 3
NEARNESSES = (0.7, 0.8, 0.85, 0.9, 0.95)  # the widest that costs nothing is taken
_GROUPS = 4  # of words, each left out once
_LOST = 0.2  # points of mAP that words of no lesson may lose, at most
_WORSE = 2.0  # points that a word may lose, or all others together
_GAIN = 0.5  # points below which nothing was gained
FEWEST_IMAGES = 12


@dataclass(frozen=True, eq=False)
class LearnedWords:
    """What was learned, and how good it is on images that it was not learned from.

    All numbers are mean average precision in percent, of a cross-validation.

    Attributes:
        adapter: what moves queries; None where every word lost
        words: the words of the lessons
        examples: images that show each
        before: of each word's name alone; NaN where it could not be measured
        after: of what was learned, likewise
        others_before: of words whose lesson was left out, by their names alone
        others_after: the same with all other lessons
        nouns: percent of the first images of general nouns that stay; NaN for no nouns
        nearness: from which cosine on a text is moved
        worse: words that lost, and so stay as they were
        images: that were learned and measured from
    """

    adapter: TextAdapter | None
    words: tuple[str, ...]
    examples: tuple[int, ...]
    before: np.ndarray
    after: np.ndarray
    others_before: float
    others_after: float
    nouns: float
    nearness: float
    worse: tuple[str, ...]
    images: int

    @property
    def mean_before(self) -> float:
        """Over all words that could be measured."""
        return float(np.nanmean(self.before))

    @property
    def mean_after(self) -> float:
        """Over all words that could be measured."""
        return float(np.nanmean(self.after))

    @property
    def is_better(self) -> bool:
        """Whether held-out images are found better, and other words hardly worse."""
        lost = self.others_before - self.others_after
        return self.mean_after - self.mean_before >= _GAIN and lost <= _WORSE


def learn_words(
    lessons: Sequence[Lesson],
    images: Sequence[np.ndarray],
    background: Background,
    nouns: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
) -> Generator[float, None, LearnedWords]:
    """Learns words.

    Every word is learned as a concept is, by :func:`detail_embed.concepts.learn`. A
    cross-validation over the images says what that is worth, and over the words how
    far from a taught word texts may be moved, so that words which nobody taught lose
    nothing.

    Args:
        lessons: words with at least 3 examples each
        images: ``(p, d)`` unit patch features of each, or an index's vectors
        background: of the same images
        nouns (None): the texts ``(d,)`` of general nouns, by which is measured what
            changes for texts of all kinds
        seed (0): of the split, and of what is drawn

    Yields:
        how far it is, 0 to 1

    Raises:
        ValueError: if there is too little to learn from, or a vector is not finite
    """
    _check(lessons, images)
    rng = np.random.default_rng(seed)
    fold_of = rng.permutation(len(images)) % FOLDS
    group_of = rng.permutation(len(lessons)) % min(_GROUPS, len(lessons))
    words = tuple(lesson.word for lesson in lessons)
    texts = np.stack([lesson.text for lesson in lessons]).astype(np.float32)
    shows = np.zeros((len(lessons), len(images)), bool)
    for row, lesson in enumerate(lessons):
        shows[row, list(lesson.shows)] = True
    steps, done = (FOLDS + 1) * len(lessons), 0
    before, after = (np.full((FOLDS, len(lessons)), np.nan) for _ in range(2))
    others = np.full((FOLDS, len(NEARNESSES), len(lessons)), np.nan)
    for fold in range(FOLDS):
        held = set(np.flatnonzero(fold_of == fold).tolist())
        taught = texts.copy()
        for row, lesson in enumerate(lessons):
            taught[row] = _learn(lesson, images, held, background, seed)
            done += 1
            yield done / steps
        some = [images[number] for number in sorted(held)]
        judged = shows[:, sorted(held)]
        queries = np.concatenate([texts, taught, *(
            _left_out(words, texts, taught, group_of, nearness)
            for nearness in NEARNESSES
        )])
        found = held_out.scores(some, queries).reshape(-1, len(lessons), len(some))
        before[fold], after[fold], *rest = (
            held_out.precision(part, judged) for part in found
        )
        others[fold] = rest
    before, after, others = (_mean(part) for part in (before, after, others))
    nearness, lost = _widest(before, others)
    worse = after < before - _WORSE
    taught = texts.copy()
    for row, lesson in enumerate(lessons):
        if not worse[row]:
            taught[row] = _learn(lesson, images, set(), background, seed)
        done += 1
        yield done / steps
    kept = np.flatnonzero(~worse)
    adapter = None
    if len(kept):
        adapter = TextAdapter(
            [words[row] for row in kept], texts[kept], taught[kept], nearness
        )
    result = LearnedWords(
        adapter=adapter,
        words=words,
        examples=tuple(len(lesson.shows) for lesson in lessons),
        before=before,
        after=after,
        others_before=float(np.nanmean(before)),
        others_after=float(np.nanmean(others[lost])),
        nouns=_nouns(adapter, nouns, images),
        nearness=nearness,
        worse=tuple(words[row] for row in np.flatnonzero(worse)),
        images=len(images),
    )
    return result


def check_count(images: int) -> None:
    """Checks that there are enough images to learn from.

    Raises:
        ValueError: if not
    """
    if images < FEWEST_IMAGES:
        raise ValueError(
            f"{images} images are too few to learn words from: give at least "
            f"{FEWEST_IMAGES}, so that some can be held out to measure by"
        )


def _check(lessons: Sequence[Lesson], images: Sequence[np.ndarray]) -> None:
    check_count(len(images))
    if not lessons:
        raise ValueError("there is no word to learn: give one at least")
    for lesson in lessons:
        if len(lesson.shows) < FEWEST:
            raise ValueError(
                f"{lesson.word!r} is shown by {len(lesson.shows)} images: give at "
                f"least {FEWEST}, or leave the word out"
            )
        if len(lesson.shows) == len(images):
            raise ValueError(
                f"{lesson.word!r} is shown by all {len(images)} images, so nothing "
                "tells what it is: add images without it, or leave the word out"
            )
        if not np.isfinite(lesson.text).all():
            raise ValueError(
                f"the text of {lesson.word!r} is NaN or infinite: encode it again"
            )
    for number, image in enumerate(images):
        if not np.isfinite(image).all():
            raise ValueError(
                f"image {number} has features that are NaN or infinite: compute them "
                "again"
            )


def _learn(
    lesson: Lesson, images: Sequence[np.ndarray], held: set[int],
    background: Background, seed: int,
) -> np.ndarray:
    """What the examples say that are not held out; the text where there are none."""
    positives = lesson.positives(images, held, seed)
    if not positives:
        return lesson.text
    negatives = lesson.negatives(images, held, seed)
    return learn(lesson.text, positives, negatives, background)


def _left_out(
    words: Sequence[str], texts: np.ndarray, taught: np.ndarray, group_of: np.ndarray,
    nearness: float,
) -> np.ndarray:
    """Every text as it is moved by the lessons of other words alone."""
    moved = texts.copy()
    for group in np.unique(group_of):
        own, rest = (
            np.flatnonzero(part) for part in (group_of == group, group_of != group)
        )
        if len(rest):
            names = [words[row] for row in rest]
            adapter = TextAdapter(names, texts[rest], taught[rest], nearness)
            asked = [words[row] for row in own]
            moved[own] = adapter(torch.from_numpy(texts[own]), asked).numpy()
    return moved


def _mean(folds: np.ndarray) -> np.ndarray:
    """The mean over the folds that have a number; NaN where none has."""
    known = ~np.isnan(folds)
    total = np.where(known, folds, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _widest(before: np.ndarray, others: np.ndarray) -> tuple[float, int]:
    """The widest nearness at which words of no lesson lose next to nothing.

    Gains do not make up for losses: what a left-out word gains by its neighbours it
    does not gain once it has a lesson itself.
    """
    for number, nearness in enumerate(NEARNESSES):
        if np.nanmean(np.clip(before - others[number], 0, None)) <= _LOST:
            return nearness, number
    return NEARNESSES[-1], len(NEARNESSES) - 1


def _nouns(
    adapter: TextAdapter | None, nouns: Mapping[str, np.ndarray] | None,
    images: Sequence[np.ndarray],
) -> float:
    if adapter is None or not nouns:
        return float("nan")
    plain = np.stack([*nouns.values()]).astype(np.float32)
    moved = adapter(torch.from_numpy(plain), list(nouns)).numpy()
    return held_out.overlap(*(held_out.scores(images, rows) for rows in (plain, moved)))
