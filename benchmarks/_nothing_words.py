"""What a search of CLVER-DS scenes finds, word by word, and how far above the line.

For ``benchmarks/nothing_line.py``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from detail_embed import clver_ds, fusers
from detail_embed.backbone import Backbone
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS
from detail_embed.cover import CompleteCover
from detail_embed.demo.table import encode
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.fusers.sample import FitSample
from detail_embed.texts.nothing_line import (
    LOOK,
    NothingLine,
    Places,
    common_words,
    draw_line,
    weigh,
)
from detail_embed.texts.score_summary import standardise
from detail_embed.texts.text_cache import encode_vocabulary

OTHERS = 3  # of so many words that are not held out, one is asked for
K, FEW = 25, 16
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxz", "aeiouy"


@dataclass
class Asked:
    """What was asked of one set of scenes, and what came, ``q`` words in ``n`` scenes.

    Attributes:
        held_out: ``(q,)`` bool, words that no fuser may know
        side: ``(q, n)`` float64, of the largest such thing in a scene, 0 for none; of
            strings that mean nothing the rows are 0, and they are not held out
        nonsense: ``(q,)`` bool
        order: by way, ``(q, K)`` scenes, best first by their scores
        evidence: by way, ``(q, K)``
        lines: by way
        plain: by name, ``(q, n)`` scores of other ways to draw one line for all words
    """

    held_out: np.ndarray
    side: np.ndarray
    nonsense: np.ndarray
    order: dict[str, np.ndarray]
    evidence: dict[str, np.ndarray]
    lines: dict[str, NothingLine]
    plain: dict[str, np.ndarray]

    def rows(self, name: str) -> np.ndarray:
        """Words of a group."""
        return {"held-out": self.held_out, "nonsense": self.nonsense}.get(
            name, ~self.held_out & ~self.nonsense
        )


def make_nonsense(count: int, seed: int = 77) -> list[str]:
    """Strings that mean nothing, of one or two pieces."""
    draw = random.Random(seed)
    letters = (_CONSONANTS, _VOWELS)

    def piece() -> str:
        kinds = [letters[draw.random() > 0.65] for _ in range(draw.randint(4, 7))]
        return "".join(map(draw.choice, kinds))

    pieces = [draw.randint(1, 2) for _ in range(count)]
    fixed = ["xqzwv blorp"]
    return fixed + [" ".join(piece() for _ in range(n)) for n in pieces[1:]]


def ask(backbone: Backbone, folder: Path, n: int, seed: int) -> Asked:
    """Makes scenes, encodes them unless the folder has their features, and asks."""
    target = clver_ds.generate(
        folder / f"s{seed}", n, seed=seed, backgrounds=UNSEEN_KINDS
    )
    images = _features(backbone, target.parent, folder / f"s{seed}.pt")
    things = [
        thing for number, thing in enumerate(clver_ds.concepts())
        if not thing.is_proxy or number % OTHERS == 0
    ]
    nonsense = make_nonsense(100)
    words = [*(thing.name for thing in things), *nonsense]
    texts = encode_vocabulary(backbone, [*words, *common_words()]).numpy()
    few = fusers.create(FewVectors.name, backbone.dim, k=FEW)
    few.fit(FitSample.of_images(images))
    vectors = torch.cat([few.fuse(part).vectors for part in images.split(16)])
    order, evidence, lines = {}, {}, {}
    for way, places in (("patches", images), ("vectors", vectors)):
        found = _weigh_all(texts, places, len(words), way == "patches")
        order[way], evidence[way], lines[way], scores = found
        if way == "patches":
            plain = _plain(scores[: len(words)], scores[len(words) :])
    known = np.arange(len(words)) < len(things)
    held_out = np.array([not t.is_proxy for t in things] + [False] * len(nonsense))
    side = _sides(target, words)
    return Asked(held_out, side, ~known, order, evidence, lines, plain)


def _features(backbone: Backbone, scenes: Path, file: Path) -> torch.Tensor:
    if not file.exists():
        paths = clver_ds.read_queries(scenes).paths
        rows = [image.half() for image in encode(paths, backbone, CompleteCover(10))]
        torch.save(torch.stack(rows), file)
    return torch.nn.functional.normalize(torch.load(file).float(), dim=2)


def _nearest(texts: np.ndarray, places: torch.Tensor) -> tuple[np.ndarray, ...]:
    """``(q, n)`` cosines of the best and the second place of each image; the best."""
    near = [torch.from_numpy(texts) @ image.T for image in places]
    top = [each.topk(2, dim=1) for each in near]
    values = torch.stack([each.values for each in top], dim=1).numpy()
    return values[..., 0], values[..., 1], np.stack([t.indices[:, 0] for t in top], 1)


def _weigh_all(
    texts: np.ndarray, places: torch.Tensor, asked: int, beside: bool
) -> tuple[np.ndarray, np.ndarray, NothingLine, np.ndarray]:
    """Order and evidence of the texts asked for, the line by the others, the scores."""
    scores, second, best = _nearest(texts, places)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    common, vectors = texts[asked:], places.numpy()
    unit = float(np.median(scores[asked:].std(axis=1)))
    evidence = []
    for row, first in enumerate(order):
        found = Places(
            scores[row, first], vectors[first, best[row, first]],
            second[row, first] if beside else None,
        )
        evidence.append(weigh(texts[row], found, common, unit))
    evidence = np.stack(evidence)
    line = NothingLine(draw_line(evidence[asked:, :LOOK].max(axis=1), beside), unit)
    return order[:asked], evidence[:asked], line, scores


def _sides(target: Path, words: Sequence[str]) -> np.ndarray:
    """How large each thing is in each scene."""
    coco = json.loads(target.read_text())
    rows = {name: row for row, name in enumerate(words)}
    side = np.zeros((len(words), len(coco["images"])))
    for note in coco["annotations"]:
        thing = note["attributes"]
        if thing["concept"] in rows:
            at = rows[thing["concept"]], note["image_id"]
            side[at] = max(side[at], thing["scale"])
    return side


def _plain(scores: np.ndarray, common: np.ndarray) -> dict[str, np.ndarray]:
    """One line for all words by what is known: cosine, and z over words or images."""
    return {
        "cosine": scores,
        "z over words": (scores - common.mean(0)) / common.std(0),
        "z over images": np.stack([standardise(row) for row in scores]),
    }
