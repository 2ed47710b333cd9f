"""What a classifier looks at: images or boxes, each of one vector or of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

BATCH = 64  # images, each of many patches


class Bags(Protocol):
    """Things to classify; each is a bag of vectors of unit length.

    Attributes:
        dim: d, the dimension of the vectors
    """

    dim: int

    def __len__(self) -> int:
        """How many things there are."""

    def batch(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Reads some of them.

        Args:
            numbers: ``b`` places

        Returns:
            vectors ``(b, p, d)`` float32, filled up with zeros, and the mask
            ``(b, p)`` bool of the valid ones
        """


class VectorBags:
    """One vector each, in memory.

    Args:
        matrix: ``(n, d)``, unit length

    Raises:
        ValueError: if it has another shape, or a value that is not finite
    """

    def __init__(self, matrix: np.ndarray):
        self._matrix = torch.as_tensor(np.asarray(matrix, np.float32))
        if self._matrix.ndim != 2:
            raise ValueError(
                f"vectors: shape (n, d) expected, got {tuple(self._matrix.shape)}"
            )
        if not torch.isfinite(self._matrix).all():
            raise ValueError("vectors hold NaN or infinite values: leave these out")
        self.dim = self._matrix.shape[1]

    def __len__(self) -> int:
        return len(self._matrix)

    def batch(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Reads some of them; see :class:`Bags`."""
        rows = self._matrix[torch.as_tensor(np.asarray(numbers, np.int64))]
        return rows[:, None], torch.ones(len(rows), 1, dtype=torch.bool)


class Part:
    """Some of the bags, as bags.

    Args:
        bags: all of them
        numbers: ``m`` places among them
    """

    def __init__(self, bags: Bags, numbers: Sequence[int] | np.ndarray):
        self._bags, self._numbers = bags, np.asarray(numbers, np.int64)
        self.dim = bags.dim

    def __len__(self) -> int:
        return len(self._numbers)

    def batch(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Reads some of them; see :class:`Bags`."""
        return self._bags.batch(self._numbers[np.asarray(numbers, np.int64)].tolist())


def batches(bags: Bags) -> Iterator[tuple[Tensor, Tensor]]:
    """All bags in order, a batch at a time; see :meth:`Bags.batch`."""
    for start in range(0, len(bags), BATCH):
        yield bags.batch(range(start, min(start + BATCH, len(bags))))


def first_vectors(bags: Bags) -> Tensor:
    """The first vector of each bag, of an image that of the whole, as ``(n, d)``."""
    return torch.cat([vectors[:, 0] for vectors, _ in batches(bags)])
