"""Files that are too large to be decoded at once: patches are encoded as rows come.

In memory are the rows that windows still need, at most about four times the side of a
patch on each of the copies that :mod:`detail_embed.cover.bands` makes, and one batch
of patches; see ``docs/huge_images.md`` for what that is in bytes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.bands import crops, factors
from detail_embed.cover.flat_windows import flat_range, parents, spread, stand_ins
from detail_embed.cover.patches import PatchSpec, extract_windows, whole_image
from detail_embed.engine.box_patches import BoxPatches
from detail_embed.engine.workers import compute_threads
from detail_embed.images.huge_image import HugeImage

_Job, _Result = TypeVar("_Job"), TypeVar("_Result")
_alone = threading.Lock()  # one at a time, for memory's sake: it has all cores


def encode_huge(
    file: HugeImage,
    backbone: Backbone,
    cover: CompleteCover | None,
    boxes: BoxPatches | None,
    encode: Callable[[Tensor], Tensor],
    home: torch.device,
) -> tuple[Tensor, Tensor]:
    """Encodes the windows of a file in one reading from top to bottom.

    Args:
        file: the image
        backbone: the model
        cover: windows; None for none
        boxes: known boxes of the image; None for none
        encode: ``(n, 3, size, size)`` uint8 patches to ``(n, d)`` features
        home: device of the features

    Returns:
        ``(p, d)`` features of the cover's windows, and ``(m, d)`` of the boxes

    Raises:
        UnreadableImage: if the file turns out to be damaged
    """
    width, height = file.size
    own = np.empty((0, 4), np.int64) if cover is None else cover.boxes(width, height)
    more = own[:0] if boxes is None else boxes.windows[boxes.todo]
    windows, spec = np.concatenate([own, more]), backbone.patch_spec
    features = torch.zeros((len(windows), backbone.dim), device=home)
    flat = np.zeros(len(windows), bool)
    if not len(windows):
        return features, features
    factor, bands = file.bands(int(factors(windows, spec.size).min()))
    stored = file.stored(windows)
    found = crops(bands, *file.stored_size, stored, spec.size, factor)

    def patch(crop: tuple[int, np.ndarray]) -> tuple[int, Tensor]:
        row, pixels = crop[0], file.upright(crop[1])
        return row, _patch(pixels, spec, is_whole=row == 0 and bool(len(own)))

    def work(batch: tuple[np.ndarray, Tensor]) -> tuple[np.ndarray, Tensor]:
        return batch[0], encode(batch[1].to(backbone.device)).to(home)

    def detailed(batch: tuple[np.ndarray, Tensor]) -> tuple[np.ndarray, Tensor]:
        rows, patches = batch
        is_own = (rows > 0) & (rows < len(own))
        flat[rows] = is_own & (spread(patches) < flat_range(cover)).numpy()
        left = ~flat[rows]
        return rows[left], patches[torch.from_numpy(left)]

    threads = max(1, compute_threads() // torch.get_num_threads())
    with _alone, ThreadPoolExecutor(threads, "detail-huge") as pool:
        made = _batches(_ahead(pool, patch, found, 4 * threads), backbone.batch_size)
        if cover is not None and cover.skip_flat:
            made = (batch for batch in map(detailed, made) if len(batch[0]))
        if backbone.device.type == "cpu":
            made = _ahead(pool, work, made, threads)
        else:  # this thread has a stream of the device
            made = map(work, made)
        for rows, own_features in made:
            features[torch.from_numpy(rows).to(home)] = own_features
    if flat.any():
        stands = stand_ins(flat[: len(own)], parents(cover, width, height))
        features[: len(own)] = features[torch.from_numpy(stands).to(home)]
    return features[: len(own)], features[len(own) :]


def _patch(pixels: np.ndarray, spec: PatchSpec, is_whole: bool) -> Tensor:
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    if is_whole:
        return whole_image(image, spec)
    box = np.array([[0, 0, image.shape[2], image.shape[1]]])
    return extract_windows(image, box, spec)[0]


def _ahead(
    pool: ThreadPoolExecutor, do: Callable[[_Job], _Result], jobs: Iterable[_Job],
    most: int,
) -> Iterator[_Result]:
    """Does jobs in threads, some ahead of the one that is waited for."""
    ahead: deque[Future[_Result]] = deque()
    for job in jobs:
        ahead.append(pool.submit(do, job))
        if len(ahead) > most:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _batches(
    patches: Iterable[tuple[int, Tensor]], size: int
) -> Iterator[tuple[np.ndarray, Tensor]]:
    rest = iter(patches)
    while some := list(islice(rest, size)):
        rows, cut = zip(*some)
        yield np.array(rows), torch.stack(cut)
