"""What patches of a dataset look like when nobody asks for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detail_embed.concepts.example import unit_rows

KEPT = 2048  # patches of the sample that stay: weak examples of what is not meant
_FLOOR = 0.01  # of the spectrum, as a share of its largest value


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
            ValueError: if these are no unit rows, or fewer than two, or all are equal
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
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(sample))[:KEPT]
        kept = sample[np.sort(chosen)]
        return cls(mean.astype(np.float32), covariance.astype(np.float32), kept)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns arrays by name, fit for a file."""
        return {"mean": self.mean, "covariance": self.covariance, "rows": self.rows}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Background:
        """Rebuilds what :meth:`to_arrays` gave."""
        return cls(arrays["mean"], arrays["covariance"], arrays["rows"])

    def precision(self) -> np.ndarray:
        """``(d, d)`` float64, the inverse covariance, its spectrum floored."""
        values, vectors = np.linalg.eigh(self.covariance.astype(np.float64))
        floored = values.clip(min=0) + _FLOOR * values[-1]
        return (vectors / floored) @ vectors.T
