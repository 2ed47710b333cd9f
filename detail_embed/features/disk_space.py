"""What patch features will take on the disk, and whether there is room for them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detail_embed.cover import CompleteCover
from detail_embed.features.packing import estimate_bytes
from detail_embed.images.image_file import UnreadableImage, read_size
from detail_embed.images.read_pool import ReadPool, Waiting
from detail_embed.storage.whole_files import megabytes

logger = logging.getLogger(__name__)

_SIZED_FILES = 64  # whose size is looked at to estimate the number of patches
_AT_ONCE = 4
_SECONDS = 10.0  # that one of them is waited for


def estimate(
    paths: Sequence[str | Path], cover: CompleteCover, dim: int, dtype: str
) -> int:
    """Bytes that the patch features of files will take, by a sample of the files."""
    if not paths:
        return 0
    patches = mean_patches(paths, cover)
    return estimate_bytes(len(paths), patches, dim, dtype)


def free_bytes(directory: str | Path) -> int:
    """What the disk of a folder has free; the folder need not exist."""
    folder = Path(directory).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(
    directory: str | Path,
    paths: Sequence[str | Path],
    cover: CompleteCover,
    dim: int,
    dtype: str,
) -> None:
    """Says, in the log, how much the patch features of files will take.

    Raises:
        ValueError: if that is more than there is room for
    """
    needed, free = estimate(paths, cover, dim, dtype), free_bytes(directory)
    what = f"patch features of {len(paths)} images: about {megabytes(needed)}"
    logger.info(what)
    if needed > free:
        raise ValueError(
            f"{what}, but {directory} has {megabytes(free)} free: make room, "
            "choose another folder, a smaller cover, or none for the features"
        )


def mean_patches(paths: Sequence[str | Path], cover: CompleteCover) -> float:
    """Mean number of windows of files, by a sample of them; 0 if none can be read."""

    def count(index: int, path: str | Path, waiting: Waiting) -> int:
        try:
            return len(cover.boxes(*read_size(path)))
        except UnreadableImage:
            return 0  # the run reports it

    step = max(-(-len(paths) // _SIZED_FILES), 1)
    some = paths[::step]
    pool: ReadPool[str | Path, int] = ReadPool(
        count, lambda index, path: 0, lambda counted: None, _AT_ONCE, len(some) or 1,
        _SECONDS, may_grow=False,
    )
    try:
        counts = [found for found in pool.results(some, lambda index: None) if found]
    finally:
        pool.close()
    return float(np.mean(counts)) if counts else 0.0
