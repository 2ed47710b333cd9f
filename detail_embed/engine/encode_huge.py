"""Files that are too large to be decoded at once: patches are encoded as rows come.

In memory are the rows that windows still need, at most about four times the side of a
patch on each of the copies that :mod:`detail_embed.cover.bands` makes, and one batch
of patches; see ``docs/huge_images.md`` for what that is in bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.bands import crops, factors
from detail_embed.cover.flat_windows import FLAT_RANGE, parents, spread, stand_ins
from detail_embed.cover.patches import PatchSpec, extract_windows, whole_image
from detail_embed.engine.box_patches import BoxPatches
from detail_embed.images.huge_image import HugeImage

_AT_ONCE = 64  # patches that are encoded together, unless the backbone wants more


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
    found = crops(bands, width, height, windows, spec.size, factor)
    size = max(_AT_ONCE, backbone.batch_size)
    for rows, patches in _batches(_cut(found, spec, bool(len(own))), size):
        if cover is not None and cover.skip_flat:
            is_own = (rows > 0) & (rows < len(own))
            flat[rows] = is_own & (spread(patches) < FLAT_RANGE).numpy()
        left = ~flat[rows]
        rows, patches = rows[left], patches[torch.from_numpy(left)]
        if len(rows):
            made = encode(patches.to(backbone.device))
            features[torch.from_numpy(rows).to(home)] = made.to(home)
    if flat.any():
        stands = stand_ins(flat[: len(own)], parents(cover, width, height))
        features[: len(own)] = features[torch.from_numpy(stands).to(home)]
    return features[: len(own)], features[len(own) :]


def _cut(
    found: Iterable[tuple[int, np.ndarray]], spec: PatchSpec, has_whole: bool
) -> Iterator[tuple[int, Tensor]]:
    """Makes windows patches, some in threads ahead of what is encoded."""

    def patch(row: int, pixels: np.ndarray) -> tuple[int, Tensor]:
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        if row == 0 and has_whole:
            return row, whole_image(image, spec)
        box = np.array([[0, 0, image.shape[2], image.shape[1]]])
        return row, extract_windows(image, box, spec)[0]

    ahead: deque[Any] = deque()
    threads = max(1, torch.get_num_threads())
    with ThreadPoolExecutor(threads, thread_name_prefix="detail-cut") as pool:
        for row, pixels in found:
            ahead.append(pool.submit(patch, row, pixels))
            if len(ahead) > 4 * threads:
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
