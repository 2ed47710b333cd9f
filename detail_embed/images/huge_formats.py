"""Which formats can be read by parts, and at what cost of memory."""

from __future__ import annotations

import math
import os
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from detail_embed.images.decode import JPEG_FORMATS
from detail_embed.images.file_reasons import NotReadHere

_DRIVERS = {
    "TIFF": "GTiff", "PNG": "PNG", "JPEG": "JPEG", "MPO": "JPEG",
    "JPEG2000": "JP2OpenJPEG", "BMP": "BMP", "DIB": "BMP", "PPM": "PNM",
}
_MOST_BLOCK = 2**29  # bytes, of what a file only gives as a whole
_MOST_WOVEN = 2**32  # bytes, of what a progressive JPEG keeps; of an interlaced PNG
_PLAIN = {"BMP": (0, 3), "DIB": (0, 3)}  # ways to pack that are none
_CONVERT = (
    "save it as a tiled TIFF, such as by libvips: vips copy FILE "
    '"NEW.tif[tile,compression=deflate,bigtiff]"; raise max_pixels; or make it smaller'
)


def driver_of(image: Image.Image, file: BinaryIO, start: str) -> str:
    """GDAL's name of what reads an image by parts.

    Args:
        image: as Pillow opened it
        file: its file
        start: of the reason, where nothing does

    Raises:
        NotReadHere: if nothing does
    """
    kind = image.format or "an image of this kind"
    driver = _DRIVERS.get(kind)
    if driver in ("BMP", "PNM"):
        driver = driver if _is_plain(image) else None
        if driver is not None and _raw_end(image) > file.seek(0, os.SEEK_END):
            raise NotReadHere(f"{start} at once, and is truncated")
    if driver is None:
        raise NotReadHere(
            f"{start} at once, and {kind} is not read by parts: {_CONVERT}"
        )
    return driver


def is_woven(image: Image.Image) -> bool:
    """Whether all of a file is needed for any of its rows."""
    return bool(image.info.get("progressive") or image.info.get("interlace"))


def check_memory(file: Any, image: Image.Image, start: str) -> None:
    """Checks that parts of a file can be decoded in little memory.

    Args:
        file: of rasterio
        image: as Pillow opened it
        start: of the reason, where they cannot

    Raises:
        NotReadHere: naming what it would take
    """
    rows, columns = file.block_shapes[0]
    pixel = file.count * np.dtype(file.dtypes[0]).itemsize
    kind, needed, most = image.format or "an image", rows * columns * pixel, _MOST_BLOCK
    if is_woven(image):
        is_jpeg = image.format in JPEG_FORMATS
        kind = f"progressive {kind}" if is_jpeg else f"interlaced {kind}"
        needed = file.width * file.height * pixel
        needed, most = _coefficients(image) if is_jpeg else needed, _MOST_WOVEN
    if needed > most:
        raise NotReadHere(
            f"{start} at once, and is {kind} that can only be decoded as a whole, "
            f"which takes {needed / 1e9:.1f} GB, more than {most / 1e9:.1f}: "
            f"{_CONVERT}"
        )


def _coefficients(image: Image.Image) -> int:
    """Bytes that a decoder keeps of a progressive JPEG until its end."""
    layers = image.layer
    across, down = (max(layer[i] for layer in layers) for i in (1, 2))
    width, height = image.size
    blocks = (
        math.ceil(width * layer[1] / (8 * across))
        * math.ceil(height * layer[2] / (8 * down)) for layer in layers
    )
    return 2 * 64 * sum(blocks)


def _is_plain(image: Image.Image) -> bool:
    is_raw = all(tile[0] == "raw" for tile in image.tile)
    ways = _PLAIN.get(image.format or "")
    if ways is None:  # PPM
        return is_raw and image.mode in ("RGB", "L")
    return is_raw and image.info.get("compression") in ways


def _raw_end(image: Image.Image) -> int:
    """Where the pixels of an image end that are stored as they are."""
    tile = image.tile[0]
    bits = {"1": 1, "L": 8, "P": 8}.get(image.mode, 24)
    stride = tile[3][1] if isinstance(tile[3], tuple) else 0
    stride = stride or image.size[0] * bits // 8
    return tile[2] + stride * image.size[1]
