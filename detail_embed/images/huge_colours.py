"""Samples of a file that is read by parts as RGB: each part as all of it would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detail_embed.images.bit_depth import to_8_bits
from detail_embed.images.file_reasons import NotReadHere

_SIDE = 512  # pixels, about, of what is looked at to know the range of samples
_OPACITY = 0.9  # of its samples are empty or full, else it is a band such as NIR


@dataclass(frozen=True)
class Colours:
    """How the samples of a file become RGB.

    Attributes:
        bands: that are read, from 1: those of colour, and one of opacity if there is
        table: what a sample becomes, ``(n,)`` or, of a palette, ``(n, 3)`` uint8
        is_ink: whether the colours are cyan, magenta, yellow and black
        opaque: the sample of full opacity, 0 where there is none
        is_associated: whether colours are multiplied by it
    """

    bands: list[int]
    table: np.ndarray
    is_ink: bool = False
    opaque: int = 0
    is_associated: bool = False

    def rgb(self, samples: np.ndarray) -> np.ndarray:
        """Converts ``(bands, h, w)`` samples to ``(h, w, 3)`` uint8."""
        count = len(self.bands) - bool(self.opaque)
        stored = np.moveaxis(samples[:count], 0, -1)
        pixels = self.table[np.minimum(stored, len(self.table) - 1)]
        if pixels.ndim == 4:  # a palette's
            return np.ascontiguousarray(pixels[..., 0, :])
        if self.is_ink:
            paper = 255 - pixels.astype(np.uint16)
            pixels = ((paper[..., :3] * paper[..., 3:] + 127) // 255).astype(np.uint8)
        if self.opaque:
            share = (samples[-1] / np.float32(self.opaque)).clip(max=1)[..., None]
            parts = pixels if self.is_associated else pixels * share
            white = np.minimum(parts + 255 * (1 - share), 255)
            pixels = np.rint(white).astype(np.uint8)
        if pixels.shape[-1] == 1:
            pixels = np.repeat(pixels, 3, axis=-1)
        return np.ascontiguousarray(pixels)


def colours_of(file: Any, name: str, is_quick: bool = False) -> Colours:
    """How an open file's samples become RGB.

    Args:
        file: of rasterio
        name: of the file, for the log
        is_quick (False): whether only to check that they can

    Raises:
        NotReadHere: if nobody knows what the samples look like
    """
    kinds = [kind.name for kind in file.colorinterp]
    if set(file.dtypes) - {"uint8", "uint16"} or len(set(file.dtypes)) > 1:
        raise NotReadHere(
            f"is of {' and '.join(sorted(set(file.dtypes)))} samples, which have no "
            "known range of brightness: save 8 or 16 bits"
        )
    if kinds[0] == "palette":
        return Colours([1], _palette(file))
    colours = _colour_bands(file, kinds)
    alpha = kinds.index("alpha") + 1 if "alpha" in kinds else None
    bits = int(file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 0))
    bits = bits or 8 * np.dtype(file.dtypes[0]).itemsize
    looked = None
    if (bits == 16 or alpha) and not is_quick:
        looked = _look(file, [*colours, *([alpha] if alpha else [])])
    table = _table(file, bits, name, None if looked is None else looked[: len(colours)])
    opaque = 0
    if alpha and looked is not None:
        opaque = _opaque(looked[-1])
    return Colours(
        [*colours, *([alpha] if opaque else [])], table, len(colours) == 4, opaque,
        file.tags(ns="IMAGE_STRUCTURE").get("ALPHA") == "PREMULTIPLIED",
    )


def _colour_bands(file: Any, kinds: list[str]) -> list[int]:
    for names in (("red", "green", "blue"), ("cyan", "magenta", "yellow", "black")):
        if set(names) <= set(kinds):
            return [kinds.index(name) + 1 for name in names]
    if file.count <= 2:
        return [1]
    raise NotReadHere(
        "does not say which bands are red, green and blue: it has "
        f"{file.count} bands. Write these three as its first bands with photometric "
        "RGB, such as gdal_translate -b 3 -b 2 -b 1 -co PHOTOMETRIC=RGB"
    )


def _palette(file: Any) -> np.ndarray:
    found = file.colormap(1)
    table = np.array([found[i] for i in sorted(found)], np.float32)
    share = table[:, 3:] / 255
    return np.rint(table[:, :3] * share + 255 * (1 - share)).astype(np.uint8)


def _table(file: Any, bits: int, name: str, looked: np.ndarray | None) -> np.ndarray:
    """What each value of a sample becomes: ``(n,)`` uint8."""
    top = 2**bits - 1
    if bits == 16 and looked is not None:
        known = looked if file.nodata is None else looked[looked != file.nodata]
        top = int(known.max(initial=1))
    table = np.arange(top + 1, dtype=np.uint16)
    table = table.astype(np.uint8) if bits == 8 else to_8_bits(table, bits, name)
    is_inverse = file.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
    return 255 - table if is_inverse else table


def _look(file: Any, bands: list[int]) -> np.ndarray:
    """Some pixels of all over the image: ``(bands, h, w)``."""
    ratio = max(1, max(file.width, file.height) / _SIDE)
    shape = [max(1, round(side / ratio)) for side in (file.height, file.width)]
    return file.read(bands, out_shape=(len(bands), *shape))


def _opaque(alpha: np.ndarray) -> int:
    """Full opacity of a band, 0 where it is a band beside the colours."""
    full = int(alpha.max())
    is_opacity = full and np.mean((alpha == 0) | (alpha == full)) >= _OPACITY
    return full if is_opacity else 0
