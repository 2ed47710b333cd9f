"""What a kind of classifier must say of itself, and do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from torch import Tensor

from detail_embed.classifiers.bags import Bags


class Kind(ABC):
    """How the weights of a classifier are learned.

    Attributes:
        name: of the kind
        description: of it, for a person
        needs_patches: whether it looks at all patches of an image, not at one vector
        needs_captions: whether it cannot do without encoded class names
        strengths: of the pull towards where it starts, to choose from, strongest first
        default: the strength where nothing can be measured
        folds: parts of the cross-validation
    """

    name: ClassVar[str]
    description: ClassVar[str]
    needs_patches: ClassVar[bool] = False
    needs_captions: ClassVar[bool] = False
    strengths: ClassVar[tuple[float, ...]]
    default: ClassVar[float]
    folds: ClassVar[int] = 5

    @property
    def learns_from_none(self) -> bool:
        """Whether class names alone, without any example, make a classifier."""
        return self.needs_captions or self.needs_patches

    @abstractmethod
    def solve(
        self,
        bags: Bags,
        targets: np.ndarray,
        several: bool,
        captions: Tensor | None,
        strength: float,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Learns the weights.

        Args:
            bags: ``n`` images or boxes
            targets: ``(n, K)`` bool, the classes of each; each class has one at least
            several: whether one may have several classes, or none
            captions: ``(K, M, d)``, encoded captions of the classes, unit length; None
                for none
            strength: one of :attr:`strengths`
            seed: of whatever is random

        Returns:
            weights ``(K, d)`` and bias ``(K,)``: the logit of a class is ``max over
            vectors of weights . vector + bias``
        """
