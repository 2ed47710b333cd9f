"""Image files to RGB arrays, in threads; a bad file is a reason, not a crash."""

import dataclasses
import functools
import math
import os
import sys
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from detail_embed.images.cpus import cpus, decoding_threads
from detail_embed.images.file_source import FileSource, content_in, state_in, state_of
from detail_embed.images.huge_image import HugeImage, as_huge
from detail_embed.images.identical_files import RecentFiles
from detail_embed.images.image_file import (
    MAX_PIXELS,
    UnreadableImage,
    check_max_pixels,
    decode_pixels,
    open_with_file,
)
from detail_embed.images.in_time import OPTION, hung
from detail_embed.images.pixel_budget import PixelBudget
from detail_embed.images.read_pool import (
    READ_SECONDS,
    ReadPool,
    Waiting,
    check_read_seconds,
)
from detail_embed.storage.addresses import is_address

_PINNED = 2**26


@dataclasses.dataclass(frozen=True)
class Decoded:
    """One file of ``read_images()``: its pixels, or why there are none.

    Attributes:
        index: position of the file among those given
        path: the file, as it was given
        pixels: ``(h, w, 3)`` uint8 RGB, or None; of a file that is too large to be
            decoded at once, what reads it by parts
        error: the error that ``read_image()`` raised, or None
        same_as: index of an earlier file with the same content, which is why this
            one was not decoded, or None
        source: what the file was, None where it could not be read
    """

    index: int
    path: str | os.PathLike
    pixels: np.ndarray | HugeImage | None = None
    error: UnreadableImage | None = None
    same_as: int | None = None
    source: FileSource | None = None


def read_images(
    paths: Iterable[str | os.PathLike],
    num_workers: int | None = None,
    prefetch: int | None = None,
    max_pixels: int = MAX_PIXELS,
    identical_within: int = 0,
    pin: bool = False,
    budget: PixelBudget | None = None,
    read_seconds: float = READ_SECONDS,
) -> Iterator[Decoded]:
    """Decodes files in threads, in the order given, a bounded number ahead.

    A bad file is yielded with its error, and so is one whose reading hangs. Closing
    the iterator stops the threads once they have finished the file at hand, but for
    those that hang.

    Args:
        paths: files; consumed as needed, in the caller's thread
        num_workers (None): number of threads; None: one per CPU, at most 8
        prefetch (None): number of files decoded ahead of the one last yielded;
            None: twice the number of threads
        max_pixels (MAX_PIXELS): a file of more is not decoded here
        identical_within (0): how many files back one of the same content is looked
            for; a file that has one is not decoded
        pin (False): whether to put pixels where a GPU can copy them from while it
            computes
        budget (None): bounds the pixels in memory; to be given the room of an image
            back by whoever uses it. With it, many files are looked at while one
            hangs, so that as many that hang take about as long as one
        read_seconds (READ_SECONDS): that a file is waited for, beside the time that
            decoding it takes

    Returns:
        an iterator with one ``Decoded`` for each file

    Raises:
        ValueError: if ``num_workers``, ``prefetch`` or ``max_pixels`` is below 1, or
            ``read_seconds`` is not above 0
    """
    check_max_pixels(max_pixels)
    check_read_seconds(read_seconds)
    if num_workers is None:
        num_workers = decoding_threads(cpus(), gpus=1)
    if prefetch is None:
        prefetch = 2 * max(num_workers, 1)
    for name, value in (("num_workers", num_workers), ("prefetch", prefetch)):
        if value < 1:
            raise ValueError(f"{name}={value!r}: give at least 1")
    recent = RecentFiles(identical_within) if identical_within else None
    may_grow = budget is not None
    budget = budget or PixelBudget(sys.maxsize)
    decode = functools.partial(
        _decode, max_pixels=max_pixels, read_seconds=read_seconds, recent=recent,
        pin=pin, budget=budget,
    )
    pool = ReadPool(
        decode, functools.partial(_hung, seconds=read_seconds),
        functools.partial(_forgotten, budget), num_workers, prefetch, read_seconds,
        may_grow,
    )
    return _results(pool, paths, budget)


def _results(
    pool: ReadPool[str | os.PathLike, Decoded], paths: Iterable[str | os.PathLike],
    budget: PixelBudget,
) -> Iterator[Decoded]:
    try:
        yield from pool.results(paths, budget.wait_for)
    finally:
        budget.close()
        pool.close()


def _hung(index: int, path: str | os.PathLike, seconds: float) -> Decoded:
    return Decoded(index, path, error=hung(path, seconds, OPTION))


def _forgotten(budget: PixelBudget, decoded: Decoded) -> None:
    if decoded.pixels is not None:
        height, width = decoded.pixels.shape[:2]
        budget.give(width * height)


def _decode(
    index: int, path: str | os.PathLike, waiting: Waiting, max_pixels: int,
    read_seconds: float, recent: RecentFiles | None, pin: bool, budget: PixelBudget,
) -> Decoded:
    try:
        is_object = is_address(path)  # which is never half of two
        state = "" if is_object else state_of(path)
        with open_with_file(path, None) as (image, file):
            huge = as_huge(path, image, file, max_pixels, read_seconds)
            state = state_in(file, state)
            source = FileSource(state, content_in(file))
            if recent is not None:
                same_as = recent.find(source.content, index)
                if same_as is not None:
                    return Decoded(index, path, same_as=same_as, source=source)
            count = math.prod(image.size)
            with waiting.pausing():
                budget.take(index, count)
            if huge is not None:
                return Decoded(index, path, huge, source=source)
            try:
                pixels = decode_pixels(
                    path, image, file, _pinned_room if pin else None
                )
            except BaseException:
                budget.give(count)
                raise
            if not is_object and state_of(path) != state:  # written while it was read
                source = FileSource(state)
            pixels = pinned(pixels) if pin else pixels
            return Decoded(index, path, pixels, source=source)
    except UnreadableImage as error:
        return Decoded(index, path, error=error)


def pinned(pixels: np.ndarray) -> np.ndarray:
    """Copies pixels to page-locked memory; returns them as they are if it cannot.

    Those that were decoded to such memory stay where they are.
    """
    if torch.from_numpy(pixels).is_pinned():
        return pixels
    room = _pinned_room(pixels.nbytes)
    if room is None:
        return pixels
    copied = room.reshape(pixels.shape)
    copied[:] = pixels
    return copied


def _pinned_room(size: int) -> np.ndarray | None:
    """Page-locked bytes, or None: it is not given back, so large images get none."""
    if size > _PINNED:
        return None
    try:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()
    except RuntimeError:  # no GPU
        return None
