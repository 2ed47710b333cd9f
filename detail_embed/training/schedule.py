"""How a training goes: its epochs, the learning rate, when it is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detail_embed.training.config import TrainingConfig

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


def is_over(config: TrainingConfig, history: Sequence[Epoch]) -> bool:
    """Whether the last epoch was one: of all, without a better one, or in time."""
    last = history[-1]
    best = max(e.number for e in history if e.is_best)
    return (
        last.number >= config.epochs
        or last.number - best >= config.patience
        or (config.time_budget is not None and last.seconds >= config.time_budget)
    )


def learning_rate(config: TrainingConfig, epoch: float, seconds: float) -> float:
    """Linear to the peak, then a cosine, by the epochs or the time budget.

    Args:
        config: the choices
        epoch: how many are done, a fraction of one included
        seconds: since the training began
    """
    done = epoch / config.epochs
    if config.time_budget is not None:
        done = max(done, seconds / config.time_budget)
    done = min(done, 1.0)
    if done < _WARM_UP:
        return config.learning_rate * (done + 0.01) / (_WARM_UP + 0.01)
    rest = (done - _WARM_UP) / (1 - _WARM_UP)
    return config.learning_rate * (1 + math.cos(math.pi * rest)) / 2
