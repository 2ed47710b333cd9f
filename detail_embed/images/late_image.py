"""Images that another library than Pillow decodes, once their pixels are used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image


class LateImage(Image.Image):
    """An image that has a size, and is decoded when its pixels are asked for.

    Args:
        size: width and height
        format: name of its format
        decode: returns ``(h, w, 3)`` uint8 RGB, upright
    """

    def __init__(
        self, size: tuple[int, int], format: str, decode: Callable[[], np.ndarray]
    ) -> None:
        super().__init__()
        self._size = size
        self._mode = "RGB"
        self.format = format
        self._decode = decode

    def load(self):
        """Decodes it; it is an ordinary image from then on."""
        pixels = self._decode()
        self.__class__ = Image.Image
        self.__dict__ = Image.fromarray(pixels).__dict__
        return self.load()
