"""Image files to RGB arrays, in threads; a bad file is a reason, not a crash."""

import collections
import contextlib
import ctypes
import dataclasses
import functools
import hashlib
import itertools
import math
import os
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image

from . import jpeg
from .file_reasons import FORMATS, reason
from .pixel_budget import PixelBudget
from .rgb import check_planes, upright_rgb
from .twins import RecentFiles

MAX_PIXELS = 2**28

_HASHED = 2**28  # larger files, in bytes, are not compared with others
_BLOCK = 2**20
_PINNED = 2**26
_PILLOW_LIMIT = threading.Lock()


def _silence_decoders() -> None:
    """Keeps thousands of damaged files from printing as many lines.

    What matters is in their reasons. libtiff writes to stderr by itself.
    """
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


@dataclasses.dataclass(frozen=True)
class Decoded:
    """One file of ``read_images()``: its pixels, or why there are none.

    Attributes:
        index: position of the file among those given
        path: the file, as it was given
        pixels: ``(h, w, 3)`` uint8 RGB, or None
        error: the error that ``read_image()`` raised, or None
        same_as: index of an earlier file with the same content, which is why this
            one was not decoded, or None
    """

    index: int
    path: str | os.PathLike
    pixels: np.ndarray | None = None
    error: UnreadableImage | None = None
    same_as: int | None = None


def check_max_pixels(max_pixels: int) -> None:
    """Checks a limit of pixels.

    Raises:
        ValueError: if it is no whole number of at least 1
    """
    is_count = isinstance(max_pixels, int) and not isinstance(max_pixels, bool)
    if not is_count or max_pixels < 1:
        raise ValueError(
            f"max_pixels={max_pixels!r}: give the most pixels an image may have, a "
            "whole number of at least 1"
        )


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
    with open_image(path, max_pixels) as image:
        return _pixels(path, image)


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
    with _reasons(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a directory" if os.path.isdir(path) else "no regular file"
            raise UnreadableImage(path, f"is {kind}")
        with open(path, "rb") as file, _identify(file) as image:
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                raise UnreadableImage(
                    path,
                    f"has {width} x {height} pixels, more than the {max_pixels} "
                    "allowed: raise max_pixels, or make it smaller",
                )
            yield image


def _identify(file: BinaryIO) -> Image.Image:
    """Reads an image's head, without Pillow's own limit of pixels."""
    with _PILLOW_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


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


def read_images(
    paths: Iterable[str | os.PathLike],
    num_workers: int | None = None,
    prefetch: int | None = None,
    max_pixels: int = MAX_PIXELS,
    twins: int = 0,
    pin: bool = False,
    budget: PixelBudget | None = None,
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
        twins (0): how many files back one of the same content is looked for; a
            file that has one is not decoded
        pin (False): whether to put pixels where a GPU can copy them from while it
            computes
        budget (None): bounds the pixels in memory; to be given the room of an image
            back by whoever uses it

    Returns:
        an iterator with one ``Decoded`` for each file

    Raises:
        ValueError: if ``num_workers``, ``prefetch`` or ``max_pixels`` is below 1
    """
    check_max_pixels(max_pixels)
    if num_workers is None:
        num_workers = min(8, _cpus())
    if prefetch is None:
        prefetch = 2 * max(num_workers, 1)
    for name, value in (("num_workers", num_workers), ("prefetch", prefetch)):
        if value < 1:
            raise ValueError(f"{name}={value!r}: give at least 1")
    recent = RecentFiles(twins) if twins else None
    budget = budget or PixelBudget(sys.maxsize)
    decode = functools.partial(
        _decode, max_pixels=max_pixels, recent=recent, pin=pin, budget=budget
    )
    return _read_ahead(paths, num_workers, prefetch, decode, budget)


def _cpus() -> int:
    """CPUs that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_ahead(
    paths: Iterable[str | os.PathLike],
    num_workers: int,
    prefetch: int,
    decode: Callable[[int, str | os.PathLike], Decoded],
    budget: PixelBudget,
) -> Iterator[Decoded]:
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="detail-read")
    jobs = (pool.submit(decode, index, path) for index, path in enumerate(paths))
    ahead: collections.deque[Future[Decoded]] = collections.deque()
    try:
        ahead.extend(itertools.islice(jobs, prefetch))
        for index in itertools.count():
            if not ahead:
                break
            budget.wait_for(index)
            decoded = ahead.popleft().result()
            ahead.extend(itertools.islice(jobs, 1))
            yield decoded
            del decoded
    finally:
        budget.close()
        pool.shutdown(cancel_futures=True)


def _decode(
    index: int, path: str | os.PathLike, max_pixels: int,
    recent: RecentFiles | None, pin: bool, budget: PixelBudget,
) -> Decoded:
    try:
        with open_image(path, max_pixels) as image:
            if recent is not None:
                same_as = recent.find(_digest(path), index)
                if same_as is not None:
                    return Decoded(index, path, same_as=same_as)
            count = math.prod(image.size)
            budget.take(index, count)
            try:
                pixels = _pixels(path, image)
            except BaseException:
                budget.give(count)
                raise
            return Decoded(index, path, pixels=pinned(pixels) if pin else pixels)
    except UnreadableImage as error:
        return Decoded(index, path, error=error)


def _pixels(path: str | os.PathLike, image: Image.Image) -> np.ndarray:
    if image.format in jpeg.FORMATS:
        pixels = jpeg.decode(Path(path).read_bytes(), image)
        if pixels is not None:
            return pixels
    check_planes(image)
    return np.array(upright_rgb(image))


def pinned(pixels: np.ndarray) -> np.ndarray:
    """Copies pixels to page-locked memory; returns them as they are if it cannot.

    That memory is not given back, so large images get none.
    """
    if pixels.nbytes > _PINNED:
        return pixels
    try:
        return torch.from_numpy(pixels).pin_memory().numpy()
    except RuntimeError:
        return pixels


def _digest(path: str | os.PathLike) -> bytes | None:
    """Hashes the content of a file; None if it is huge."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _HASHED:
            return None
        digest = hashlib.blake2b(digest_size=16)
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()


@contextlib.contextmanager
def _reasons(path: str | os.PathLike) -> Iterator[None]:
    """Turns whatever goes wrong with a file into an ``UnreadableImage``."""
    try:
        yield
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's decoders raise errors of any kind
        raise UnreadableImage(path, reason(path, error)) from error
