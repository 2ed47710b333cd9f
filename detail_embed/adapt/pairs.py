"""Which crop is trained with which text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from detail_embed.adapt.crops import Cut

_AIMED = 2  # crops of an image that a text without a box is trained with
_NEGATIVES = 128  # texts of no crop of a step that it is compared with, too


@dataclass(frozen=True)
class Step:
    """What a step compares.

    Attributes:
        rows: crops
        texts: numbers of the texts
        fits: ``(b, t)`` bool, which text a crop shows
        unknown: ``(b, t)`` bool, which it may show
    """

    rows: np.ndarray
    texts: list[int]
    fits: Tensor
    unknown: Tensor


class Pairs:
    """The crops of images and their texts.

    Where texts have boxes, the crops that show them are known. Of a text that is said
    of an image as a whole, those that it fits best are taken, as the model sees it at
    the start of each pass: what other texts of the image fit better is not taken.

    Args:
        cut: crops
        texts: all texts
    """

    def __init__(self, cut: Cut, texts: Sequence[str], is_aimed: bool):
        number = {text: i for i, text in enumerate(texts)}
        self.shows = [[number[text] for text in shown] for shown in cut.texts]
        self.is_aimed, self._images, self._count = is_aimed, cut.images, len(texts)
        self._maybe: dict[int, set[int]] = defaultdict(set)
        if is_aimed:
            for image, shown in zip(cut.images.tolist(), self.shows):
                self._maybe[image].update(shown)

    def aim(self, crops: Tensor, texts: Tensor, scale: Tensor) -> None:
        """Chooses the crops of every text.

        Args:
            crops: ``(n, d)`` unit vectors of all crops
            texts: ``(t, d)`` unit vectors of all texts
            scale: of the scores
        """
        self.shows = [[] for _ in range(len(crops))]
        for image, said in self._maybe.items():
            rows = np.flatnonzero(self._images == image)
            numbers = sorted(said)
            scores = scale * crops[rows] @ texts[numbers].T
            owned = scores.log_softmax(dim=1)
            best = owned.topk(min(_AIMED, len(rows)), dim=0).indices.T.tolist()
            for text, places in zip(numbers, best):
                for place in places:
                    self.shows[rows[place]].append(text)

    def steps(self, size: int, rng: np.random.Generator) -> list[Step]:
        """One pass over the crops that show something, in a random order."""
        rows = np.array([i for i, shown in enumerate(self.shows) if shown])
        order = rng.permutation(rows)
        count = max(1, len(rows) // size)
        return [self._step(part, rng) for part in np.array_split(order, count)]

    def _step(self, rows: np.ndarray, rng: np.random.Generator) -> Step:
        used = sorted({text for row in rows for text in self.shows[row]})
        others = np.setdiff1d(np.arange(self._count), used)
        used += rng.permutation(others)[:_NEGATIVES].tolist()
        place = {text: i for i, text in enumerate(used)}
        fits = torch.zeros(len(rows), len(used), dtype=torch.bool)
        unknown = torch.zeros_like(fits)
        for i, row in enumerate(rows.tolist()):
            fits[i, [place[text] for text in self.shows[row]]] = True
            maybe = self._maybe.get(int(self._images[row]), ())
            unknown[i, [place[text] for text in maybe if text in place]] = True
        return Step(rows, used, fits, unknown)
