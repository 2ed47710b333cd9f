"""One image file to upright RGB; what cannot be read says why."""

import contextlib
import ctypes
import io
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from detail_embed.images.decode import (
    JPEG_FORMATS,
    Room,
    decode_jpeg,
    upright_rgb,
)
from detail_embed.images.deep_png import open_deep
from detail_embed.images.file_reasons import FORMATS, reason
from detail_embed.images.open_file import open_file
from detail_embed.images.other_formats import open_other
from detail_embed.images.tiff import open_tiff
from detail_embed.images.tiff_pages import HEADS
from detail_embed.storage.plain_numbers import is_a

MAX_PIXELS = 2**28
PICTURE = "the picture"  # name of one that is in memory
_PILLOW_LIMIT = threading.Lock()


def _silence_decoders() -> None:
    """Keeps thousands of damaged files from printing as many lines.

    What matters is in their reasons. libtiff writes to stderr by itself, and so does
    a logger that nobody listens to.
    """
    for name in ("PIL.TiffImagePlugin", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with contextlib.suppress(AttributeError, OSError):  # where it is built differently
        libtiff = ctypes.CDLL(Image.core.__file__)
        libtiff.TIFFSetErrorHandler(None)
        libtiff.TIFFSetWarningHandler(None)


_silence_decoders()


class UnreadableImage(ValueError):
    """A file that holds no image this reader can decode.

    Attributes:
        path: the file, as it was given
        reason: why, in words that complete "the file …"
    """

    def __init__(self, path: str | os.PathLike, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{os.fspath(self.path)}: {self.reason}"


def check_max_pixels(max_pixels: int) -> None:
    """Checks a limit of pixels.

    Raises:
        ValueError: if it is no whole number of at least 1
    """
    is_count = is_a(int, max_pixels)
    if not is_count or max_pixels < 1:
        raise ValueError(
            f"max_pixels={max_pixels!r}: give the most pixels an image may have, a "
            "whole number of at least 1"
        )


def read_image(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes an image file as a person would see it.

    JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000 and AVIF; with the optional
    packages of ``detail-embed[formats]`` HEIC, JPEG XL and cameras' raw files. Of
    several images it is the first, of a TIFF the largest that is no thumbnail of
    another. EXIF orientation is applied; transparency lies over white; CMYK, palettes
    and grey become RGB, and so do the bands of a TIFF that are colour. 16 bits are
    scaled by their full range, or by the file's own maximum where no value needs more
    than 14, which the log says once.

    Args:
        path: a regular file
        max_pixels (MAX_PIXELS): larger images are refused before they are
            decoded; the default of 268 million takes 0.8 GB as RGB

    Returns:
        ``(h, w, 3)`` uint8 RGB, writable and contiguous

    Raises:
        UnreadableImage: if the file is missing, no regular file, no image of
            these formats, damaged, truncated, or too large
    """
    with open_with_file(path, max_pixels) as (image, file):
        return decode_pixels(path, image, file)


def read_picture(content: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes an image file that is in memory, as ``read_image()`` does one on disk.

    Args:
        content: of the file
        max_pixels (MAX_PIXELS): as in ``read_image()``

    Returns:
        ``(h, w, 3)`` uint8 RGB

    Raises:
        UnreadableImage: as of ``read_image()``; its path is "the picture"
    """
    file = io.BytesIO(content)
    with _reasons(PICTURE, file), _identify(file) as image:
        check_size(PICTURE, image, max_pixels)
        return _pixels(image, lambda: content, None, PICTURE)


def check_size(path: str | os.PathLike, image: Image.Image, max_pixels: int) -> None:
    """Checks an image by its head.

    Raises:
        UnreadableImage: if it has more pixels
    """
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImage(
            path,
            f"has {width} x {height} pixels, more than the {max_pixels} allowed: raise "
            "max_pixels, or make it smaller",
        )


@contextlib.contextmanager
def open_image(
    path: str | os.PathLike, max_pixels: int | None = MAX_PIXELS
) -> Iterator[Image.Image]:
    """Opens an image file; its pixels are decoded when they are used.

    Args:
        path: a regular file
        max_pixels (MAX_PIXELS): as in ``read_image()``; None for no limit

    Yields:
        the image

    Raises:
        UnreadableImage: if the file is missing, no regular file, no image of the
            formats of ``read_image()``, or too large; for whatever goes wrong
            while the image is open, too
    """
    with open_with_file(path, max_pixels) as (image, _):
        yield image


@contextlib.contextmanager
def open_with_file(
    path: str | os.PathLike, max_pixels: int | None = MAX_PIXELS
) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """As :func:`open_image`, but yields the open file, too: it is opened once."""
    with _reasons(path), open_file(path) as file, _reasons(path, file):
        with _identify(file) as image:
            if max_pixels is not None:
                check_size(path, image, max_pixels)
            yield image, file


def _identify(file: BinaryIO) -> Image.Image:
    """Reads an image's head, without Pillow's own limit of pixels."""
    with _PILLOW_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return _open(file)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _open(file: BinaryIO) -> Image.Image:
    image = None
    try:
        image = Image.open(file, formats=FORMATS)
        if image.format == "TIFF":
            return open_tiff(file, image)
        return open_deep(file, image) if image.format == "PNG" else image
    except UnidentifiedImageError:
        file.seek(0)
        is_tiff = file.read(4) in HEADS
        other = open_tiff(file, None) if is_tiff else open_other(file)
        if other is None:
            raise
        return other


def read_size(path: str | os.PathLike) -> tuple[int, int]:
    """Reads the size of an image from the head of its file.

    Returns:
        width and height in pixels as stored: EXIF orientation may swap them

    Raises:
        UnreadableImage: if the file is missing, no regular file, or no image of
            the formats of ``read_image()``
    """
    with open_image(path, max_pixels=None) as image:
        return image.size


def decode_pixels(
    path: str | os.PathLike, image: Image.Image, file: BinaryIO,
    room: Room | None = None,
) -> np.ndarray:
    """Decodes an image of :func:`open_with_file`: ``(h, w, 3)`` uint8 RGB.

    Args:
        path: of its file
        image: as it was opened
        file: likewise
        room (None): makes the memory that a JPEG is decoded to
    """
    def read() -> bytes:
        file.seek(0)
        return file.read()

    return _pixels(image, read, room, os.fspath(path))


def _pixels(
    image: Image.Image, read: Callable[[], bytes], room: Room | None, name: str
) -> np.ndarray:
    if image.format in JPEG_FORMATS:
        pixels = decode_jpeg(read(), image, room)
        if pixels is not None:
            return pixels
    return np.array(upright_rgb(image, name))


@contextlib.contextmanager
def _reasons(path: str | os.PathLike, file: BinaryIO | None = None) -> Iterator[None]:
    """Turns whatever goes wrong with a file into an ``UnreadableImage``."""
    try:
        yield
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's decoders raise errors of any kind
        raise UnreadableImage(path, reason(path, error, file)) from error
