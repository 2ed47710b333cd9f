"""Checkpoint files by what is in them, wherever they lie."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from detail_embed.storage.whole_files import digest

_PREFIX = "sha256:"


def identify(pretrained: str | None) -> str | None:
    """Names weights: a file by its content, a tag as it is.

    A file is read once, for as long as its path, size and time stay the same.
    """
    if pretrained is None or not os.path.isabs(pretrained):
        return pretrained
    if not os.path.isfile(pretrained):
        return pretrained
    status = os.stat(pretrained)
    return _PREFIX + _digest(pretrained, status.st_size, status.st_mtime_ns)


def is_file(name: str | None) -> bool:
    """Whether a name stands for a checkpoint file, and not for a tag."""
    return name is not None and (name.startswith(_PREFIX) or os.path.isabs(name))


def may_be_same(had: Any, wanted: Any) -> bool:
    """Whether two names can stand for the same weights.

    Records of older versions name a file by its path: whether its weights are the
    same shows when they are loaded, by the slug of the space.
    """
    by_path = isinstance(had, str) and os.path.isabs(had)
    return had == wanted or (by_path and str(wanted).startswith(_PREFIX))


def short(pretrained: str | None) -> str | None:
    """The name as it is said in messages."""
    if pretrained is None or not pretrained.startswith(_PREFIX):
        return pretrained
    return pretrained[: len(_PREFIX) + 12]


@lru_cache(maxsize=64)
def _digest(path: str, size: int, modified: int) -> str:
    return digest(Path(path))
