"""Fusers: the features of an image's patches become one vector of the same space."""

from . import gmp, mean, ridge
from .base import Fuser, create, load, names, register

__all__ = ["Fuser", "create", "gmp", "load", "mean", "names", "register", "ridge"]
