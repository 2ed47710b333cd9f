"""What a kind of classifier must say of itself, and do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from detail_embed.classifiers.bags import Bags


@dataclass(frozen=True)
class Choice:
    """What a cross-validation chooses.

    Attributes:
        strength: of the pull towards where the weights start
        by_names: whether they start from the names of the classes
    """

    strength: float
    by_names: bool = False


class Kind(ABC):
    """How the weights of a classifier are learned.

    Attributes:
        name: of the kind
        description: of it, for a person
        needs_patches: whether it looks at all patches of an image, not at one vector
        needs_captions: whether it cannot do without encoded class names
        choices: to choose from; of equally good ones the first is taken
        default: the choice where nothing can be measured
        folds: parts of the cross-validation
    """

    name: ClassVar[str]
    description: ClassVar[str]
    needs_patches: ClassVar[bool] = False
    needs_captions: ClassVar[bool] = False
    choices: ClassVar[tuple[Choice, ...]]
    default: ClassVar[Choice]
    folds: ClassVar[int] = 5

    @property
    def uses_captions(self) -> bool:
        """Whether the names of the classes make a difference."""
        return self.needs_captions or self.needs_patches

    @abstractmethod
    def solve(
        self,
        bags: Bags,
        targets: np.ndarray,
        several: bool,
        captions: Tensor | None,
        choice: Choice,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Learns the weights.

        Args:
            bags: ``n`` images or boxes
            targets: ``(n, K)`` bool, the classes of each; each class has one at least
            several: whether one may have several classes, or none
            captions: ``(K, M, d)``, encoded captions of the classes, unit length; None
                for none
            choice: one of :attr:`choices`
            seed: of whatever is random

        Returns:
            weights ``(K, d)`` and bias ``(K,)``: the logit of a class is ``max over
            vectors of weights . vector + bias``
        """
