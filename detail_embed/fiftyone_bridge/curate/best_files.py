"""Which of several files of a picture is the best one to keep."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.images.image_file import UnreadableImage, read_size

_THREADS = 16
_METADATA = ("width", "height", "size_bytes")


def best_first(images: foc.SampleCollection) -> np.ndarray:
    """Puts images in the order of their files: most pixels first, then most bytes.

    Sizes are those of the samples' metadata; where it is not there, the files are
    asked. Files that are gone, or cannot be read, come last, whatever the metadata
    says; equal ones stay as they are.

    Args:
        images: ``n`` samples

    Returns:
        ``(n,)`` int64, their places
    """
    fields = ["filepath", *(f"metadata.{name}" for name in _METADATA)]
    known = zip(*images.values(fields))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="detail-size") as pool:
        sizes = list(pool.map(_size, known))
    return np.array(sorted(range(len(sizes)), key=lambda i: sizes[i], reverse=True))


def _size(known: Sequence) -> tuple[int, int]:
    path, width, height, size_bytes = known
    try:
        held = os.path.getsize(path)
        if not (width and height):
            width, height = read_size(path)
        return width * height, size_bytes or held
    except (UnreadableImage, OSError):
        return 0, 0
