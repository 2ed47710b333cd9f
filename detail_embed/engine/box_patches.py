"""Known boxes of images, such as labels: patches beside those of the cover."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detail_embed.cover.squares import square_windows
from detail_embed.features.packing import StoredImage

_BLOCK = 256  # images whose boxes are asked for at once

_Item = tuple[Hashable, str | Path]


@dataclass(frozen=True)
class ImageBoxes:
    """The boxes of an image, and what is known of them.

    Attributes:
        ids: of the ``n`` boxes
        boxes: ``(n, 4)`` left, top, width and height as shares of the upright image;
            NaN where there is no number
        known: ``(d,)`` float32 features, of the boxes that need not be encoded, by id
    """

    ids: Sequence[str] = ()
    boxes: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))
    known: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Boxes:
    """Where the boxes of images are, and how much is added around each.

    Attributes:
        read: gives the boxes of images, by id; called with a few hundred at a time
        padding: share of a box's longer side, see :func:`.square_windows`
        most: of an image that are used; None for all
    """

    read: Callable[[Sequence[Hashable]], dict[Hashable, ImageBoxes]]
    padding: float
    most: int | None = None

    def beside(
        self, items: Iterable[_Item]
    ) -> Iterator[tuple[Hashable, str | Path, ImageBoxes]]:
        """Puts their boxes beside items, which are consumed as needed."""
        rest = iter(items)
        while block := list(islice(rest, _BLOCK)):
            found = self.read([id for id, _ in block])
            for id, path in block:
                yield id, path, found.get(id, ImageBoxes())

    def windows(self, asked: ImageBoxes, width: int, height: int) -> BoxPatches:
        """Finds the windows of an image's boxes, and which are to be encoded.

        Args:
            asked: the boxes
            width: of the upright image in pixels
            height: as the width
        """
        windows, reasons = square_windows(asked.boxes, width, height, self.padding)
        if self.most is not None:
            good = [row for row, reason in enumerate(reasons) if reason is None]
            for row in good[self.most :]:
                reasons[row] = f"its image has more than {self.most:,} boxes"
        return BoxPatches(asked, self.padding, windows, reasons)


@dataclass(frozen=True)
class BoxPatches:
    """The boxes of an image as patches.

    Attributes:
        asked: the boxes
        padding: that was added around each
        windows: ``(n, 4)`` int64 in pixels; of those without a reason
        reasons: why a box cannot be used, in words, None for a good one
        encoded: ``(m, d)`` features of those in :attr:`todo`; None before they are
            encoded
    """

    asked: ImageBoxes
    padding: float
    windows: np.ndarray
    reasons: list[str | None]
    encoded: Tensor | None = None

    @property
    def good(self) -> list[int]:
        """The rows of the boxes that can be used."""
        return [row for row, reason in enumerate(self.reasons) if reason is None]

    @property
    def todo(self) -> list[int]:
        """The rows of those whose feature is not known yet."""
        ids, known = self.asked.ids, self.asked.known
        return [row for row in self.good if ids[row] not in known]

    def features(self, device: torch.device | None) -> Tensor:
        """The features of the good boxes, known and encoded: ``(g, d)`` float32."""
        ids, known = self.asked.ids, self.asked.known
        rows = {row: torch.from_numpy(np.array(known[ids[row]], np.float32))
                for row in self.good if ids[row] in known}
        if self.encoded is not None:
            rows |= dict(zip(self.todo, self.encoded))
        if not rows:
            return torch.empty((0, self.encoded.shape[1]), device=device)
        return torch.stack([rows[row].to(device) for row in self.good])

    def with_encoded(self, features: Tensor) -> BoxPatches:
        """The same with features of those in :attr:`todo`."""
        return dataclasses.replace(self, encoded=features)


def joined(image: StoredImage, boxes: BoxPatches | None) -> StoredImage:
    """An image's patches with those of its boxes behind them.

    The level of a box's window is 0: it is none of the cover's.
    """
    if boxes is None or not (good := boxes.good):
        return image
    device = image.features.device
    return dataclasses.replace(
        image,
        features=torch.cat([image.features, boxes.features(device)]),
        boxes=np.concatenate([image.boxes, boxes.windows[good]]),
        levels=np.concatenate([image.levels, np.zeros(len(good), int)]),
    )
