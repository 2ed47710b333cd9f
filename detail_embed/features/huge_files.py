"""What is said of images that are too large to be decoded at once, before a run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import HUGE_PIXELS
from detail_embed.cover.windows import HUGE_WINDOWS
from detail_embed.images.huge_image import INSTALL, is_installed
from detail_embed.images.some_sizes import some_sizes


def huge_line(
    paths: Sequence[str | Path], cover: CompleteCover, limit: int = HUGE_PIXELS
) -> str | None:
    """Into how many patches the largest of some images is cut, in words.

    Args:
        paths: files; some of them are looked at
        cover: the windows
        limit (HUGE_PIXELS): pixels of an image that is decoded at once, at most

    Returns:
        None where none of these is larger
    """
    found = some_sizes(paths)
    path, (width, height) = max(found, key=_pixels, default=("", (0, 0)))
    if width * height <= limit:
        return None
    name = os.path.basename(path)
    if not is_installed():
        return f"{name} has {width} x {height} pixels and cannot be read: {INSTALL}"
    line = (
        f"{name} has {width} x {height} pixels and is read by parts: "
        f"{_patches(cover, width, height)}"
    )
    finer = dataclasses.replace(cover, c="auto")
    more = len(finer.boxes(width, height)) > len(cover.boxes(width, height))
    return f'{line}; cover "auto": {_patches(finer, width, height)}' if more else line


def _pixels(found: tuple[str, tuple[int, int]]) -> int:
    _, (width, height) = found
    return width * height


def _patches(cover: CompleteCover, width: int, height: int) -> str:
    boxes = cover.boxes(width, height)
    side = (boxes[-1, 2:] - boxes[-1, :2]).max()
    most = f" (never more than {HUGE_WINDOWS:,})" if cover.c == "auto" else ""
    return f"{len(boxes):,} patches{most}, the smallest of {side} pixels a side"
