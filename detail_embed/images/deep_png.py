"""PNG files with 16 bits a colour, of which Pillow keeps the upper 8."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from detail_embed.images.bit_depth import to_8_bits
from detail_embed.images.decode import UPRIGHT, upright_rgb
from detail_embed.images.late_image import LateImage

_NEARLY_BLACK = 64  # of 255: nothing needs more than 14 of 16 bits


def open_deep(file: BinaryIO, image: Image.Image) -> Image.Image:
    """Opens a PNG whose colours may have 16 bits.

    Args:
        file: the file
        image: the same, as Pillow opened it

    Returns:
        the image itself, unless it has 16 bits a colour
    """
    if not image.tile or image.tile[0][3] not in ("RGB;16B", "RGBA;16B", "LA;16B"):
        return image
    name = str(getattr(file, "name", "the picture"))
    return LateImage(image.size, "PNG", lambda: _decode(file, image, name))


def _decode(file: BinaryIO, image: Image.Image, name: str) -> np.ndarray:
    image.load()
    colours = np.asarray(image)[..., : 1 if image.mode == "LA" else 3]
    if colours.max() >= _NEARLY_BLACK:
        return np.array(upright_rgb(image))
    import cv2  # takes long to load, and is seldom needed

    file.seek(0)
    stored = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    pixels = to_8_bits(stored[..., 2::-1], 16, name)
    if stored.shape[-1] == 4:
        alpha = stored[..., 3]
        opaque = 65535 if alpha.max() >= 2**14 else max(alpha.max(), 1)
        share = alpha[..., None] / np.float32(opaque)
        pixels = np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)
    upright = Image.fromarray(np.ascontiguousarray(pixels))
    turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
    return np.array(upright if turn is None else upright.transpose(turn))
