"""What patch features will take on the disk, and whether there is room for them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detail_embed.cover import CompleteCover
from detail_embed.features.packing import estimate_bytes
from detail_embed.images.some_sizes import some_sizes
from detail_embed.storage.whole_files import megabytes

logger = logging.getLogger(__name__)


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
    return mean_windows([size for _, size in some_sizes(paths)], cover)


def mean_windows(sizes: Sequence[tuple[int, int]], cover: CompleteCover) -> float:
    """Mean number of windows of images of these widths and heights; 0 for none."""
    counts = [len(cover.boxes(*size)) for size in sizes]
    return float(np.mean(counts)) if counts else 0.0
