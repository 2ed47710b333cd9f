"""The scenes that scores are compared on: those to tune on, and others to judge by.

No word, no background and no scene is in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._league.data import SEEN_KINDS, Scenes, SceneSet, make
from detail_embed.backbone import Backbone
from detail_embed.clver_ds import concepts
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS
from detail_embed.cover import CompleteCover

BATCH = 50
_WORDS = 30  # of the scenes in which pairs stand: each pair is in about 4 % of them
_ALONE = {"objects": (1, 1), "scale_range": (0.02, 0.08)}


@dataclass(frozen=True)
class Side:
    """Scenes to tune on, or to judge by.

    Attributes:
        many: with four to eight of all things
        few: with four to eight of 30 things, so that pairs are shown
        one: with one small thing
        group: of the words that are asked for
    """

    many: Scenes
    few: Scenes
    one: Scenes
    group: str


class World:
    """Both sides, made and encoded where they are not yet.

    Args:
        home: where scenes and features are kept
        share: of the number of scenes
    """

    def __init__(self, home: Path, share: float) -> None:
        self._home, self._share = home, share
        self.backbone = Backbone.load("detail-demo", device="cpu")
        self.cover = CompleteCover(10)

    def side(self, is_tuning: bool) -> Side:
        """One of the two."""
        group = "proxy" if is_tuning else "held-out"
        kinds = SEEN_KINDS if is_tuning else UNSEEN_KINDS
        seed, n = (1751, 60) if is_tuning else (1761, 150)
        words = [c.name for c in concepts("things") if c.held_out != is_tuning]
        words = [word for word in words if " and " not in word and " with " not in word]
        some = np.random.default_rng(seed).choice(words, _WORDS, replace=False).tolist()
        name = "tuning" if is_tuning else "judged"
        kept = {"backgrounds": kinds, "bank": "things"}
        return Side(
            self._make(f"{name}-many", n, seed, kept),
            self._make(f"{name}-few", n, seed + 1, kept | {"words": some}),
            self._make(f"{name}-one", n, seed + 2, kept | _ALONE | {"words": words}),
            group,
        )

    def solids(self) -> Scenes:
        """Scenes of four to eight solids of a colour, a material and a shape."""
        kept = {"backgrounds": UNSEEN_KINDS, "bank": "solids"}
        return self._make("solids", 150, 1771, kept)

    def _make(self, name: str, n: int, seed: int, settings: dict) -> Scenes:
        wanted = SceneSet(name, max(30, round(n * self._share)), seed, settings)
        return make(self._home, wanted, self.backbone, self.cover)


def features_of(scenes: Scenes) -> Iterator[tuple[slice, Tensor]]:
    """Unit features ``(b, p, d)`` of images, and which ones they are."""
    for i, (features, mask, _) in enumerate(scenes.batches(BATCH)):
        assert bool(torch.as_tensor(mask).all())  # squares: as many patches each
        start = i * BATCH
        unit = torch.nn.functional.normalize(features.float(), dim=2)
        yield slice(start, start + len(features)), unit
