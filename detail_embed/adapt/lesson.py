"""A word to learn, and which images show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from detail_embed.concepts import Example

MOST = 24  # examples of a word that are looked at
FEWEST = 3  # that a word is learned by, so that some can be held out


@dataclass(frozen=True, eq=False)
class Lesson:
    """A word and its examples among some images.

    Attributes:
        word: as a person would type it
        text: ``(d,)`` float32, unit length, as the model encodes it
        shows: by the number of an image that shows it, the feature ``(d,)`` of the
            patch that is meant; None where any patch of the image may be meant
        lacks: of images that were judged not to show it, likewise
    """

    word: str
    text: np.ndarray = field(repr=False)
    shows: Mapping[int, np.ndarray | None]
    lacks: Mapping[int, np.ndarray | None] = field(default_factory=dict)

    def positives(
        self, images: Sequence[np.ndarray], without: set[int], seed: int
    ) -> list[Example]:
        """Some of the examples, drawn at random where there are many.

        Args:
            images: ``(p, d)`` unit patch features of each
            without: numbers of images that are held out
            seed: of the draw
        """
        return _examples(self.shows, images, without, seed)

    def negatives(
        self, images: Sequence[np.ndarray], without: set[int], seed: int
    ) -> list[Example]:
        """Likewise, of what does not show it."""
        return _examples(self.lacks, images, without, seed)


def _examples(
    known: Mapping[int, np.ndarray | None], images: Sequence[np.ndarray],
    without: set[int], seed: int,
) -> list[Example]:
    numbers = [number for number in known if number not in without]
    if len(numbers) > MOST:
        numbers = np.random.default_rng(seed).permutation(numbers)[:MOST].tolist()
    return [
        Example(images[number]) if known[number] is None
        else Example(known[number][None], 0)
        for number in numbers
    ]
