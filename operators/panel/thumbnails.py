"""Small pictures of images as data URLs, which a panel can show."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont, ImageOps

from detail_embed.images.cpus import cpus
from detail_embed.images.decode import upright_rgb
from detail_embed.images.huge_image import as_huge, see
from detail_embed.images.image_file import open_with_file
from detail_embed.images.in_time import each_once

SIDE = 132  # pixels
_KEPT = 2048
_SECONDS = 10.0  # that a file is waited for
_AROUND = 1.3  # sides of a part that are shown of it and around it
_TAG, _FRAME, _BLANK = (20, 20, 20), (255, 109, 4), (64, 64, 64)


def draw(
    paths: Sequence[str],
    tags: Sequence[str] = (),
    framed: Sequence[bool] = (),
    boxes: Sequence[Sequence[Sequence[float]]] = (),
) -> list[str]:
    """Makes square pictures, several at a time, each of a whole image.

    Args:
        paths: ``n`` image files; one that cannot be read, or hangs, is grey
        tags (()): short texts in their corners
        framed (()): whether a picture has a frame
        boxes (()): left, top, width and height of the parts of each image that are
            outlined, as shares of it

    Returns:
        ``n`` data URLs of JPEGs
    """
    tags = tags or [""] * len(paths)
    framed = framed or [False] * len(paths)
    boxes = boxes or [()] * len(paths)
    pictures = _all(_shrink, [(path,) for path in paths])
    return [_finish(*picture) for picture in zip(pictures, tags, framed, boxes)]


def crops(
    paths: Sequence[str],
    boxes: Sequence[Sequence[float] | None],
    tags: Sequence[str] = (),
) -> list[str]:
    """Makes square pictures of parts of images, with some of what is around them.

    Args:
        paths: ``n`` image files; one that cannot be read, or hangs, is grey
        boxes: left, top, width and height of the part, as shares of the image; None for
            the whole
        tags (()): short texts in their corners

    Returns:
        ``n`` data URLs of JPEGs
    """
    tags = tags or [""] * len(paths)
    pictures = _all(_cut, list(zip(paths, boxes)))
    return [_finish(*picture, False, ()) for picture in zip(pictures, tags)]


class _Part(tuple):
    """A file, and a box where a part of it is wanted."""

    def __str__(self) -> str:
        return self[0]


def _all(
    make: Callable[..., Image.Image], wanted: Sequence[tuple]
) -> list[Image.Image]:
    """Makes pictures; of what hangs, or has hung and did not come yet, grey ones."""
    return list(each_once(
        lambda part: make(*part), map(_Part, wanted), lambda part: _blank(), _SECONDS,
        cpus() + 4,
    ))


def _blank() -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), _BLANK)


def _cut(path: str, box: Sequence[float] | None) -> Image.Image:
    try:
        return _read_part(path, os.stat(path).st_mtime_ns, box and tuple(box))
    except Exception:  # Pillow's decoders raise errors of any kind
        return _blank()


@lru_cache(_KEPT)
def _read_part(
    path: str, modified: int, box: tuple[float, ...] | None
) -> Image.Image:
    if box is None:
        return _read(path, modified)
    whole = see(path)
    width, height = whole.size
    x, y, w, h = box
    half = _AROUND * max(w * width, h * height) / 2
    across, down = (x + w / 2) * width, (y + h / 2) * height
    part = whole.crop(
        (
            max(0, round(across - half)), max(0, round(down - half)),
            min(width, round(across + half) + 1), min(height, round(down + half) + 1),
        )
    )
    return ImageOps.contain(part, (SIDE, SIDE))


def _shrink(path: str) -> Image.Image:
    try:
        return _read(path, os.stat(path).st_mtime_ns)
    except Exception:  # Pillow's decoders raise errors of any kind
        return _blank()


@lru_cache(_KEPT)
def _read(path: str, modified: int) -> Image.Image:
    with open_with_file(path, max_pixels=None) as (image, file):
        huge = as_huge(path, image, file)
        if huge is not None:
            return huge.crop(side=SIDE)
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        return ImageOps.contain(upright_rgb(image), (SIDE, SIDE))


def _finish(
    image: Image.Image, tag: str, framed: bool, boxes: Sequence[Sequence[float]]
) -> str:
    picture = Image.new("RGB", (SIDE, SIDE), _TAG)
    corner = (SIDE - image.width) // 2, (SIDE - image.height) // 2
    picture.paste(image, corner)
    pen = ImageDraw.Draw(picture)
    for box in boxes:
        _outline(pen, box, corner, image.size)
    if framed:
        pen.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=_FRAME, width=5)
    if tag:
        font = ImageFont.load_default(16)
        right, bottom = pen.textbbox((9, 7), tag, font=font)[2:]
        pen.rectangle((5, 5, right + 4, bottom + 4), fill=_FRAME if framed else _TAG)
        pen.text((9, 7), tag, font=font, fill="white")
    file = BytesIO()
    picture.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _outline(
    pen: ImageDraw.ImageDraw, box: Sequence[float], corner: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Draws a box in white with a dark edge, so that it is seen on any picture."""
    x, y, w, h = box
    left, top = corner[0] + x * size[0], corner[1] + y * size[1]
    right, bottom = left + w * size[0], top + h * size[1]
    pen.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=_TAG, width=1)
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="white", width=2)
