"""Fusers: the features of an image's patches become one vector of the same space."""

from . import attention, gmp, mean, ridge, transformer
from .base import Fuser, create, load, names, register

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
