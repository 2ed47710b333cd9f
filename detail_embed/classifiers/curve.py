"""How good a classifier is by the number of examples of each class."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score
from torch import Tensor

from detail_embed.classifiers.bags import Bags, Part
from detail_embed.classifiers.folds import draw_shots, folds
from detail_embed.classifiers.kind import Kind
from detail_embed.classifiers.train import train_in_steps, without_examples

SHOTS = (0, 1, 2, 4, 8, 16)
DRAWS = 5
_GROUPS, _NORMAL = 10, 1.96


@dataclass(frozen=True)
class CurvePoint:
    """Training on a number of examples.

    Attributes:
        kind: of classifier
        shots: examples of each class
        mean: share that is right of what was never trained on, over the draws; the mean
            average precision of the classes where one thing may have several
        low: of a 95 % interval of the mean, see :func:`interval`; None where there is
            too little to tell
        high: likewise
        draws: what each draw reached
    """

    kind: str
    shots: int
    mean: float
    low: float | None
    high: float | None
    draws: list[float]


def curve_in_steps(
    kind: Kind,
    bags: Bags,
    targets: np.ndarray,
    several: bool = False,
    captions: Tensor | None = None,
    shots: Sequence[int] = SHOTS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Generator[float, None, list[CurvePoint]]:
    """Trains on a few examples, drawn several times, and measures on the same half.

    Classes that one half has no example of are left out, see :func:`halves`.

    Args:
        kind: of classifier
        bags: ``n`` examples
        targets: ``(n, K)`` bool: their classes
        several (False): whether one may have several classes, or none
        captions (None): ``(K, M, d)`` encoded captions of the classes, by which there
            is a point at 0: they are all that is known then
        shots (SHOTS): examples of each class, from the other half; of a class that
            has fewer, all
        draws (DRAWS): how often they are drawn
        seed (0): of halves and draws

    Yields:
        the share that is done, 0 to 1

    Raises:
        ValueError: if no classes are left that can be told apart
    """
    shown, pool, test = halves(targets, several, seed)
    if not are_enough(shown, several):
        raise ValueError(
            "a curve needs classes with two examples, one to train on and one to "
            "measure on: label more, or do without the curve"
        )
    targets = targets[:, shown]
    captions = None if captions is None else captions[shown]
    asked = [count for count in shots if count or captions is not None]
    total, done, points = sum(draws if count else 1 for count in asked), 0, []
    names = [str(number) for number in range(targets.shape[1])]
    for count in asked:
        every = []
        for draw in range(draws if count else 1):
            rows = pool[draw_shots(targets[pool], count, 1000 * seed + draw)]
            if count:
                steps = train_in_steps(
                    kind, Part(bags, rows), targets[rows], names, "", several,
                    captions, seed,
                )
                while True:
                    try:
                        yield (done + next(steps)) / total
                    except StopIteration as end:
                        found = end.value.classifier
                        break
            else:
                found = without_examples(
                    Part(bags, test), names, "", several, captions, kind.name
                )
            every.append(found.scores(Part(bags, test)))
            done += 1
            yield done / total
        values = [goodness(scores, targets[test], several) for scores in every]
        ends = interval(every, targets[test], several, seed)
        points.append(
            CurvePoint(kind.name, count, float(np.mean(values)), *ends, values)
        )
    return points


def halves(
    targets: np.ndarray, several: bool, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deals examples out to train on and to measure on.

    Args:
        targets: ``(n, K)`` bool
        several: whether one thing may have several classes, or none; else what is of
            no class of both halves is in neither
        seed (0): of the deal

    Returns:
        ``(K,)`` bool, the classes of which both halves have an example; and the places
        of the examples to train on, and of those to measure on
    """
    is_test = folds(targets, 2, seed) == 0
    shown = targets[is_test].any(axis=0) & targets[~is_test].any(axis=0)
    counts = targets[:, shown].any(axis=1) | several
    return shown, np.flatnonzero(counts & ~is_test), np.flatnonzero(counts & is_test)


def are_enough(shown: np.ndarray, several: bool) -> bool:
    """Whether something can be told apart by the classes that are shown, ``(K,)``."""
    return bool(shown.sum() >= (1 if several else 2))


def goodness(scores: np.ndarray, targets: np.ndarray, several: bool) -> float:
    """Share that is right; mean average precision where there are several classes.

    Args:
        scores: ``(n, K)``
        targets: ``(n, K)`` bool; classes that nothing has do not count
        several: whether one thing may have several classes, or none
    """
    if not several:
        return float(targets[np.arange(len(scores)), scores.argmax(axis=1)].mean())
    shown = targets.any(axis=0)
    return float(average_precision_score(targets[:, shown], scores[:, shown]))


def interval(
    every: Sequence[np.ndarray], targets: np.ndarray, several: bool, seed: int = 0
) -> tuple[float | None, float | None]:
    """Where the mean over draws lies, for other examples and other things to judge.

    Two variances add up: that of the mean over draws, which differ in what was trained
    on, with Student's t for so few; and that of what is judged, the same for all draws,
    by the jackknife over groups (Efron and Stein, 1981).

    Args:
        every: ``(n, K)`` scores, of each draw
        targets: ``(n, K)`` bool
        several: as of :func:`goodness`
        seed (0): of the groups

    Returns:
        low and high of a 95 % interval, within 0 to 1; both None for one thing
    """
    n = len(targets)
    if n < 2:
        return None, None
    groups = np.random.default_rng(seed).permutation(n) % min(_GROUPS, n)
    others = [groups != one for one in np.unique(groups)]
    means = [
        _mean(every, targets, several, rows) for rows in others if targets[rows].any()
    ]
    variance = (len(means) - 1) * np.var(means) * _NORMAL**2
    values = [goodness(scores, targets, several) for scores in every]
    if len(values) > 1:
        wide = stats.t.ppf(0.975, len(values) - 1)
        variance += np.var(values, ddof=1) / len(values) * wide**2
    mean, half = np.mean(values), np.sqrt(variance)
    return float(max(mean - half, 0)), float(min(mean + half, 1))


def _mean(
    every: Sequence[np.ndarray], targets: np.ndarray, several: bool, rows: np.ndarray
) -> float:
    return np.mean([goodness(one[rows], targets[rows], several) for one in every])
