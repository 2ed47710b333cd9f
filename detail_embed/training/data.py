"""Where the patch features of a training come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.cover.patches import relative_boxes
from detail_embed.features import FeatureStore

Batch = tuple[Tensor, Tensor, Tensor | None]


class Source(Protocol):
    """Images by number."""

    def __len__(self) -> int:
        """How many images there are."""

    def batch(self, rows: Sequence[int]) -> Batch:
        """Features ``(b, p, d)``, mask ``(b, p)`` and boxes ``(b, p, 4)`` or None."""


class InMemory:
    """Images whose features are at hand.

    Args:
        features: ``(n, p, d)`` unit features of any float type, row 0 the whole image
        mask (None): ``(n, p)`` bool, the valid rows
        boxes (None): ``(n, p, 4)`` fractions of width and height
    """

    def __init__(
        self, features: Tensor, mask: Tensor | None = None, boxes: Tensor | None = None
    ):
        self._features, self._boxes = features, boxes
        if mask is None:
            mask = features.new_ones(features.shape[:2], dtype=torch.bool)
        self._mask = mask

    def __len__(self) -> int:
        return len(self._features)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Takes images by number; see :class:`Source`."""
        rows = torch.as_tensor(rows, device=self._features.device)
        boxes = None if self._boxes is None else self._boxes[rows]
        return self._features[rows].float(), self._mask[rows], boxes


class Stored:
    """Images of a feature store.

    Args:
        store: patch features
        ids (None): which images; all by default

    Raises:
        KeyError: if an image is not in the store
    """

    def __init__(self, store: FeatureStore, ids: Sequence[str] | None = None):
        self._store = store
        self._ids = list(store.ids if ids is None else ids)
        missing = [id for id in self._ids if id not in store]
        if missing:
            raise KeyError(f"{len(missing)} images are not in the store: {missing[0]}")

    def __len__(self) -> int:
        return len(self._ids)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Reads images by number; see :class:`Source`."""
        images = [self._store[self._ids[row]] for row in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        features = pad([image.features for image in images], batch_first=True)
        counts = torch.tensor([len(image.features) for image in images])
        mask = torch.arange(features.shape[1]) < counts[:, None]
        boxes = pad([relative_boxes(image.boxes) for image in images], batch_first=True)
        return F.normalize(features, dim=2), mask, boxes


def split(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the images to train on, and of those held out."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator).tolist()
    held_out = min(max(round(count * share), 4), count - 4)
    return sorted(order[held_out:]), sorted(order[:held_out])


def spread(rows: list[int], count: int) -> list[int]:
    """At most so many rows, evenly spaced."""
    step = max(1, math.ceil(len(rows) / count))
    return rows[::step]
