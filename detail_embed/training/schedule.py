"""How a training goes: its epochs, the learning rate, when it is over."""

from __future__ import annotations

from dataclasses import dataclass

_WARM_UP = 0.05


class TrainingDiverged(RuntimeError):
    """The loss is not finite, or far above where it began."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch brought.

    Attributes:
        number: 0 before the first step
        loss: mean over the steps; None before the first
        held_out: how much of the teacher's ranking the fuser keeps for held-out words
            on held-out images, 0 to 1, see :func:`detail_embed.evaluation.agreement`
        learning_rate: at its end
        seconds: since the training began, those before a kill included
        is_best: whether it is the best so far
    """

    number: int
    loss: float | None
    held_out: float
    learning_rate: float
    seconds: float
    is_best: bool
