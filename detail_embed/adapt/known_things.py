"""What a model knew before: pictures of named things that come with this package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from detail_embed.adapt.towers import Towers
from detail_embed.clver_ds import things
from detail_embed.texts.templates import TEMPLATES
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.texts.wordings import base_form

_NOUN = TEMPLATES[1:2]
_NOUNS = 1000
_SIDE = 0.875  # of a thing in its picture
_BLOTS = 6  # of a background, along a side


class Things:
    """Pictures of things, each with its name, on soft backgrounds.

    Args:
        size: of the pictures, in pixels
        texts: of the user; what they name is left out
    """

    def __init__(self, size: int, texts: Sequence[str]):
        taken = {base_form(text) for text in texts}
        self.names = [n for n in things.names() if base_form(n) not in taken]
        rng = np.random.default_rng(0)
        pixels = np.stack([_picture(name, size, rng) for name in self.names])
        self._pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, rows: Sequence[int]) -> torch.Tensor:
        """Some pictures, ``(b, 3, size, size)`` uint8."""
        return self._pixels[list(rows)]

    def told(self, towers: Towers) -> np.ndarray:
        """Of each thing whether a model finds its name among all: ``(n,)`` float."""
        scores = towers.all_images(self) @ towers.all_texts(self.names, _NOUN).T
        best = scores.argmax(dim=1).cpu().numpy()
        return (best == np.arange(len(self))).astype(float)


def other_nouns(texts: Sequence[str]) -> list[str]:
    """The commonest nouns that are neither known things nor among some texts."""
    taken = {base_form(text) for text in (*texts, *things.names())}
    nouns = Vocabulary.nouns(_NOUNS).words
    return [noun for noun in nouns if base_form(noun) not in taken]


def _picture(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    blots = rng.integers(40, 230, (_BLOTS, _BLOTS, 3), dtype=np.uint8)
    picture = Image.fromarray(blots).resize((size, size), Image.Resampling.BICUBIC)
    side = round(_SIDE * size)
    thing = Image.fromarray(things.cutout(name)).resize((side, side))
    place = tuple(rng.integers(0, size - side + 1, 2).tolist())
    picture.paste(thing.convert("RGB"), place, thing)
    return np.asarray(picture)
