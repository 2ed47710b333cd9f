"""The crops that a backbone is trained on and judged by, in a file."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detail_embed.adapt.pictures import Picture
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import PatchSpec, extract_patches
from detail_embed.images.huge_image import HugeImage
from detail_embed.images.reader import read_images
from detail_embed.storage.whole_files import megabytes, whole_file, write_whole

VIEWS = 4  # windows of a box
_INSIDE = 0.5  # share of a box in a window that shows it
_VISIBLE = 0.15  # side of a box in a window, of the window's
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TOO_LARGE = "it has too many pixels to be read at once"


@dataclass(frozen=True)
class Cut:
    """Crops of images.

    Attributes:
        pixels: ``(n, 3, size, size)`` uint8, read from a file as they are needed
        images: for each crop, which of the pictures it is of
        texts: for each crop, the texts that it shows; of a whole image or any window
            of it, those that are said of the image
        skipped: pictures that could not be read, with the reason
        key: says of what they were cut, and how
    """

    pixels: np.ndarray
    images: np.ndarray
    texts: list[list[str]]
    skipped: list[tuple[str, str]]
    key: str

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, rows: Sequence[int]) -> Tensor:
        """Some crops, ``(b, 3, size, size)`` uint8."""
        return torch.from_numpy(np.stack([self.pixels[row] for row in rows]))


def cut(
    pictures: Sequence[Picture], cover: CompleteCover, spec: PatchSpec, path: Path,
    every: bool,
) -> Iterator[int]:
    """Cuts crops into a file, and says after each image how many are done.

    Nothing is done where the file is there, of the same; :func:`load` reads it.

    Args:
        pictures: the images
        cover: whose windows the crops are
        spec: what the backbone wants
        path: of the file; beside it another says what the crops show
        every: whether to take all windows, as of images to judge by; else those that
            show a text best, up to four for each box

    Raises:
        RuntimeError: if the disk is full
    """
    asked = repr([list(pictures), cover.slug, spec, every])
    key = hashlib.sha256(asked.encode()).hexdigest()[:12]
    if _facts(path).is_file() and load(path).key == key:
        return
    _facts(path).unlink(missing_ok=True)  # they would say what new crops are not
    images, texts, skipped = [], [], []
    try:
        with whole_file(path) as partial, partial.open("wb") as file:
            read = read_images([picture.path for picture in pictures])
            with closing(read):
                for number, (picture, found) in enumerate(zip(pictures, read)):
                    if found.error or isinstance(found.pixels, HugeImage):
                        why = found.error.reason if found.error else _TOO_LARGE
                        skipped.append((picture.path, why))
                    else:
                        image = torch.from_numpy(found.pixels).permute(2, 0, 1)
                        height, width = found.pixels.shape[:2]
                        shown = windows(picture, cover, width, height, every)
                        crops = extract_patches(image, cover, spec)[list(shown)]
                        file.write(crops.numpy().tobytes())
                        images += [number] * len(shown)
                        texts += list(shown.values())
                    yield number + 1
        facts = {"size": spec.size, "images": images, "texts": texts,
                 "skipped": skipped, "key": key}
        write_whole(_facts(path), json.dumps(facts))
    except OSError as error:
        raise full(path.parent, error) from error


def load(path: Path) -> Cut:
    """Reads what :func:`cut` wrote."""
    facts = json.loads(_facts(path).read_text("utf-8"))
    shape = (len(facts["images"]), 3, facts["size"], facts["size"])
    pixels = np.empty(shape, np.uint8)
    if shape[0]:
        pixels = np.memmap(path, np.uint8, "r", shape=shape)
    return Cut(
        pixels, np.array(facts["images"], int), facts["texts"],
        [tuple(one) for one in facts["skipped"]], facts["key"],
    )


def windows(
    picture: Picture, cover: CompleteCover, width: int, height: int, every: bool
) -> dict[int, list[str]]:
    """Which windows of an image are crops, and what each shows.

    Args:
        picture: the image
        cover: of which the windows are
        width: of the upright image in pixels
        height: likewise
        every: whether to take all windows

    Returns:
        texts by the row of the window
    """
    whole = [said.text for said in picture.said if said.box is None]
    boxed = [said for said in picture.said if said.box is not None]
    places = cover.boxes(width, height).astype(float)
    if not boxed:
        rows = range(len(places)) if every else [0]
        return {row: whole for row in rows}
    left, top, wide, high = np.array([said.box for said in boxed], float).T
    boxes = np.stack([left, top, left + wide, top + high], axis=1)
    boxes = boxes * np.array([width, height, width, height])
    shared, area = _overlap(places, boxes), _area(boxes)
    sides = np.sqrt(area[None] / _area(places)[:, None])
    shows = (shared >= _INSIDE * area) & (sides >= _VISIBLE)
    if every:
        rows = np.arange(len(places))
    else:
        fit = shared / (_area(places)[:, None] + area[None] - shared)
        best = np.argsort(-fit, axis=0, kind="stable")
        rows = np.unique(best[:VIEWS][_good(fit, shows, best)])
    found = {}
    for row in rows.tolist():
        shown = [said.text for said, is_shown in zip(boxed, shows[row]) if is_shown]
        found[row] = list(dict.fromkeys([*whole, *shown] if every else shown))
    if whole and not every:
        found[0] = list(dict.fromkeys(whole + found.get(0, [])))
    return found


def full(folder: Path, error: Exception) -> Exception:
    """What to say of a file that could not be written."""
    code = getattr(error, "errno", None)
    if code not in _FULL and "No space left" not in str(error):
        return error
    free = megabytes(shutil.disk_usage(folder).free)
    return RuntimeError(
        f"the disk of {folder} is full ({free} free): make room and start the training "
        "again, it goes on where it was; or set DETAIL_EMBED_DATA to another folder"
    )


def _good(fit: np.ndarray, shows: np.ndarray, best: np.ndarray) -> np.ndarray:
    """The best window of each box, and of the next three those that show it, too."""
    good = np.take_along_axis(shows, best[:VIEWS], axis=0)
    good[0] = True
    return good


def _overlap(windows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    low = np.maximum(windows[:, None, :2], boxes[None, :, :2])
    high = np.minimum(windows[:, None, 2:], boxes[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def _facts(path: Path) -> Path:
    return path.with_suffix(".json")
