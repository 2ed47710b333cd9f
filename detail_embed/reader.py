"""Image files to RGB arrays, in threads; a bad file is a reason, not a crash."""

import collections
import contextlib
import dataclasses
import itertools
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
MAX_PIXELS = 2**28

_TIFF_HEADS = (b"II*\0", b"MM\0*")
_BITS, _COLOURS, _CHANNELS, _PLANES = 258, 262, 277, 284

_PILLOW_LIMIT = threading.Lock()


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


@dataclasses.dataclass(frozen=True)
class Decoded:
    """One file of ``read_images()``: either its pixels or what is wrong with it.

    Attributes:
        index: position of the file among those given
        path: the file, as it was given
        pixels: ``(h, w, 3)`` uint8 RGB, or None
        error: the error that ``read_image()`` raised, or None
    """

    index: int
    path: str | os.PathLike
    pixels: np.ndarray | None = None
    error: UnreadableImage | None = None


def read_image(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes an image file as a person would see it.

    JPEG, PNG, WebP, TIFF, BMP, GIF and PPM; the first frame of several. EXIF
    orientation is applied; transparency lies over white; CMYK, palettes and
    grey become RGB; 16-bit grey is scaled by its full range.

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
    with _reasons(path), _open(path) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise UnreadableImage(
                path,
                f"has {width} x {height} pixels, more than the {max_pixels} "
                "allowed: raise max_pixels, or make it smaller",
            )
        _check_planes(image)
        return np.array(upright_rgb(image))


def upright_rgb(image: Image.Image) -> Image.Image:
    """Makes an open image what a person would see, as ``read_image()`` does.

    Args:
        image: as opened by Pillow; it may be changed

    Returns:
        RGB, EXIF orientation applied

    Raises:
        Exception: of any kind, from Pillow's decoders
    """
    ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image)


def read_size(path: str | os.PathLike) -> tuple[int, int]:
    """Reads the size of an image from the head of its file.

    Returns:
        width and height in pixels as stored: EXIF orientation may swap them

    Raises:
        UnreadableImage: if the file is missing, no regular file, or no image of
            the formats of ``read_image()``
    """
    with _reasons(path), _open(path) as image:
        return image.size


def read_images(
    paths: Iterable[str | os.PathLike],
    num_workers: int | None = None,
    prefetch: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Decoded]:
    """Decodes files in threads, in the order given, a bounded number ahead.

    A bad file is yielded with its error. Closing the iterator stops the threads
    once they have finished the file at hand.

    Args:
        paths: files; consumed as needed, in the caller's thread
        num_workers (None): number of threads; None: one per CPU, at most 8
        prefetch (None): number of files decoded ahead of the one last yielded;
            None: twice the number of threads
        max_pixels (MAX_PIXELS): as in ``read_image()``

    Returns:
        an iterator with one ``Decoded`` for each file

    Raises:
        ValueError: if ``num_workers`` or ``prefetch`` is below 1
    """
    if num_workers is None:
        num_workers = min(8, os.cpu_count() or 1)
    if prefetch is None:
        prefetch = 2 * max(num_workers, 1)
    for name, value in (("num_workers", num_workers), ("prefetch", prefetch)):
        if value < 1:
            raise ValueError(f"{name}={value!r}: give at least 1")
    return _read_ahead(paths, num_workers, prefetch, max_pixels)


def _read_ahead(
    paths: Iterable[str | os.PathLike], num_workers: int, prefetch: int, max_pixels: int
) -> Iterator[Decoded]:
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="detail-read")
    jobs = (
        pool.submit(_decode, index, path, max_pixels)
        for index, path in enumerate(paths)
    )
    ahead: collections.deque[Future[Decoded]] = collections.deque()
    try:
        ahead.extend(itertools.islice(jobs, prefetch))
        while ahead:
            decoded = ahead.popleft().result()
            ahead.extend(itertools.islice(jobs, 1))
            yield decoded
            del decoded
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(index: int, path: str | os.PathLike, max_pixels: int) -> Decoded:
    try:
        return Decoded(index, path, pixels=read_image(path, max_pixels))
    except UnreadableImage as error:
        return Decoded(index, path, error=error)


@contextlib.contextmanager
def _reasons(path: str | os.PathLike) -> Iterator[None]:
    """Turns whatever goes wrong with a file into an ``UnreadableImage``."""
    try:
        yield
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's decoders raise errors of any kind
        raise UnreadableImage(path, _reason(path, error)) from error


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[Image.Image]:
    """Opens a file, without Pillow's own limit of pixels: ours is checked next."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        kind = "a directory" if os.path.isdir(path) else "no regular file"
        raise UnreadableImage(path, f"is {kind}")
    with _PILLOW_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _check_planes(image: Image.Image) -> None:
    """Refuses what Pillow takes for 8 bits: it would show noise."""
    tags = getattr(image, "tag_v2", {})
    is_planar = tags.get(_PLANES) == 2 and tags.get(_CHANNELS, 1) > 1
    if is_planar and max(tags.get(_BITS, (1,))) > 8 and _is_raw(image):
        raise ValueError(
            "16-bit colours in separate planes, uncompressed, are not read here: "
            "save them compressed, or pixel by pixel, or as PNG"
        )


def _is_raw(image: Image.Image) -> bool:
    return image.info.get("compression") in (None, "raw")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (
        image.mode == "I" and image.format in ("PNG", "PPM")
    ):
        return _from_16_bit(image)
    if image.mode in ("I", "F"):
        raise ValueError(
            "32-bit pixels have no known range of brightness, save 8 or 16 bits"
        )
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    grey = np.asarray(image).astype(np.uint32)
    if getattr(image, "tag_v2", {}).get(_COLOURS) == 0:
        grey = 65535 - grey  # white is zero
    if isinstance(image.info.get("transparency"), int):
        grey[grey == image.info["transparency"]] = 65535
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")


def _reason(path: str | os.PathLike, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    if isinstance(error, UnidentifiedImageError):
        return _what_else_it_is(path)
    if "truncated" in str(error).lower():
        return "is truncated"
    return f"cannot be decoded: {error or type(error).__name__}"


def _what_else_it_is(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        raw = file.read(512)
    head = raw.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "is empty"
    if head.startswith((b"<!doctype html", b"<html")):
        return "is HTML, not an image"
    if head.startswith((b"<!--", b"<?xml", b"<!doctype")):
        return "is HTML or XML, not an image"
    if raw.startswith(_TIFF_HEADS):
        return _which_tiff_it_is(path)
    return f"is no image of a format read here ({', '.join(FORMATS)}), or damaged"


def _which_tiff_it_is(path: str | os.PathLike) -> str:
    """Words for a TIFF whose kind of pixels Pillow does not know."""
    try:
        with open(path, "rb") as file:
            tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(tags.next)
            tags.load(file)
        bits = " + ".join(map(str, tags.get(_BITS, (1,))))
    except Exception:  # Pillow's parsers raise errors of any kind
        return "is a damaged TIFF"
    return (
        f"is a TIFF of a kind not read here ({bits} bits a pixel): save it with 8 "
        "bits a channel, or as PNG"
    )
