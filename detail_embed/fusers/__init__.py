"""Fusers: the features of an image's patches become vectors of the same space."""

from detail_embed.fusers import attention, few_vectors, gmp, mean, ridge, transformer
from detail_embed.fusers.base import Fused, Fuser
from detail_embed.fusers.registry import create, kind, load, names, register
from detail_embed.fusers.sample import FitSample

__all__ = [
    "FitSample",
    "Fused",
    "Fuser",
    "attention",
    "create",
    "few_vectors",
    "gmp",
    "kind",
    "load",
    "mean",
    "names",
    "register",
    "ridge",
    "transformer",
]
