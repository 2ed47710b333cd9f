"""Named things: cut-outs of 3D renders, shipped as one archive of WebP files.

``tools/build_things_bank.py`` rebuilds the archive; ``THINGS_LICENSE.md`` says
where the pictures and the names come from.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

BANK = Path(__file__).with_name("things.zip")


@lru_cache(maxsize=None)
def names() -> tuple[str, ...]:
    """Lists the kinds of things in alphabetical order."""
    with zipfile.ZipFile(BANK) as archive:
        return tuple(sorted(Path(f).stem for f in archive.namelist()))


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
    with zipfile.ZipFile(BANK) as archive:
        try:
            member = archive.open(f"{name}.webp")
        except KeyError:
            raise ValueError(f"no thing is named {name!r}") from None
        with member, Image.open(member) as image:
            pixels = np.array(image.convert("RGBA"))
    pixels.setflags(write=False)
    return pixels
