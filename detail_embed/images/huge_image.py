"""Images that are too large to be decoded at once: their rows, and parts, by turns."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from detail_embed.images.cpus import cpus
from detail_embed.images.file_reasons import NotReadHere, reason
from detail_embed.images.huge_colours import colours_of
from detail_embed.images.image_file import (
    MAX_PIXELS,
    UnreadableImage,
    decode_pixels,
    open_with_file,
)
from detail_embed.images.tiff_pages import pages, photograph

INSTALL = 'pip install "detail-embed[huge]" (that is rasterio)'
_DRIVERS = {
    "TIFF": "GTiff", "PNG": "PNG", "JPEG": "JPEG", "MPO": "JPEG",
    "JPEG2000": "JP2OpenJPEG",
}
_CACHE = 2**27  # bytes, of decoded blocks
_BAND = 2**28  # bytes, of rows that are read at once, about
_LEAST_ROWS = 256
_MOST_BLOCK = 2**29  # bytes, of what a file only gives as a whole
_WOVEN = {"interlace": "interlaced", "progressive": "progressive"}
_PART = 1024  # pixels, the longer side of a part that is looked at
_OPTIONS = {
    "GDAL_CACHEMAX": _CACHE, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
}


@dataclass(frozen=True)
class HugeImage:
    """A file of which no more is decoded than what is asked for.

    Attributes:
        path: of the file
        driver: what reads it
        size: width and height in pixels
        directory: offset of the image in a TIFF whose first one is another; None for
            the first
    """

    path: str
    driver: str
    size: tuple[int, int]
    directory: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """As of its pixels, were they decoded."""
        return self.size[1], self.size[0], 3

    def bands(self, factor: int = 1) -> tuple[int, Iterator[np.ndarray]]:
        """Its rows from top to bottom, some at a time.

        Args:
            factor (1): by how much the image may be smaller: where its file holds
                smaller copies, the smallest that is large enough is read

        Returns:
            by how much what is read is smaller, a power of two; and its rows, as
            ``(n, w, 3)`` uint8 RGB arrays

        Raises:
            UnreadableImage: if the file is damaged, while it is read
        """
        with _reasons(self.path), self._opened() as file:
            copies = {f: i for i, f in enumerate(file.overviews(1))}
        fitting = [f for f in copies if f <= factor and f & (f - 1) == 0]
        chosen = max(fitting, default=1)
        return chosen, self._bands(copies[chosen] if fitting else None)

    def _bands(self, copy: int | None) -> Iterator[np.ndarray]:
        with _reasons(self.path), self._opened(copy) as file:
            colours = colours_of(file, self.path)
            for top in range(0, file.height, step := _rows(file)):
                bottom = min(top + step, file.height)
                window = ((top, bottom), (0, file.width))
                yield colours.rgb(file.read(colours.bands, window=window))

    def crop(
        self, box: tuple[int, int, int, int] | None = None, side: int = _PART
    ) -> Image.Image:
        """A part of it, made smaller if it is large.

        Args:
            box (None): left, top, right and bottom in pixels, as of Pillow's
                ``crop()``, inside the image; None for all of it
            side (1024): pixels of its longer side, at most

        Raises:
            UnreadableImage: if the file is damaged
        """
        left, top, right, bottom = box or (0, 0, *self.size)
        ratio = max(1.0, max(right - left, bottom - top) / side)
        shape = [max(1, round(i / ratio)) for i in (bottom - top, right - left)]
        with _reasons(self.path), self._opened() as file:
            colours = colours_of(file, self.path)
            samples = file.read(
                colours.bands, window=((top, bottom), (left, right)),
                out_shape=(len(colours.bands), *shape),
                resampling=_resampling(file, (right - left) * (bottom - top)),
            )
            return Image.fromarray(colours.rgb(samples))

    @contextlib.contextmanager
    def _opened(self, copy: int | None = None) -> Iterator[Any]:
        import rasterio

        name, more = self.path, {} if copy is None else {"overview_level": copy}
        if self.directory is not None:
            name = f"GTIFF_DIR:off:{self.directory}:{self.path}"
        options = {**_OPTIONS, "GDAL_NUM_THREADS": cpus()}
        with rasterio.Env(**options), rasterio.open(
            name, driver=self.driver, sharing=False, **more
        ) as file:
            yield file


def as_huge(
    path: str | os.PathLike, image: Image.Image, max_pixels: int | None = None
) -> HugeImage | None:
    """What reads an open image by parts, if it is too large to be decoded at once.

    Args:
        path: of its file
        image: as :func:`.image_file.open_image` opened it, without a limit
        max_pixels (None): an image of more is decoded by parts; None for 268 million

    Returns:
        None for an image that may be decoded at once

    Raises:
        UnreadableImage: if its file cannot be read by parts
    """
    max_pixels = max_pixels or MAX_PIXELS
    if math.prod(image.size) <= max_pixels:
        return None
    width, height = image.size
    start = f"has {width} x {height} pixels, more than the {max_pixels} allowed"
    driver = _DRIVERS.get(image.format or "")
    if driver is None:
        raise UnreadableImage(
            path,
            f"{start} at once, and {image.format} is not read by parts: save it as a "
            "tiled TIFF, raise max_pixels, or make it smaller",
        )
    try:
        _silence()
    except ImportError:
        raise UnreadableImage(
            path,
            f"{start}: install what reads it by parts, {INSTALL}, raise max_pixels, "
            "or make it smaller",
        ) from None
    page, turn = _page(path) if driver == "GTiff" else (None, _exif_turn(image))
    if turn != 1:
        raise UnreadableImage(
            path,
            f"{start} at once, and is turned by its EXIF orientation, which is not "
            "read by parts: save it upright, raise max_pixels, or make it smaller",
        )
    huge = HugeImage(os.path.abspath(os.fsdecode(path)), driver, image.size, page)
    with _reasons(path), huge._opened() as file:
        if (file.width, file.height) != image.size:
            raise NotReadHere(f"{start} at once, and is damaged")
        _check_blocks(file, image, start)
        colours_of(file, huge.path, is_quick=True)
    return huge


def see(path: str | os.PathLike) -> Image.Image | HugeImage:
    """An image to crop parts of: its pixels, or, if it is huge, its file.

    Raises:
        UnreadableImage: as of :func:`.image_file.read_image`
    """
    with open_with_file(path, max_pixels=None) as (image, file):
        huge = as_huge(path, image)
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


def _page(path: str | os.PathLike) -> tuple[int | None, int]:
    """Where the photograph of a TIFF is, None for first; and how to turn it."""
    with open(path, "rb") as file:
        page, _ = photograph(file)
        is_first = page.offset == next(pages(file)).offset
    return None if is_first else page.offset, page.orientation


def _check_blocks(file: Any, image: Image.Image, start: str) -> None:
    """Raises ``NotReadHere`` for files that cannot be decoded but as a whole."""
    rows, columns = file.block_shapes[0]
    block = rows * columns * file.count * np.dtype(file.dtypes[0]).itemsize
    woven = [kind for kind in _WOVEN if image.info.get(kind)]
    if block > _MOST_BLOCK or woven:
        kind = " ".join([*(_WOVEN[i] for i in woven), image.format or "an image"])
        raise NotReadHere(
            f"{start} at once, and is {kind} that can only be decoded as a whole: "
            "save it as a tiled TIFF, raise max_pixels, or make it smaller"
        )


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
        raise UnreadableImage(path, reason(path, error)) from error
