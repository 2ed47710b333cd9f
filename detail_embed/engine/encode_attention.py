"""Files to heat maps of where a model looks in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from detail_embed.backbone import Backbone
from detail_embed.backbone.attention_maps import LAST, attention_maps, check_attention
from detail_embed.cover import CompleteCover
from detail_embed.cover.laid_over import lay_over
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.device_memory import released_after
from detail_embed.engine.encode_files import Item
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.images.reader import Decoded, read_images


@dataclass(frozen=True)
class Attention:
    """Where a model looks in a file, or the reason why that is not known.

    Attributes:
        item: id and path
        heat: ``(h, w)`` float32, 0 to 1, in the image's aspect ratio; 1 where it looks
            most. None where the file could not be read
        reason: why, in words, or None
    """

    item: Item
    heat: np.ndarray | None = None
    reason: str | None = None


def iter_attention(
    items: Iterable[Item],
    backbone: Backbone,
    cover: CompleteCover,
    way: str = LAST,
    options: EncodeOptions = DEFAULT,
) -> Iterator[Attention]:
    """Looks where a model looks in files.

    Args:
        items: ``(id, path)`` pairs, consumed as needed
        backbone: the model
        cover: the windows in which it looks, their maps laid over each other;
            ``CompleteCover("none")`` for a look at the whole image alone
        way ("last"): see :mod:`.attention_maps`
        options (DEFAULT): threads, pixel limit and time to read

    Yields:
        an :class:`Attention` for every item, in their order

    Raises:
        ValueError: if the model has no attention to be shown, or an argument is wrong
    """
    check_attention(backbone, way)
    known: deque[Item] = deque()

    def paths() -> Iterator[str]:
        for item in items:
            known.append(item)
            yield str(item[1])

    files = read_images(
        paths(), options.num_workers, max_pixels=options.max_pixels,
        read_seconds=options.read_seconds,
    )
    with released_after(backbone), closing(files):
        for file in files:
            item, reason = known.popleft(), _reason(file, options.max_pixels)
            heat = None if reason else _heat(file.pixels, backbone, cover, way)
            yield Attention(item, heat, reason)


def _reason(file: Decoded, max_pixels: int) -> str | None:
    if file.error is not None:
        return file.error.reason
    height, width = file.pixels.shape[:2]
    if isinstance(file.pixels, np.ndarray):
        return None
    return (
        f"has {width} x {height} pixels, more than the {max_pixels} allowed: raise "
        "max_pixels, or make it smaller"
    )


def _heat(
    pixels: np.ndarray, backbone: Backbone, cover: CompleteCover, way: str
) -> np.ndarray:
    height, width = pixels.shape[:2]
    image = torch.from_numpy(pixels).to(backbone.device).permute(2, 0, 1)
    patches = extract_patches(image, cover, backbone.patch_spec)
    maps = attention_maps(backbone, patches, way).cpu().numpy()
    windows = cover.boxes(width, height), cover.levels(width, height)
    heat = lay_over(maps, *windows, backbone.patch_spec)
    return heat / max(heat.max(), np.finfo(np.float32).tiny)
