"""Training of fusers: objectives, the loop, held-out words and images, checkpoints."""

from .checkpoint import Checkpoint
from .config import OBJECTIVES, TrainingConfig
from .data import InMemory, Stored
from .loop import Epoch, Training, TrainingDiverged

__all__ = [
    "Checkpoint",
    "Epoch",
    "InMemory",
    "OBJECTIVES",
    "Stored",
    "Training",
    "TrainingConfig",
    "TrainingDiverged",
]
