"""Images to fused vectors: what the engine hands out at a time."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from detail_embed.cover.patches import relative, relative_boxes
from detail_embed.engine.box_patches import BoxPatches, joined
from detail_embed.features.packing import StoredImage
from detail_embed.fusers.base import Fuser
from detail_embed.images.file_source import FileSource

logger = logging.getLogger(__name__)

_FUSE_PATCHES = 4096


@dataclass
class Chunk:
    """What the engine has finished since the chunk before.

    Attributes:
        ids: the ``n`` items that have vectors
        vectors: ``(n, d)`` float32 detail embeddings, unit length; ``(n, k, d)``
            where the fuser makes k of them
        global_vectors: ``(n, d)`` float32 features of the whole images alone,
            unit length
        errors: the items that have none
        patches: of each image, what its k vectors stand for; empty where the fuser
            makes one vector
        single_vectors: ``(n, d)`` float32, unit length, of a fuser that makes one
            vector beside the k of the other; None where there is none
        sources: what the ``n`` files were, None where that is not known
        boxes: the known boxes of each image; empty where none were asked for
    """

    ids: list[Hashable]
    vectors: np.ndarray
    global_vectors: np.ndarray
    errors: list[EmbedError]
    patches: list[ImagePatches] = field(default_factory=list)
    single_vectors: np.ndarray | None = None
    sources: list[FileSource | None] = field(default_factory=list)
    boxes: list[BoxPatches] = field(default_factory=list)


def make_chunk(
    images: list[StoredImage],
    fuser: Fuser,
    single: Fuser | None = None,
    boxes: Sequence[BoxPatches] = (),
) -> Chunk:
    """Fuses the features of images.

    Args:
        images: those that have features, in any order, with the cover's patches
        fuser: a fitted fuser
        single (None): a fitted fuser of one vector, for another beside the first
        boxes (()): known boxes of each image, which are patches, too; or of none
    """
    if boxes:
        images = [joined(image, own) for image, own in zip(images, boxes)]
    whole = np.zeros((0, fuser.dim), np.float32)
    if images:
        whole = torch.stack([image.features[0] for image in images]).cpu().numpy()
    ids = [image.id for image in images]
    vectors, chosen = _fuse(images, fuser)
    patches = [
        distinct(some, places, image.boxes, image.levels)
        for some, places, image in zip(vectors, chosen, images)
    ]
    more = None if single is None else _fuse(images, single)[0]
    sources = [image.source for image in images]
    return Chunk(ids, vectors, whole, [], patches, more, sources, list(boxes))


def unit(image: StoredImage, device: torch.device | None) -> StoredImage:
    """Undoes what rounding did to the lengths of stored features."""
    features = F.normalize(image.features.to(device), dim=1)
    return dataclasses.replace(image, features=features)


def _fuse(
    images: list[StoredImage], fuser: Fuser
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Fuses the features of ``n`` images, those with equal numbers of them together.

    Returns:
        ``(n, d)`` or ``(n, k, d)`` vectors, and ``n`` times the ``(k,)`` patches that
        they stand for, or none
    """
    vectors = np.empty((len(images), *fuser.shape), np.float32)
    chosen: dict[int, np.ndarray] = {}
    by_windows: dict[int, list[int]] = {}
    for index, image in enumerate(images):
        by_windows.setdefault(len(image.features), []).append(index)
    for count, members in by_windows.items():
        step = max(1, _FUSE_PATCHES // count)
        for start in range(0, len(members), step):
            some = members[start : start + step]
            features, boxes = torch.stack([images[i].features for i in some]), None
            if fuser.uses_boxes:
                boxes = [relative_boxes(images[i].boxes) for i in some]
                boxes = torch.stack(boxes).to(features)
            with torch.inference_mode():
                fused = fuser.fuse(features, boxes=boxes)
            vectors[some] = fused.vectors.cpu().numpy().reshape(-1, *fuser.shape)
            if fused.patches is not None:
                chosen.update(zip(some, fused.patches.cpu().numpy()))
    return vectors, [chosen[i] for i in range(len(chosen))]


@dataclass(frozen=True)
class EmbedError:
    """A file that could not be embedded.

    Attributes:
        id: of the item
        path: of the file
        reason: why, in words
    """

    id: Hashable
    path: str
    reason: str


class SkipLog:
    """Logs the first files of a run as warnings, the others as debug messages.

    Args:
        most (20): how many as warnings
    """

    def __init__(self, most: int = 20) -> None:
        self._count, self._most = 0, most

    def add(self, errors: Iterable[EmbedError]) -> None:
        """Logs files."""
        for error in errors:
            self._count += 1
            level = logging.WARNING if self._count <= self._most else logging.DEBUG
            logger.log(level, "Skipped %r: %s", error.path, error.reason)
            if self._count == self._most:
                logger.warning("Further files that cannot be read are not logged")


@dataclass(frozen=True)
class ImagePatches:
    """The vectors of an image and the windows they stand for, without repeats.

    Attributes:
        vectors: ``(m, d)`` float32, m at most k
        boxes: ``(m, 4)`` float64, left, top, width and height as shares of the image
        levels: ``(m,)`` int, the cover's level of each window
    """

    vectors: np.ndarray
    boxes: np.ndarray
    levels: np.ndarray


def distinct(
    vectors: np.ndarray, chosen: np.ndarray, boxes: np.ndarray, levels: np.ndarray
) -> ImagePatches:
    """Joins vectors with their windows; of those with the same window, the first.

    Args:
        vectors: ``(k, d)`` float32
        chosen: ``(k,)`` the patch of each
        boxes: ``(p, 4)`` of the image's patches, ``x0, y0, x1, y1`` in pixels, row 0
            the whole image
        levels: ``(p,)`` of the image's patches
    """
    first = np.sort(np.unique(chosen, return_index=True)[1])
    patches = chosen[first]
    return ImagePatches(vectors[first], relative(boxes, patches), levels[patches])
