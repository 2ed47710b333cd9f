"""Fusers: the features of an image's patches become one vector of the same space."""

from detail_embed.fusers import attention, gmp, mean, ridge, transformer
from detail_embed.fusers.base import Fuser, create, load, names, register

__all__ = [
    "Fuser",
    "attention",
    "create",
    "gmp",
    "load",
    "mean",
    "names",
    "register",
    "ridge",
    "transformer",
]
