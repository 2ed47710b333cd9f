"""Classifiers that are learned from labels, on frozen features."""

from detail_embed.classifiers import linear, multiple_instance, prompts  # noqa: F401
from detail_embed.classifiers.bags import Bags, VectorBags
from detail_embed.classifiers.classifier import Classifier
from detail_embed.classifiers.kind import Kind
from detail_embed.classifiers.registry import create, names
from detail_embed.classifiers.train import Trained, train, train_in_steps

__all__ = [
    "Bags",
    "Classifier",
    "Kind",
    "Trained",
    "VectorBags",
    "create",
    "names",
    "train",
    "train_in_steps",
]
