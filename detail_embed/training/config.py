"""The choices of a training."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

OBJECTIVES = ("ranking", "proxy-mse")


@dataclass(frozen=True)
class TrainingConfig:
    """How a fuser is trained.

    Attributes:
        objective: ``"ranking"`` or ``"proxy-mse"``, see
            :mod:`detail_embed.training.objectives`
        epochs: passes over the training images, at most
        batch_size: images per step; fewer if there are fewer
        queue: earlier images that a step is ranked against, too
        learning_rate: at its peak, after a twentieth of the steps; then a cosine to 0
        weight_decay: of AdamW
        clip: largest norm of the gradient
        temperature: of the rankings, in standard deviations of the scores
        whole_image: weight of the term that keeps the scores of the whole image
        patience: epochs without a better held-out result before it stops
        held_out_images: share of the images that is only measured on
        seed: of the split, the order and the dropout
        time_budget: seconds after which no epoch is begun; the learning rate falls
            with the time, then; None for no limit

    Raises:
        ValueError: naming the choice that is out of range
    """

    objective: str = "ranking"
    epochs: int = 30
    batch_size: int = 128
    queue: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    temperature: float = 0.5
    whole_image: float = 0.1
    patience: int = 6
    held_out_images: float = 0.2
    seed: int = 0
    time_budget: float | None = None

    def __post_init__(self):
        if self.objective not in OBJECTIVES:
            raise ValueError(
                f"objective must be one of {OBJECTIVES}, not {self.objective!r}"
            )
        for name, value in vars(self).items():
            is_none = name == "time_budget" and value is None
            if name != "objective" and not is_none and not isinstance(value, Real):
                raise ValueError(f"{name} must be a number, not {value!r:.80}")
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, not {getattr(self, name)}"
                )
        for name in ("queue", "weight_decay", "whole_image"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("learning_rate", "clip", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 < self.held_out_images < 1:
            raise ValueError(
                "held_out_images must be between 0 and 1, not "
                f"{self.held_out_images}"
            )
        if self.time_budget is not None and self.time_budget <= 0:
            raise ValueError(f"time_budget must be above 0, not {self.time_budget}")
