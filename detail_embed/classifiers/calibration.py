"""Logits to probabilities that mean what they say.

One number scales the logits of all classes where an example has exactly one of them
(temperature scaling, Guo et al. 2017); a slope and an offset for each class where it
may have several (Platt 1999, with his targets for few examples).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

_FEWEST = 5  # examples with and without a class, for a slope of its own
_LEAST_SLOPE = 1e-3
_WIDEST = np.log(1e3)  # of the temperature


def probabilities(logits: np.ndarray, several: bool) -> np.ndarray:
    """Probabilities of ``(n, K)`` logits.

    Args:
        logits: calibrated
        several: whether each class is by itself; else a row adds up to 1
    """
    return expit(logits) if several else softmax(logits, axis=1)


def log_loss(logits: np.ndarray, targets: np.ndarray, several: bool) -> float:
    """What is lost by an example, in nats, mean over the examples.

    Args:
        logits: ``(n, K)``
        targets: ``(n, K)`` bool
        several: as of :func:`probabilities`
    """
    if several:
        return float(-np.where(targets, log_expit(logits), log_expit(-logits)).mean())
    return float(-log_softmax(logits, axis=1)[targets].mean())


def calibrate(
    logits: np.ndarray, targets: np.ndarray, several: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Finds slope and offset of each class, from examples that nothing was learned of.

    Args:
        logits: ``(n, K)``
        targets: ``(n, K)`` bool
        several: as of :func:`probabilities`

    Returns:
        slopes ``(K,)``, above 0, and offsets ``(K,)``: ``slope * logit + offset``
    """
    classes = logits.shape[1]
    if not several:
        return np.full(classes, 1 / _temperature(logits, targets)), np.zeros(classes)
    pooled = _platt(logits.ravel(), targets.ravel())
    counts = np.minimum(targets.sum(axis=0), (~targets).sum(axis=0))
    found = [
        _platt(column, wanted) if count >= _FEWEST else pooled
        for column, wanted, count in zip(logits.T, targets.T, counts)
    ]
    slopes, offsets = np.array(found).T
    return slopes, offsets


def _temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    found = minimize_scalar(
        lambda log: log_loss(logits / np.exp(log), targets, several=False),
        bounds=(-_WIDEST, _WIDEST),
        method="bounded",
    )
    return float(np.exp(found.x))


def _platt(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    with_it, without = int(targets.sum()), int((~targets).sum())
    wanted = np.where(targets, (with_it + 1) / (with_it + 2), 1 / (without + 2))

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        found = np.exp(line[0]) * logits + line[1]
        lost = -wanted * log_expit(found) - (1 - wanted) * log_expit(-found)
        wrong = expit(found) - wanted
        slope = (wrong * logits).mean() * np.exp(line[0])
        return lost.mean(), np.array([slope, wrong.mean()])

    bounds = [(np.log(_LEAST_SLOPE), _WIDEST), (None, None)]
    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(np.exp(found.x[0])), float(found.x[1])
