"""JPEGs by libjpeg-turbo: the pixels of Pillow in less time."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

try:
    import simplejpeg
except ImportError:  # Pillow decodes, too
    simplejpeg = None

FORMATS = ("JPEG", "MPO")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, image: Image.Image) -> np.ndarray | None:
    """Decodes a JPEG of colours.

    Args:
        data: the file
        image: the same, as Pillow opened it, of one of ``FORMATS``

    Returns:
        ``(h, w, 3)`` uint8 RGB, upright; None for what Pillow has to look at: other
        colours, and damaged files
    """
    if simplejpeg is None or image.mode != "RGB":
        return None
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None
    turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
    return pixels if turn is None else np.array(Image.fromarray(pixels).transpose(turn))
