"""What a model knew before: named things that come with this package.

Each is put into windows of the user's held-out images, where it covers a smaller part,
as a small thing does in a window of the cover.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from detail_embed.adapt.crops import Cut
from detail_embed.adapt.towers import Towers
from detail_embed.clver_ds import things
from detail_embed.texts.templates import TEMPLATES
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.texts.wordings import base_form

_NOUN = TEMPLATES[1:2]
_NOUNS = 1000
_SIDES = 0.35, 0.7  # of a thing in its window
_EACH = 2  # windows of a thing


class Things:
    """Windows of images with named things in them, two of each of ``n`` things.

    Args:
        cut: windows of the images
        texts: of the user; what they name is left out
    """

    def __init__(self, cut: Cut, texts: Sequence[str]):
        taken = {base_form(text) for text in texts}
        self.names = [n for n in things.names() if base_form(n) not in taken]
        rng = np.random.default_rng(0)
        rows = rng.integers(len(cut), size=_EACH * len(self.names))
        self._pixels = torch.from_numpy(np.stack([
            _with_thing(name, cut.pixels[row], rng)
            for name, row in zip(self.names * _EACH, rows)
        ]))

    def __len__(self) -> int:
        return len(self._pixels)

    def batch(self, rows: Sequence[int]) -> Tensor:
        """Some windows, ``(b, 3, size, size)`` uint8."""
        return self._pixels[list(rows)]

    def found(self, towers: Towers, others: Tensor) -> np.ndarray:
        """How well names find the windows with their things.

        Args:
            towers: the model
            others: ``(m, d)`` of windows without things put into them

        Returns:
            ``(n,)`` float64, for each name the mean reciprocal rank of its windows,
            each among those with other things and all others; equal scores count
            against it, and so do NaNs
        """
        names = towers.all_texts(self.names, _NOUN)
        near = towers.all_images(self) @ names.T
        own = near.view(_EACH, len(names), -1).diagonal(dim1=1, dim2=2)
        rivals = torch.cat([near, others @ names.T])
        ranks = []
        for scores in own:
            above, own_above = (~(s < scores) for s in (rivals, own))
            ranks.append(above.sum(dim=0) - own_above.sum(dim=0) + 1)
        return (1 / torch.stack(ranks).double()).mean(dim=0).cpu().numpy()


def other_nouns(texts: Sequence[str]) -> list[str]:
    """The commonest nouns that are neither known things nor among some texts."""
    taken = {base_form(text) for text in (*texts, *things.names())}
    nouns = Vocabulary.nouns(_NOUNS).words
    return [noun for noun in nouns if base_form(noun) not in taken]


def _with_thing(
    name: str, window: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A window ``(3, size, size)`` uint8 with a thing somewhere in it."""
    picture = Image.fromarray(np.asarray(window).transpose(1, 2, 0))
    side = round(rng.uniform(*_SIDES) * picture.width)
    thing = Image.fromarray(things.cutout(name)).resize((side, side))
    place = tuple(rng.integers(0, picture.width - side + 1, 2).tolist())
    picture.paste(thing.convert("RGB"), place, thing)
    return np.asarray(picture).transpose(2, 0, 1)
