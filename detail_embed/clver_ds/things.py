"""Named things: cut-outs of 3D renders, shipped as one archive of WebP files.

``tools/build_things_bank.py`` rebuilds the archive; ``THINGS_LICENSE.md`` says
where the pictures and the names come from.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

BANK = Path(__file__).with_name("things.zip")


@cache
def _bank() -> dict[str, bytes]:
    with zipfile.ZipFile(BANK) as archive:
        return {Path(f).stem: archive.read(f) for f in archive.namelist()}


def names() -> tuple[str, ...]:
    """Lists the kinds of things in alphabetical order."""
    return tuple(sorted(_bank()))


@lru_cache(maxsize=256)
def cutout(name: str) -> np.ndarray:
    """Loads one thing.

    Args:
        name: one of :func:`names`

    Returns:
        a ``(256, 256, 4)`` uint8 array, RGB and alpha; read-only

    Raises:
        ValueError: if no thing has that name
    """
    if name not in _bank():
        raise ValueError(f"no thing is named {name!r}")
    with Image.open(io.BytesIO(_bank()[name])) as image:
        pixels = np.array(image.convert("RGBA"))
    pixels.setflags(write=False)
    return pixels
