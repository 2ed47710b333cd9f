"""What a backbone is adapted to: images and what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]

MIN_PICTURES = 20
_HELD_OUT = 0.2


@dataclass(frozen=True)
class Said:
    """A text about an image.

    Attributes:
        text: the name of a class, or a caption
        box: of what it names: left, top, width and height as shares of the upright
            image; None for the whole image
    """

    text: str
    box: Box | None = None


@dataclass(frozen=True)
class Picture:
    """An image file and what is said of it.

    Attributes:
        path: of the file
        said: texts about it, at least one
    """

    path: str
    said: tuple[Said, ...]


def check_pictures(pictures: Sequence[Picture], source: str) -> None:
    """Checks that something can be learned from images and texts.

    Args:
        pictures: the images
        source: where the texts come from, for messages

    Raises:
        ValueError: naming what is missing and what to do
    """
    texts = Counter(said.text for picture in pictures for said in picture.said)
    if not texts:
        raise ValueError(
            f"{source} says nothing of these images: all of it is empty. Write "
            "captions, or draw labels, for some of them first"
        )
    if any(not text.strip() for text in texts):
        raise ValueError(f"{source} has an empty text: leave it out")
    if len(texts) == 1:
        raise ValueError(
            f"{source} says the same of every image, {next(iter(texts))!r:.80}: with "
            "one text there is nothing to tell apart. Give at least two classes, or "
            "captions that differ"
        )
    if len(pictures) < MIN_PICTURES:
        raise ValueError(
            f"{source} says something of {len(pictures)} images only, which are too "
            f"few to learn from and to judge by: give at least {MIN_PICTURES}, better "
            "some hundreds"
        )


def split(
    pictures: Sequence[Picture], seed: int
) -> tuple[list[Picture], list[Picture]]:
    """Images to train on, and a fifth that are held out, in the order given."""
    import numpy as np

    count = max(4, round(_HELD_OUT * len(pictures)))
    order = np.random.default_rng(seed).permutation(len(pictures))
    held_out = set(order[:count].tolist())
    train = [p for i, p in enumerate(pictures) if i not in held_out]
    return train, [p for i, p in enumerate(pictures) if i in held_out]


def texts_of(pictures: Sequence[Picture]) -> list[str]:
    """The different texts, in the order of their first appearance."""
    return list(dict.fromkeys(said.text for p in pictures for said in p.said))
