"""Soft pooling over patches against the best patch: search, re-ranking, classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks._league.data import Scenes
from benchmarks._pooling.world import Side, features_of
from detail_embed import fusers
from detail_embed.evaluation import average_precision, measure_by_scale
from detail_embed.fusers import FitSample

TEMPERATURES = (0.003, 0.01, 0.03, 0.1, 0.3)
BINS = (0.0, 0.04, 0.08, 0.15, 0.25, 1.0)
CANDIDATES = 0.1
BEST = "best patch (MaxSim)"
MEAN = "mean of all patches"
WAYS = {
    "weighted scores": lambda s, v, t: _weighted(s, t),
    "pooled vector (PACL)": lambda s, v, t: _pooled(s, v, t),
    "log-sum-exp": lambda s, v, t: t * torch.logsumexp(s / t, 1),
}
Pool = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Measured:
    """What a score finds.

    Attributes:
        name: of the score, with its temperature
        values: by task, a number for each query (each image, for classes)
    """

    name: str
    values: dict[str, np.ndarray]


def compare(tuning: Side, judged: Side) -> dict[str, list[Measured]]:
    """Every way at the temperature that was best on the other side, by task."""
    found: dict[str, list[Measured]] = {}
    tried = {BEST: best_patch, MEAN: lambda s, v: s.mean(1)} | {
        f"{way}|{t}": _at(way, t) for way in WAYS for t in TEMPERATURES
    }
    for task, measure in _TASKS.items():
        on_tuning = measure(tuning, tried)
        chosen = [BEST, MEAN]
        for way in WAYS:
            names = [f"{way}|{t}" for t in TEMPERATURES]
            chosen.append(max(names, key=lambda n: on_tuning[n]["all"].mean()))
        on_judged = measure(judged, {name: tried[name] for name in chosen})
        found[task] = [
            Measured(name.replace("|", ", T = "), on_judged[name]) for name in chosen
        ]
    return found


def _at(way: str, t: float) -> Pool:
    return lambda s, v: WAYS[way](s, v, t)


def best_patch(s: Tensor, v: Tensor) -> Tensor:
    return s.amax(1)


def _weighted(s: Tensor, t: float) -> Tensor:
    return (torch.softmax(s / t, 1) * s).sum(1)


def _pooled(s: Tensor, v: Tensor, t: float) -> Tensor:
    weights = torch.softmax(s / t, 1)
    length = torch.einsum("bpq,bpd->bqd", weights, v).norm(dim=2)
    return (weights * s).sum(1) / length


def scores(
    scenes: Scenes, texts: Tensor, pools: dict[str, Pool]
) -> dict[str, np.ndarray]:
    """``(q, n)`` of each pooling."""
    made = {name: np.empty((len(texts), len(scenes.ids)), np.float32) for name in pools}
    with torch.inference_mode():
        for rows, features in features_of(scenes):
            near = features @ texts.T
            for name, pool in pools.items():
                made[name][:, rows] = pool(near, features).T.numpy()
    return made


def _asked(scenes: Scenes, group: str) -> np.ndarray:
    return np.array([g == group for g in scenes.queries.groups])


def _search(side: Side, pools: dict[str, Pool]) -> dict[str, dict[str, np.ndarray]]:
    asked, scenes = _asked(side.many, side.group), side.many
    made = scores(scenes, scenes.texts[asked], pools)
    scale = scenes.queries.target_scale[asked]
    return {name: _by_scale(found, scale) for name, found in made.items()}


def _rerank(side: Side, pools: dict[str, Pool]) -> dict[str, dict[str, np.ndarray]]:
    """The best tenth by one vector, in the order of the score; the rest behind."""
    asked, scenes = _asked(side.many, side.group), side.many
    texts, scale = scenes.texts[asked], scenes.queries.target_scale[asked]
    first = texts.numpy() @ vectors(scenes, "gmp")[:, 0].numpy().T
    count = round(CANDIDATES * first.shape[1])
    limit = np.sort(first, axis=1)[:, -count][:, None]
    return {
        name: _by_scale(np.where(first >= limit, found + 10, first), scale)
        for name, found in scores(scenes, texts, pools).items()
    }


def _classify(side: Side, pools: dict[str, Pool]) -> dict[str, dict[str, np.ndarray]]:
    """Whether the word of the one thing in an image scores above all other words."""
    asked, scenes = _asked(side.one, side.group), side.one
    shown = scenes.queries.target_scale[asked]
    kept = shown.any(0)
    truth = shown[:, kept].argmax(0)
    return {
        name: {"all": (found[:, kept].argmax(0) == truth).astype(float)}
        for name, found in scores(scenes, scenes.texts[asked], pools).items()
    }


_TASKS = {
    "search by all patches": _search,
    "re-ranking": _rerank,
    "zero-shot classes": _classify,
}


def _by_scale(found: np.ndarray, scale: np.ndarray) -> dict[str, np.ndarray]:
    by_scale = measure_by_scale(found, scale, BINS, ["map"])
    return {name: values[:, 0] for name, values in by_scale.items()}


def vectors(scenes: Scenes, kind: str, **options) -> Tensor:
    """``(n, k, d)``: what a fuser that needs no words keeps of images."""
    images = torch.cat([features for _, features in features_of(scenes)])
    fuser = fusers.create(kind, images.shape[2], **options)
    mask = torch.ones(images.shape[:2], dtype=torch.bool)
    fuser.fit(FitSample.of_images(images[:200], mask[:200], torch.empty(0)))
    with torch.inference_mode():
        made = [fuser.fuse(part, None).vectors for part in images.split(50)]
    return torch.cat(made)


def precision(found: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Average precision of each query: ``(q,)``."""
    return average_precision(found.astype(np.float64), relevant)


def names(words: Sequence[str], joint: str) -> list[str]:
    """Pairs as one prompt."""
    return [joint.join(pair) for pair in words]
