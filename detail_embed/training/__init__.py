"""Training of fusers: objectives, the loop, held-out words and images, checkpoints."""

from detail_embed.training.checkpoint import Checkpoint
from detail_embed.training.config import OBJECTIVES, TrainingConfig
from detail_embed.training.data import InMemory, Stored
from detail_embed.training.fit import fit
from detail_embed.training.loop import Training
from detail_embed.training.schedule import Epoch, TrainingDiverged

__all__ = [
    "Checkpoint",
    "Epoch",
    "InMemory",
    "OBJECTIVES",
    "Stored",
    "Training",
    "TrainingConfig",
    "TrainingDiverged",
    "fit",
]
