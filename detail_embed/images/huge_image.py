"""Images that are too large to be decoded at once: their rows, and parts, by turns."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import os
import threading
import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image

from detail_embed.images.cpus import cpus
from detail_embed.images.decode import UPRIGHT
from detail_embed.images.file_reasons import NotReadHere, reason
from detail_embed.images.huge_colours import colours_of
from detail_embed.images.huge_formats import check_memory, driver_of, is_woven
from detail_embed.images.image_file import (
    MAX_PIXELS,
    UnreadableImage,
    decode_pixels,
    open_with_file,
)
from detail_embed.images.part_opener import opener
from detail_embed.images.read_pool import READ_SECONDS
from detail_embed.images.rows_in_time import in_time
from detail_embed.images.tiff_pages import pages, photograph
from detail_embed.images.turns import as_stored, turned, upright
from detail_embed.storage.addresses import full_path, is_address

INSTALL = 'pip install "detail-embed[huge]" (that is rasterio)'
_CACHE = 2**27  # bytes, of decoded blocks
_BAND = 2**28  # bytes, of rows that are read at once, about
_LEAST_ROWS = 256
_PART = 1024  # pixels, the longer side of a part that is looked at
_OPTIONS = {
    "GDAL_CACHEMAX": _CACHE, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO", "GDAL_ALLOW_LARGE_LIBJPEG_MEM_ALLOC": "YES",
    "JPEGMEM": "4300M",
}
_alone = threading.Lock()  # one at a time of those that take much memory


@dataclass(frozen=True)
class HugeImage:
    """A file of which no more is decoded than what is asked for.

    Attributes:
        path: of the file, or the address of an object
        driver: what reads it
        stored_size: width and height in pixels, as it is stored
        turn: how it is turned to be upright, 1 to 8, as in EXIF
        directory: offset of the image in a TIFF whose first one is another; None for
            the first
        is_woven: whether all of it is needed for any of its rows
        read_seconds: that rows are waited for
    """

    path: str
    driver: str
    stored_size: tuple[int, int]
    turn: int = 1
    directory: int | None = None
    is_woven: bool = False
    read_seconds: float = READ_SECONDS

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image in pixels."""
        return turned(self.stored_size, self.turn)

    @property
    def shape(self) -> tuple[int, int, int]:
        """As of its upright pixels, were they decoded."""
        return self.size[1], self.size[0], 3

    def stored(self, boxes: np.ndarray) -> np.ndarray:
        """Where ``(n, 4)`` boxes of the upright image are in the stored one."""
        return as_stored(boxes, self.size, self.turn)

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """Turns ``(h, w, 3)`` uint8 pixels of the stored image."""
        return upright(pixels, self.turn)

    def bands(self, factor: int = 1) -> tuple[int, Iterator[np.ndarray]]:
        """Its stored rows from top to bottom, some at a time.

        Args:
            factor (1): by how much the image may be smaller: where its file holds
                smaller copies, the smallest that is large enough is read

        Returns:
            by how much what is read is smaller, a power of two; and its rows, as
            ``(n, w, 3)`` uint8 RGB arrays

        Raises:
            UnreadableImage: if the file is damaged, or hangs, while it is read
        """
        with _reasons(self.path), self._opened() as file:
            copies = {f: i for i, f in enumerate(file.overviews(1))}
        fitting = [f for f in copies if f <= factor and f & (f - 1) == 0]
        chosen = max(fitting, default=1)
        bands = self._bands(copies[chosen] if fitting else None)
        return chosen, in_time(bands, self.path, self.read_seconds)

    def _bands(self, copy: int | None) -> Generator[np.ndarray, None, None]:
        with _reasons(self.path), self._opened(copy) as file:
            colours = colours_of(file, self.path)
            for top in range(0, file.height, step := _rows(file)):
                bottom = min(top + step, file.height)
                window = ((top, bottom), (0, file.width))
                yield colours.rgb(file.read(colours.bands, window=window))

    def crop(
        self, box: tuple[int, int, int, int] | None = None, side: int = _PART
    ) -> Image.Image:
        """A part of it, upright, made smaller if it is large.

        Args:
            box (None): left, top, right and bottom in pixels, as of Pillow's
                ``crop()``, inside the image; None for all of it
            side (1024): pixels of its longer side, at most

        Raises:
            UnreadableImage: if the file is damaged
        """
        left, top, right, bottom = self.stored(box or (0, 0, *self.size)).tolist()
        ratio = max(1.0, max(right - left, bottom - top) / side)
        shape = [max(1, round(i / ratio)) for i in (bottom - top, right - left)]
        with _reasons(self.path), self._opened() as file:
            colours = colours_of(file, self.path)
            samples = file.read(
                colours.bands, window=((top, bottom), (left, right)),
                out_shape=(len(colours.bands), *shape),
                resampling=_resampling(file, (right - left) * (bottom - top)),
            )
            return Image.fromarray(self.upright(colours.rgb(samples)))

    @contextlib.contextmanager
    def _opened(self, copy: int | None = None) -> Iterator[Any]:
        with _alone if self.is_woven else contextlib.nullcontext():
            with _open(self.path, self.driver, self.directory, copy) as file:
                yield file


@contextlib.contextmanager
def _open(
    path: str, driver: str, directory: int | None, copy: int | None = None
) -> Iterator[Any]:
    import rasterio

    more: dict[str, Any] = {} if copy is None else {"overview_level": copy}
    if is_address(path):
        path, more["opener"] = opener(path, directory)
    elif directory is not None:
        path = f"GTIFF_DIR:off:{directory}:{path}"
    options = {**_OPTIONS, "GDAL_NUM_THREADS": cpus()}
    with rasterio.Env(**options), rasterio.open(
        path, driver=driver, sharing=False, **more
    ) as file:
        yield file


def as_huge(
    path: str | os.PathLike, image: Image.Image, file: BinaryIO,
    max_pixels: int | None = None, read_seconds: float = READ_SECONDS,
) -> HugeImage | None:
    """What reads an open image by parts, if it is too large to be decoded at once.

    Args:
        path: of its file
        image: as :func:`.image_file.open_with_file` opened it, without a limit
        file: likewise
        max_pixels (None): an image of more is decoded by parts; None for 268 million
        read_seconds (READ_SECONDS): that rows are waited for

    Returns:
        None for an image that may be decoded at once

    Raises:
        UnreadableImage: if its file cannot be read by parts
    """
    max_pixels = max_pixels or MAX_PIXELS
    if math.prod(image.size) <= max_pixels:
        return None
    name = full_path(os.fsdecode(path))
    width, height = image.size
    start = f"has {width} x {height} pixels, more than the {max_pixels} allowed"
    with _reasons(path):
        driver = driver_of(image, file, start)
        try:
            _silence()
        except ImportError:
            raise NotReadHere(
                f"{start}: install what reads it by parts, {INSTALL}, raise "
                "max_pixels, or make it smaller",
            ) from None
        page, turn = _page(file) if driver == "GTiff" else (None, _exif_turn(image))
        turn = turn if turn in UPRIGHT else 1
        with _open(name, driver, page) as opened:
            size = opened.width, opened.height
            if size not in (image.size, image.size[::-1]):
                raise NotReadHere(f"{start} at once, and is damaged")
            check_memory(opened, image, start)
            colours_of(opened, name, is_quick=True)
    return HugeImage(name, driver, size, turn, page, is_woven(image), read_seconds)


def see(path: str | os.PathLike) -> Image.Image | HugeImage:
    """An image to crop parts of: its pixels, or, if it is huge, its file.

    Raises:
        UnreadableImage: as of :func:`.image_file.read_image`
    """
    with open_with_file(path, max_pixels=None) as (image, file):
        huge = as_huge(path, image, file)
        return huge or Image.fromarray(decode_pixels(path, image, file))


def see_whole(path: str | os.PathLike) -> Image.Image:
    """An image; one that is huge is made smaller.

    Raises:
        UnreadableImage: as of :func:`.image_file.read_image`
    """
    seen = see(path)
    return seen.crop() if isinstance(seen, HugeImage) else seen


def is_installed() -> bool:
    """Whether there is what reads huge images."""
    return importlib.util.find_spec("rasterio") is not None


def _silence() -> None:
    """Loads rasterio; what it warns of, a photograph has not.

    Raises:
        ImportError: if it is not installed
    """
    import rasterio

    kind = rasterio.errors.NotGeoreferencedWarning
    warnings.filterwarnings("ignore", category=kind)
    logging.getLogger("rasterio").setLevel(logging.CRITICAL + 1)


def _exif_turn(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all pixels to look for it behind them
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def _page(file: BinaryIO) -> tuple[int | None, int]:
    """Where the photograph of a TIFF is, None for first; and how to turn it."""
    page, _ = photograph(file)
    is_first = page.offset == next(pages(file)).offset
    return None if is_first else page.offset, page.orientation


def _rows(file: Any) -> int:
    """Rows to read at once: of whole blocks, unless these are very high."""
    rows = file.block_shapes[0][0]
    row = file.width * file.count * np.dtype(file.dtypes[0]).itemsize
    if rows * row > _BAND:
        return max(1, _BAND // row)
    return -(-_LEAST_ROWS // rows) * rows


def _resampling(file: Any, pixels: int) -> Any:
    """Smooth where few pixels are read; of a whole large file some pixels only."""
    from rasterio.enums import Resampling

    is_large = pixels > MAX_PIXELS and not file.overviews(1)
    return Resampling.nearest if is_large else Resampling.average


@contextlib.contextmanager
def _reasons(path: str | os.PathLike) -> Iterator[None]:
    try:
        yield
    except (UnreadableImage, GeneratorExit):
        raise
    except Exception as error:  # GDAL's drivers raise errors of any kind
        why = reason(path, error)
        if "previous exception" in why:  # which names the file, and GDAL's functions
            why = "is damaged, or cut off: not all of it could be decoded by parts"
        raise UnreadableImage(path, why) from error
