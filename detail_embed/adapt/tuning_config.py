"""The choices of a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from detail_embed.adapt.trainable import METHODS

_SMALL = 20_000_000  # weights
_RATES_OF_SMALL = {"lora": 3e-3, "heads": 1e-3, "full": 1e-3}  # measured
_RATES = {"lora": 2e-4, "heads": 3e-5, "full": 1e-5}  # after CLIP-LoRA and FLYP


@dataclass(frozen=True)
class TuningConfig:
    """How a backbone is fine-tuned.

    Attributes:
        method: ``"lora"``, ``"heads"`` or ``"full"``, see :mod:`.trainable`
        rank: of LoRA, 2 to 8
        epochs: passes over the crops, at most
        batch_size: crops per step, at most; fewer where there are few, for more steps
        learning_rate: at its peak, after a twentieth of the steps; then a cosine to 0;
            None for the usual one of method and model, see :func:`usual_rate`
        weight_decay: of AdamW, for matrices
        clip: largest norm of the gradient
        stay: weight of the term that keeps what other nouns say of the crops
        patience: epochs without a better held-out result before it stops
        seed: of the split, the order and the wordings
        time_budget: seconds after which no epoch is begun; the learning rate falls
            with the time, then; None for no limit

    Raises:
        ValueError: naming the choice that is out of range
    """

    method: str = "full"
    rank: int = 4
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float | None = None
    weight_decay: float = 0.01
    clip: float = 1.0
    stay: float = 3.0
    patience: int = 4
    seed: int = 0
    time_budget: float | None = None

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, not {self.method!r}")
        for name, value in vars(self).items():
            is_none = name in ("time_budget", "learning_rate") and value is None
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if name != "method" and not is_none and not is_number:
                raise ValueError(f"{name} must be a number, not {value!r:.80}")
        if self.rank not in range(2, 9):
            raise ValueError(f"rank must be 2 to 8, not {self.rank}")
        for name, least in (("epochs", 1), ("patience", 1), ("batch_size", 2)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}, not {getattr(self, name)}"
                )
        for name in ("weight_decay", "stay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("learning_rate", "clip", "time_budget"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, not {value}")


def usual_rate(method: str, weights: int) -> float:
    """The learning rate that is taken where none is named.

    A large model that was trained on hundreds of millions of images is soon spoilt.

    Args:
        method: of training
        weights: how many the model has
    """
    return (_RATES_OF_SMALL if weights < _SMALL else _RATES)[method]
