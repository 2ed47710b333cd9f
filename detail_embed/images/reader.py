"""Image files to RGB arrays, in threads; a bad file is a reason, not a crash."""

import collections
import dataclasses
import functools
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from detail_embed.images.cpus import cpus, decoding_threads
from detail_embed.images.file_source import FileSource, content_of, state_of
from detail_embed.images.identical_files import RecentFiles
from detail_embed.images.image_file import (
    MAX_PIXELS,
    UnreadableImage,
    check_max_pixels,
    decode_pixels,
    open_image,
)
from detail_embed.images.pixel_budget import PixelBudget

_PINNED = 2**26


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
        source: what the file was, None where it could not be read
    """

    index: int
    path: str | os.PathLike
    pixels: np.ndarray | None = None
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
        identical_within (0): how many files back one of the same content is looked
            for; a file that has one is not decoded
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
        num_workers = decoding_threads(cpus(), gpus=1)
    if prefetch is None:
        prefetch = 2 * max(num_workers, 1)
    for name, value in (("num_workers", num_workers), ("prefetch", prefetch)):
        if value < 1:
            raise ValueError(f"{name}={value!r}: give at least 1")
    recent = RecentFiles(identical_within) if identical_within else None
    budget = budget or PixelBudget(sys.maxsize)
    decode = functools.partial(
        _decode, max_pixels=max_pixels, recent=recent, pin=pin, budget=budget
    )
    return _read_ahead(paths, num_workers, prefetch, decode, budget)


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
        state = state_of(path)
        with open_image(path, max_pixels) as image:
            source = FileSource(state, content_of(path))
            if recent is not None:
                same_as = recent.find(source.content, index)
                if same_as is not None:
                    return Decoded(index, path, same_as=same_as, source=source)
            count = math.prod(image.size)
            budget.take(index, count)
            try:
                pixels = decode_pixels(path, image, _pinned_room if pin else None)
            except BaseException:
                budget.give(count)
                raise
            if state_of(path) != state:  # written while it was read
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
