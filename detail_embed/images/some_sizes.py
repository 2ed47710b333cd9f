"""The sizes of some of many files, which are read before a run."""

from __future__ import annotations

import os
from collections.abc import Sequence

from detail_embed.images.image_file import UnreadableImage, read_size
from detail_embed.images.in_time import each_once

_FILES = 64
_AT_ONCE = 4
_SECONDS = 10.0  # that one of them is waited for

_Size = tuple[int, int]


def some_sizes(paths: Sequence[str | os.PathLike]) -> list[tuple[str, _Size]]:
    """Reads the sizes of at most 64 files, evenly spread over all.

    What cannot be read, or hangs, is left out: the run reports it.

    Returns:
        of each its path, and its width and height in pixels
    """

    def read(path: str | os.PathLike) -> tuple[str, _Size] | None:
        try:
            return os.fspath(path), read_size(path)
        except UnreadableImage:
            return None

    some = paths[:: max(-(-len(paths) // _FILES), 1)]
    found = each_once(read, some, lambda path: None, _SECONDS, _AT_ONCE)
    return [size for size in found if size]
