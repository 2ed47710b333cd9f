"""Files that are whole or not there, and what is said of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def megabytes(count: float) -> str:
    """A number of bytes in words, such as ``"12.5 MB"`` or ``"61.6 GB"``."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.{1 if count >= 1e6 else 3}f} MB"


_BLOCK = 2**20


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hashed.update(block)
    return hashed.hexdigest()


def relative_path(path: Path, start: Path) -> str:
    """The way from one folder to another; the whole path to another drive."""
    try:
        return os.path.relpath(path.resolve(), start.resolve())
    except ValueError:
        return str(path.resolve())
