"""Trains a classifier: chooses how it learns, learns, and calibrates."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from detail_embed.classifiers.bags import Bags, Part, batches
from detail_embed.classifiers.calibration import calibrate, log_loss
from detail_embed.classifiers.classifier import Classifier
from detail_embed.classifiers.folds import ALWAYS, folds
from detail_embed.classifiers.kind import Choice, Kind
from detail_embed.classifiers.prompts import SCALE, ensemble
from detail_embed.texts.some_of import some_of

logger = logging.getLogger(__name__)

_MOST = 2000  # examples by which the choice is made
STANDS_OUT = 3.0  # z-score of a class that nothing was learned of
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Trained:
    """A classifier, and how it does on what it was not trained on.

    Attributes:
        classifier: trained on all examples
        held_out: ``(n, K)`` calibrated logits of each example by a classifier that did
            not see it; NaN for those that were in every training
        choice: that was made; None of names alone
        notes: what a person should know, in sentences
    """

    classifier: Classifier
    held_out: np.ndarray
    choice: Choice | None
    notes: tuple[str, ...]


def train(
    kind: Kind,
    bags: Bags,
    targets: np.ndarray,
    classes: Sequence[str],
    space: str,
    several: bool = False,
    captions: Tensor | None = None,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> Trained:
    """Trains a classifier; see :func:`train_in_steps`."""
    steps = train_in_steps(
        kind, bags, targets, classes, space, several, captions, seed, facts
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def train_in_steps(
    kind: Kind,
    bags: Bags,
    targets: np.ndarray,
    classes: Sequence[str],
    space: str,
    several: bool = False,
    captions: Tensor | None = None,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> Generator[float, None, Trained]:
    """Trains a classifier on examples, and says after each fit how far it is.

    The choice is the one with the least log loss in a cross-validation, whose held-out
    logits also calibrate the probabilities. A class with one example is
    trained on, but left out of that.

    Args:
        kind: of classifier
        bags: ``n`` examples, in the space
        targets: ``(n, K)`` bool: their classes
        classes: K names
        space: of the vectors
        several (False): whether one example may have several classes, or none
        captions (None): ``(K, M, d)`` encoded captions of the classes
        seed (0): of the cross-validation
        facts (None): see :class:`Classifier`

    Yields:
        the share that is done, 0 to 1

    Raises:
        ValueError: if the examples do not fit together, or a class has none
    """
    targets = np.asarray(targets, bool)
    _check(kind, bags, targets, classes, several, captions)
    parts = folds(targets, kind.folds, seed)
    tried = kind.choices if (parts != ALWAYS).any() else (kind.default,)
    if captions is None:
        tried = tuple(one for one in tried if not one.by_names) or (Choice(1.0),)
    fits = _Fits(kind, bags, targets, several, captions, seed)
    total = len(tried) * kind.folds + kind.folds + 1
    few = _some(targets, parts, seed)
    best, choice, done = np.inf, tried[0], 0
    for candidate in tried if len(tried) > 1 else ():
        logits = np.full(targets.shape, np.nan)
        for part in range(kind.folds):
            fits.hold_out(logits, parts, part, candidate, few)
            done += 1
            yield done / total
        lost = _calibrated_loss(logits, targets, several)
        logger.debug("%s, %s: log loss %.4f", kind.name, candidate, lost)
        if lost < best - _TINY:
            best, choice = lost, candidate
    held_out = np.full(targets.shape, np.nan)
    for part in range(kind.folds):
        fits.hold_out(held_out, parts, part, choice)
        done += 1
        yield done / total
    slopes, offsets = _calibration(held_out, targets, several)
    weights, bias = fits.solve(np.arange(len(targets)), choice)
    classifier = Classifier(
        kind.name, list(classes), several, space,
        *(np.asarray(v, np.float32) for v in (weights, bias, slopes, offsets)),
        facts or {},
    )
    return Trained(
        classifier, slopes * held_out + offsets, choice, _notes(targets, classes)
    )


def without_examples(
    bags: Bags, classes: Sequence[str], space: str, several: bool, captions: Tensor,
    kind: str, facts: Mapping[str, Any] | None = None,
) -> Classifier:
    """A classifier by the names of the classes alone: all captions count alike.

    Args:
        bags: images or boxes, of which no class is known: where each may have several,
            a class is likely where it stands out among them
        classes: K names
        space: of the vectors
        several: whether one thing may have several classes, or none
        captions: ``(K, M, d)`` encoded captions of the classes
        kind: of classifier
        facts (None): see :class:`Classifier`
    """
    texts = ensemble(captions.float()).numpy()
    ones, zeros = (np.full(len(texts), value, np.float32) for value in (1, 0))
    plain = Classifier(
        kind, list(classes), several, space, SCALE * texts, zeros, ones, zeros,
        facts or {},
    )
    if not several:
        return plain
    logits = plain.scores(bags)
    spread = np.maximum(logits.std(axis=0), _TINY)
    return Classifier(
        kind, list(classes), several, space, SCALE * texts, zeros,
        (1 / spread).astype(np.float32),
        (-logits.mean(axis=0) / spread - STANDS_OUT).astype(np.float32),
        facts or {},
    )


class _Fits:
    """Fits on some of the examples."""

    def __init__(
        self, kind: Kind, bags: Bags, targets: np.ndarray, several: bool,
        captions: Tensor | None, seed: int,
    ):
        self._kind, self._bags, self._targets = kind, bags, targets
        self._rest = several, captions
        self._seed = seed

    def solve(
        self, numbers: np.ndarray, choice: Choice
    ) -> tuple[np.ndarray, np.ndarray]:
        part = Part(self._bags, numbers)
        return self._kind.solve(
            part, self._targets[numbers], *self._rest, choice, self._seed
        )

    def hold_out(
        self, logits: np.ndarray, parts: np.ndarray, part: int, choice: Choice,
        among: np.ndarray | None = None,
    ) -> None:
        """Fills in the logits of a part, by a fit on the others."""
        allowed = np.ones(len(parts), bool) if among is None else among
        left = np.flatnonzero(allowed & (parts == part))
        if not len(left):
            return
        weights, bias = self.solve(np.flatnonzero(allowed & (parts != part)), choice)
        found = [
            (vectors.numpy() @ weights.T + np.where(mask, 0, -1e4)[..., None]).max(1)
            for vectors, mask in batches(Part(self._bags, left))
        ]
        logits[left] = np.concatenate(found) + bias


def _some(targets: np.ndarray, parts: np.ndarray, seed: int) -> np.ndarray:
    """At most 2,000 of the examples; of each class some of two parts, if there are."""
    keep = np.ones(len(targets), bool)
    if len(targets) > _MOST:
        order = np.random.default_rng(seed).permutation(len(targets))
        keep[order[_MOST:]] = False
        for column in targets.T:
            members = order[column[order]]
            _, firsts = np.unique(parts[members], return_index=True)
            keep[members[np.sort(firsts)[:2]]] = True
    return keep


def _calibrated_loss(logits: np.ndarray, targets: np.ndarray, several: bool) -> float:
    known = ~np.isnan(logits).any(axis=1)
    slopes, offsets = calibrate(logits[known], targets[known], several)
    return log_loss(slopes * logits[known] + offsets, targets[known], several)


def _calibration(
    held_out: np.ndarray, targets: np.ndarray, several: bool
) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(held_out).any(axis=1)
    if not known.any():
        return np.ones(targets.shape[1]), np.zeros(targets.shape[1])
    return calibrate(held_out[known], targets[known], several)


def _notes(targets: np.ndarray, classes: Sequence[str]) -> tuple[str, ...]:
    counts, notes = targets.sum(axis=0), []
    always = [name for name, column in zip(classes, targets.T) if column.all()]
    if always:
        notes.append(
            f"All examples have the class {some_of(always)}: nothing tells it apart, "
            "so everything gets it."
        )
    single = [name for name, count in zip(classes, counts) if count == 1]
    if len(single) == len(classes):
        notes.append(
            f"Each class has one example ({some_of(single)}): the probabilities are "
            "not calibrated, and nothing was held out."
        )
    elif single:
        notes.append(
            f"Classes with one example: {some_of(single)}. They are trained on, but "
            "how well these are told apart was not measured."
        )
    return tuple(notes)


def _check(
    kind: Kind, bags: Bags, targets: np.ndarray, classes: Sequence[str],
    several: bool, captions: Tensor | None,
) -> None:
    if targets.shape != (len(bags), len(classes)):
        raise ValueError(
            f"targets: shape ({len(bags)}, {len(classes)}) expected, got "
            f"{targets.shape}"
        )
    missing = [name for name, column in zip(classes, targets.T) if not column.any()]
    if missing:
        raise ValueError(f"the class {missing[0]!r} has no example: leave it out")
    if len(classes) < 2 and not several:
        raise ValueError(
            f"there is one class only, {classes[0]!r}: nothing is to be told apart. "
            "Label a second one"
        )
    if not several and (targets.sum(axis=1) != 1).any():
        raise ValueError("each example must have one class, or say several=True")
    if kind.needs_captions and captions is None:
        raise ValueError(f"{kind.name!r} needs captions of the classes")
    if captions is not None and captions.shape[0] != len(classes):
        raise ValueError(
            f"captions of {captions.shape[0]} classes, but there are {len(classes)}"
        )
