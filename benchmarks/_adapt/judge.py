"""How well words find the scenes that show them, by group, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from _adapt.world import World
from detail_embed.backbone import Backbone
from detail_embed.evaluation.metrics import average_precision
from detail_embed.texts.templates import encode_queries
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.texts.wordings import base_form

NOUNS = 300  # general nouns that are no words of the world
TOP = 25  # images of a ranking that are compared


@dataclass(frozen=True)
class Judged:
    """What one way of searching finds.

    Attributes:
        means: mAP in percent by group of words
        nouns: percent of the first 25 images of general nouns that are the same as
            before; None where this is before
    """

    means: dict[str, float]
    nouns: float | None

    def row(self, name: str) -> str:
        """A row of a Markdown table."""
        cells = [f"{mean:.1f}" for mean in self.means.values()]
        nouns = "" if self.nouns is None else f"{self.nouns:.0f} %"
        return f"| {name} | {' | '.join(cells)} | {nouns} |"


HEAD = (
    "| method | new kinds | old, taught | never taught | nouns: same first 25 |\n"
    "|--|--:|--:|--:|--:|"
)


def nouns_of(world: World) -> list[str]:
    """General nouns that are no word of the world, nor part of one."""
    parts = {
        base_form(p) for word in world.words for p in [word, *word.split()]
    }
    every = Vocabulary.nouns(4 * NOUNS).words
    return [noun for noun in every if base_form(noun) not in parts][:NOUNS]


def scores(vectors: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """``(q, n)``: of each image the best of its vectors, ``(n, k, d)``."""
    n, k, d = vectors.shape
    rows = torch.from_numpy(np.ascontiguousarray(vectors.reshape(n * k, d)))
    best = []
    for part in torch.from_numpy(np.asarray(texts, np.float32)).split(64):
        best.append((rows @ part.T).view(n, k, -1).amax(dim=1).T)
    return torch.cat(best).numpy()


def judge(
    world: World,
    vectors: np.ndarray,
    texts: Mapping[str, np.ndarray],
    before: np.ndarray | None = None,
) -> Judged:
    """Searches the test scenes.

    Args:
        world: the scenes and words
        vectors: ``(n, k, d)`` of the test scenes: all patches, or an index's few
        texts: ``"words"`` of all of the world's words in order, and ``"nouns"`` of
            :func:`nouns_of`, see :func:`texts_of`
        before (None): scores of the nouns before the change, see :func:`scores`
    """
    found = 100 * average_precision(
        scores(vectors, texts["words"]), world.test.shows(world.words)
    )
    means, start = {}, 0
    for name, words in world.groups.items():
        means[name] = float(np.nanmean(found[start : start + len(words)]))
        start += len(words)
    kept = None
    if before is not None:
        kept = 100 * overlap(before, scores(vectors, texts["nouns"]))
    return Judged(means, kept)


def overlap(before: np.ndarray, after: np.ndarray) -> float:
    """Mean share of the first images that two rankings have in common."""
    tops = [np.argsort(-s, axis=1, kind="stable")[:, :TOP] for s in (before, after)]
    return float(np.mean([len({*a} & {*b}) / TOP for a, b in zip(*tops)]))


def texts_of(backbone: Backbone, world: World) -> dict[str, np.ndarray]:
    """The texts that :func:`judge` asks for, as a search encodes them."""
    return {
        "words": encode_queries(backbone, world.words).cpu().numpy(),
        "nouns": encode_queries(backbone, nouns_of(world)).cpu().numpy(),
    }
