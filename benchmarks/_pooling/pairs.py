"""Several things in one prompt: one vector of them all, or the best patch of each."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from benchmarks._league.data import Scenes
from benchmarks._pooling import soft
from benchmarks._pooling.world import Side, World
from detail_embed.clver_ds import concepts
from detail_embed.texts.templates import encode_queries

_LEAST = 3  # images that show a pair which is asked for
_FEW = 8
_SOFT = (0.003, 0.01, 0.03, 0.1, 0.3)
SUM = "A, B: one vector (as it was)"
EACH, BLEND = "best of each, mean", "mean of that and of the best patch for both"
LEAST = "mean of the smaller and of the best patch for both"


def both(world: World, tuning: Side, judged: Side) -> dict[str, dict[str, np.ndarray]]:
    """Average precision of each pair, by where it is searched and by the score."""
    at = _soft_min(world, tuning.few)
    asked = _Pairs(world, judged.few)
    return asked.both(at)


def but_not(world: World, judged: Side) -> dict[str, dict[str, np.ndarray]]:
    """The same for images that show the first and not the second."""
    return _Pairs(world, judged.few).but_not()


def attributes(world: World) -> dict[str, np.ndarray]:
    """Two words for one thing: a colour or a material, and a shape."""
    scenes = world.solids()
    known = {c.name: c for c in concepts("solids")}
    kinds = [known[word] for word in scenes.queries.words]
    shown = scenes.queries.target_scale > 0
    made: dict[tuple[str, str], np.ndarray] = {}
    for kind, row in zip(kinds, shown):
        for what in (kind.colour, kind.material):
            words = f"{what} object", kind.shape
            made[words] = made.get(words, False) | row
    words = [pair for pair, row in made.items() if row.sum() >= _LEAST]
    relevant = np.stack([made[pair] for pair in words])
    first, second = (encode_queries(world.backbone, list(part)) for part in zip(*words))
    spoken = [f"{what.removesuffix(' object')} {shape}" for what, shape in words]
    whole = _best(scenes, encode_queries(world.backbone, spoken))
    found = _two(scenes, first, second, relevant)
    return {'"A B": one prompt': soft.precision(whole, relevant)} | found


def wordings(world: World, judged: Side) -> dict[str, np.ndarray]:
    """Two wordings of one thing."""
    scenes = judged.many
    asked = [i for i, g in enumerate(scenes.queries.groups) if g == judged.group]
    words = [scenes.queries.words[i] for i in asked]
    relevant = scenes.queries.target_scale[asked] > 0
    first, second = (
        encode_queries(world.backbone, [text.format(word) for word in words])
        for text in ("{}", "a small {}")
    )
    found = _two(scenes, first, second, relevant)
    return {"A alone": soft.precision(_best(scenes, first), relevant)} | found


def _two(
    scenes: Scenes, first: Tensor, second: Tensor, relevant: np.ndarray
) -> dict[str, np.ndarray]:
    """Average precision of two texts for one thing, by how they are combined."""
    joint = _best(scenes, first + second) / 2
    each = (_best(scenes, first) + _best(scenes, second)) / 2
    least = np.minimum(_best(scenes, first), _best(scenes, second))
    made = {SUM: joint, EACH: each, BLEND: (joint + each) / 2,
            LEAST: (joint + least) / 2}
    return {name: soft.precision(found, relevant) for name, found in made.items()}


def split_names(world: World, judged: Side) -> dict[str, np.ndarray]:
    """Things whose one name has an "and" or a "with": as one prompt, and as two."""
    scenes = judged.many
    cut = [(row, *_halves(word)) for row, word in enumerate(scenes.queries.words)
           if _halves(word)]
    rows = [row for row, *_ in cut]
    relevant = scenes.queries.target_scale[rows] > 0
    whole = _best(scenes, scenes.texts[rows])
    halves = [
        _best(scenes, encode_queries(world.backbone, [c[i] for c in cut]))
        for i in (1, 2)
    ]
    made = {"one prompt": whole, "mean of two": np.mean(halves, axis=0),
            "smaller of two": np.min(halves, axis=0)}
    return {name: soft.precision(found, relevant) for name, found in made.items()}


def _halves(word: str) -> tuple[str, str] | None:
    for joint in (" and ", " with "):
        if joint in word:
            first, _, second = word.rpartition(joint)
            return first, second
    return None


class _Pairs:
    """Pairs of words that some images show both of."""

    def __init__(self, world: World, scenes: Scenes) -> None:
        self._backbone, self._scenes = world.backbone, scenes
        self._shown = scenes.queries.target_scale > 0
        pairs = combinations(range(len(scenes.queries.words)), 2)
        every = np.array([
            pair for pair in pairs if self._shown[list(pair)].all(0).sum() >= _LEAST
        ])
        self.first, self.second = every.T
        self._words = [
            (scenes.queries.words[a], scenes.queries.words[b]) for a, b in every
        ]
        self.relevant = self._shown[self.first] & self._shown[self.second]

    def both(self, at: float) -> dict[str, dict[str, np.ndarray]]:
        """Both things are shown."""
        texts = self._scenes.texts
        joined = torch.nn.functional.normalize(
            texts[self.first] + texts[self.second], dim=1
        )
        spoken = {
            f'"A{joint}B": one prompt': encode_queries(
                self._backbone, soft.names(self._words, joint)
            )
            for joint in (" beside ", " and ")
        }
        whole = spoken | {SUM: joined}
        half = torch.linalg.vector_norm(texts[self.first] + texts[self.second], dim=1)
        half = half.numpy()[:, None] / 2  # of the sum: as long as it is
        found = {"all patches": self._made(
            {name: _best(self._scenes, v) for name, v in whole.items()},
            _best(self._scenes, texts), half, at,
        )}
        for kind, options in (("gmp", {}), ("few", {"k": _FEW})):
            kept = soft.vectors(self._scenes, kind, **options)
            found[f"{kept.shape[1]} vector{'s' * (kept.shape[1] > 1)}"] = self._made(
                {name: _nearest(v, kept) for name, v in whole.items()},
                _nearest(texts, kept), half, at,
            )
        return found

    def _made(
        self, whole: dict[str, np.ndarray], words: np.ndarray, half: np.ndarray,
        at: float,
    ) -> dict[str, np.ndarray]:
        a, b = words[self.first], words[self.second]
        z = (words - words.mean(1, keepdims=True)) / words.std(1, keepdims=True)
        za, zb = z[self.first], z[self.second]
        made = whole | {
            EACH: (a + b) / 2,
            BLEND: (a + b) / 4 + half * whole[SUM] / 2,
            "best of each, smaller": np.minimum(a, b),
            LEAST: np.minimum(a, b) / 2 + half * whole[SUM] / 2,
            "best of each, product": a.clip(0) * b.clip(0),
            f"best of each, log-sum (T = {at})": _log_sum(a, b, at),
            "z-scores of each, mean": (za + zb) / 2,
            "z-scores of each, smaller": np.minimum(za, zb),
        }
        return {n: soft.precision(found, self.relevant) for n, found in made.items()}

    def but_not(self) -> dict[str, dict[str, np.ndarray]]:
        """The first is shown, and not the second."""
        texts, relevant = self._scenes.texts, (
            self._shown[self.first] & ~self._shown[self.second]
        )
        words = _best(self._scenes, texts)
        found = {"all patches": {}}
        for weight in (0.5, 1.0):
            joined = torch.nn.functional.normalize(
                texts[self.first] - weight * texts[self.second], dim=1
            )
            made = {
                f"A, -{weight:g} * B: one vector (as it was)": _best(
                    self._scenes, joined
                ),
                f"best of A less {weight:g} x best of B":
                    words[self.first] - weight * words[self.second],
            }
            length = torch.linalg.vector_norm(
                texts[self.first] - weight * texts[self.second], dim=1
            ).numpy()[:, None]
            joint, each = made.values()
            made[f"mean of the two, {weight:g}"] = joint * length + each
            found["all patches"] |= {
                name: soft.precision(each, relevant) for name, each in made.items()
            }
        found["all patches"]["A alone"] = soft.precision(words[self.first], relevant)
        return found


def _soft_min(world: World, scenes: Scenes) -> float:
    """The temperature of the log-sum that is best where nothing is judged."""
    pairs, words = _Pairs(world, scenes), _best(scenes, scenes.texts)
    a, b = words[pairs.first], words[pairs.second]
    relevant = pairs.relevant
    return max(
        _SOFT, key=lambda t: soft.precision(_log_sum(a, b, t), relevant).mean()
    )


def _nearest(texts: Tensor, vectors: Tensor) -> np.ndarray:
    return torch.einsum("qd,nkd->qnk", texts, vectors).amax(2).numpy()


def _log_sum(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    return -t * np.logaddexp(-a / t, -b / t)


def _best(scenes: Scenes, texts: Tensor) -> np.ndarray:
    return soft.scores(scenes, texts, {"best": soft.best_patch})["best"]
