"""One image that a person judged, as the patches that it was cut into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_OFF = 0.02  # of a length of 1: half precision, and int8 where features are packed


@dataclass(frozen=True, eq=False)
class Example:
    """An image with or without the thing that is taught.

    Attributes:
        features: ``(p, d)`` float, unit length; row 0 is the whole image
        patch: the row that is meant, where a box says it; None where any may be

    Raises:
        ValueError: if the features are no such rows, or the patch is none of them
    """

    features: np.ndarray
    patch: int | None = None

    def __post_init__(self):
        rows = unit_rows(self.features, "an example's features")
        object.__setattr__(self, "features", rows)
        if self.patch is not None and not 0 <= self.patch < len(rows):
            raise ValueError(
                f"patch={self.patch!r}: the example has {len(rows)} patches, give a "
                f"number from 0 to {len(rows) - 1}, or None where any may be meant"
            )

    @property
    def candidates(self) -> np.ndarray:
        """``(p, d)`` or ``(1, d)``, the patches that may be meant."""
        if self.patch is None:
            return self.features
        return self.features[self.patch : self.patch + 1]


def unit_rows(rows: np.ndarray, what: str) -> np.ndarray:
    """``(p, d)`` float32 of these rows.

    Raises:
        ValueError: naming ``what``, if they are no finite rows of unit length
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or not rows.size or rows.dtype.kind != "f":
        raise ValueError(
            f"{what}: rows of floats of shape (p, d) expected, not {rows.dtype} of "
            f"shape {rows.shape}"
        )
    rows = rows.astype(np.float32)
    if not np.isfinite(rows).all():
        raise ValueError(f"{what}: some are NaN or infinite. Compute them again")
    if np.abs(np.linalg.norm(rows, axis=1) - 1).max() > _OFF:
        raise ValueError(f"{what}: rows of length 1 expected. Normalise them")
    return rows
