"""A linear layer on one vector of each image: logistic regression ("LITE")."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from detail_embed.classifiers.bags import Bags, first_vectors
from detail_embed.classifiers.kind import Choice, Kind
from detail_embed.classifiers.registry import register

_STEPS = 1000
_SURE = 10.0  # logit of a class that all have, or none


@register
class Linear(Kind):
    """Logistic regression of scikit-learn; knows nothing of what classes are called."""

    name = "linear"
    description = "A linear layer on one vector each; ignores what classes are called"
    choices = tuple(map(Choice, (1.0, 0.1, 0.01, 0.001)))  # 1 / scikit-learn's C
    default = Choice(0.1)

    def solve(
        self,
        bags: Bags,
        targets: np.ndarray,
        several: bool,
        captions: Tensor | None,
        choice: Choice,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fits one model for all classes, or one for each; see :meth:`Kind.solve`."""
        vectors = first_vectors(bags).numpy()
        if not several:
            return _fit(vectors, targets.argmax(axis=1), targets.shape[1], choice)
        found = [_fit_one(vectors, column, choice) for column in targets.T]
        weights, bias = zip(*found)
        return np.stack(weights), np.array(bias)


def _fit_one(
    vectors: np.ndarray, wanted: np.ndarray, choice: Choice
) -> tuple[np.ndarray, float]:
    if wanted.all() or not wanted.any():
        return np.zeros(vectors.shape[1]), _SURE if wanted.all() else -_SURE
    weights, bias = _fit(vectors, wanted.astype(int), 2, choice)
    return weights[1], bias[1]


def _fit(
    vectors: np.ndarray, numbers: np.ndarray, classes: int, choice: Choice
) -> tuple[np.ndarray, np.ndarray]:
    model = LogisticRegression(C=1 / choice.strength, max_iter=_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(vectors, numbers)
    if classes > 2:
        return model.coef_, model.intercept_
    none = np.zeros_like(model.coef_)
    return np.concatenate([none, model.coef_]), np.r_[0.0, model.intercept_]
