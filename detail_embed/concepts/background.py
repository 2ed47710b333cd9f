"""What patches of a dataset look like when nobody asks for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detail_embed.concepts.example import unit_rows

KEPT = 2048  # patches of the sample that stay: what chance looks like
_FLOOR = 0.3  # added to the spectrum, as a share of its largest value
_CHANCE = 0.975  # quantile of all patches that an image's best reaches by chance


@dataclass(frozen=True, eq=False)
class Background:
    """Patches of unlabelled images.

    Attributes:
        mean: ``(d,)`` float32
        covariance: ``(d, d)`` float32
        rows: ``(m, d)`` float32, some of the patches
    """

    mean: np.ndarray
    covariance: np.ndarray
    rows: np.ndarray

    @classmethod
    def fit(cls, sample: np.ndarray, seed: int = 0) -> Background:
        """Measures a sample.

        Args:
            sample: ``(n, d)`` unit patch features of many images, a few of each
            seed (0): of the choice of the rows that are kept

        Raises:
            ValueError: if these are no unit rows, or all are equal
        """
        sample = unit_rows(sample, "the sample of the background")
        mean = sample.mean(axis=0, dtype=np.float64)
        centred = sample - mean
        covariance = centred.T @ centred / len(sample)
        if not np.trace(covariance) > 1e-9:
            raise ValueError(
                "the sample of the background: all patches are equal. Give patches of "
                "other images, too"
            )
        kept = np.random.default_rng(seed).permutation(len(sample))[:KEPT]
        return cls(
            mean.astype(np.float32), covariance.astype(np.float32), sample[kept]
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns arrays by name, fit for a file."""
        return {"mean": self.mean, "covariance": self.covariance, "rows": self.rows}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Background:
        """Rebuilds what :meth:`to_arrays` gave."""
        return cls(arrays["mean"], arrays["covariance"], arrays["rows"])

    @cached_property
    def whitening(self) -> np.ndarray:
        """``(d, d)`` float32: after it, directions that vary much count no more."""
        values, vectors = np.linalg.eigh(self.covariance.astype(np.float64))
        scale = 1 / np.sqrt(values.clip(min=0) + _FLOOR * values[-1])
        return ((vectors * scale) @ vectors.T).astype(np.float32)

    def direction(self, to: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """The scorer that tells patches around ``to`` from others, scaled.

        Linear discriminant analysis with the background's covariance.

        Args:
            to: ``(..., d)``
            start (None): ``(..., d)``, where the others are; None for the mean
        """
        away = to - (self.mean if start is None else start)
        return self.scaled(away @ self.whitening @ self.whitening)

    def scaled(self, scorer: np.ndarray) -> np.ndarray:
        """``(..., d)``, so that the scores of the background have a spread of 1."""
        spread = np.sqrt(((scorer @ self.covariance) * scorer).sum(-1, keepdims=True))
        return scorer / np.maximum(spread, 1e-12)

    def chance(self, scorer: np.ndarray) -> np.ndarray:
        """The score that the best patch of an image reaches by chance, ``(...)``."""
        return np.quantile(self.rows @ scorer.T, _CHANCE, axis=0)
