"""Which of several files of a picture is the best one to keep."""

from __future__ import annotations

import os
from collections.abc import Sequence

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.images.image_file import UnreadableImage, read_size
from detail_embed.images.in_time import quick

_METADATA = ("width", "height", "size_bytes")
_NOTHING = 0, 0


def best_first(images: foc.SampleCollection) -> np.ndarray:
    """Puts images in the order of their files: most pixels first, then most bytes.

    Sizes are those of the samples' metadata; where it is not there, the files are
    asked. Files that are gone, hang or cannot be read come last, whatever the metadata
    says; equal ones stay as they are.

    Args:
        images: ``n`` samples

    Returns:
        ``(n,)`` int64, their places
    """
    fields = ["filepath", *(f"metadata.{name}" for name in _METADATA)]
    known = zip(*images.values(fields))
    sizes = [size or _NOTHING for size in quick(_size, known, lambda one: one[0])]
    return np.array(sorted(range(len(sizes)), key=lambda i: sizes[i], reverse=True))


def _size(known: Sequence) -> tuple[int, int]:
    path, width, height, size_bytes = known
    try:
        held = os.path.getsize(path)
        if not (width and height):
            width, height = read_size(path)
        return width * height, size_bytes or held
    except (UnreadableImage, OSError):
        return _NOTHING
