"""Which patches of the positives are meant: those that the positives have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detail_embed.concepts.background import Background
from detail_embed.concepts.example import Example

_SEEDED = 6  # positives, whose patches are tried as what is meant
_SEEDS = 5  # the best of these patches are followed
_CHANCE_ROWS = 512
_ROUNDS = 3
_AGAINST = 0.5  # weight of what negatives have in common with a patch


def best(examples: Sequence[Example], scorer: np.ndarray) -> np.ndarray:
    """``(n, d)``, of each example the patch with the largest score."""
    return np.stack(
        [e.candidates[np.argmax(e.candidates @ scorer)] for e in examples]
    )


def agreed(
    positives: Sequence[Example], negatives: Sequence[Example], background: Background
) -> np.ndarray:
    """Chooses a patch of each positive, so that they are like each other.

    Every patch of a few positives is tried: how much more like it is the best patch of
    each other positive than a random image's best would be, and not so that of the
    negatives. The best of them are followed: a scorer is learned from the patches
    they lead to, which chooses patches anew. Where it ends is judged by how well each
    positive is found by a scorer that was learned from the others.

    A single positive has nothing in common with others: the patch that is least like
    the background is taken.

    Args:
        positives: at least one
        negatives: any number
        background: of the same dataset

    Returns:
        ``(n, d)`` float32
    """
    if len(positives) == 1:
        rows = positives[0].candidates
        unlike = np.linalg.norm((rows - background.mean) @ background.whitening, axis=1)
        return rows[[np.argmax(unlike)]]
    found = []
    for seed in _seeds(positives, negatives, background):
        rows = best(positives, seed)
        for _ in range(_ROUNDS):
            rows = best(positives, background.direction(rows.mean(axis=0)))
        found.append(rows)
    return max(found, key=lambda rows: _agreement(rows, positives, negatives,
                                                  background))


def _seeds(positives, negatives, background) -> np.ndarray:
    """``(s, d)`` scorers, of the patches that are most in common."""
    rows = np.concatenate([e.candidates for e in positives[:_SEEDED]])
    owner = np.repeat(
        np.arange(len(positives[:_SEEDED])),
        [len(e.candidates) for e in positives[:_SEEDED]],
    )
    like = _whitened(rows, background)
    chance = like @ _whitened(background.rows[:_CHANCE_ROWS], background).T
    level, spread = np.quantile(chance, 0.975, axis=1), chance.std(axis=1) + 1e-6
    common = np.zeros(len(rows))
    for weight, examples in ((1.0, positives), (-_AGAINST, negatives)):
        for number, example in enumerate(examples):
            nearest = (like @ _whitened(example.candidates, background).T).max(axis=1)
            gain = weight * (nearest - level) / spread
            own = (owner == number) & (weight > 0)
            common += np.where(own, 0, gain) / max(1, len(examples) - (weight > 0))
    order = np.argsort(-common, kind="stable")[:_SEEDS]
    return background.direction(rows[order])


def _agreement(rows, positives, negatives, background) -> float:
    """How far each positive is above chance for a scorer learned from the others."""
    others = (rows.sum(axis=0) - rows) / (len(rows) - 1)
    scorers = background.direction(others)
    scores = [(e.candidates @ v).max() for e, v in zip(positives, scorers)]
    above = float(np.mean(scores - background.chance(scorers)))
    if negatives:
        scorer = background.direction(rows.mean(axis=0))
        scores = [(e.candidates @ scorer).max() for e in negatives]
        above -= _AGAINST * float(np.mean(scores) - background.chance(scorer))
    return above


def _whitened(rows: np.ndarray, background: Background) -> np.ndarray:
    white = (rows - background.mean) @ background.whitening
    return white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-9)
