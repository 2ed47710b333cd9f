"""What competes: every fuser, few vectors, re-ranking, and the ceilings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._league.data import Scenes
from detail_embed import fusers
from detail_embed.evaluation import average_precision
from detail_embed.features import FeatureStore
from detail_embed.fusers import Fuser
from detail_embed.fusers.maxsim import maxsim_batch
from detail_embed.fusers.sample import FitSample
from detail_embed.patch_search import PatchIndex
from detail_embed.training import Stored, Training, TrainingConfig

logger = logging.getLogger(__name__)

_SAMPLE = 400
_SHARD = 100
_LISTED = 100  # images that a full patch search lists
LAMS = (1e-4, 1e-2)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)  # of the whole image
GMP_GRID = list(product((0.003, 0.03, 0.3), (0.3, 1.0, 10.0)))
POWERS = (2.0, 6.0)
SMALL = "ridge, for small things"
TRAINED = {
    "transformer, paper's loss": ("transformer", "proxy-mse", 3e-4),
    "transformer, ranking": ("transformer", "ranking", 3e-4),
    "attention, ranking": ("attention", "ranking", 1e-3),
}


@dataclass(frozen=True)
class Scored:
    """A method's scores on a set of scenes.

    Attributes:
        scores: ``(q, n)`` float32
        bytes_per_image: what has to be stored
        milliseconds: to fuse one image, on this machine; None where nothing is fused
    """

    scores: np.ndarray
    bytes_per_image: float
    milliseconds: float | None = None


@dataclass(frozen=True)
class Words:
    """Texts to fit on, by what for.

    Attributes:
        train: ``(K, d)`` of the words that settings are tried on
        tuning: ``(K', d)`` of those they are compared by
        all: both: what the chosen setting is fitted on
        names: the tuning words themselves
    """

    train: Tensor
    tuning: Tensor
    all: Tensor
    names: frozenset[str]


def score_single(fuser: Fuser | None, scenes: Scenes) -> Scored:
    """One vector per image, compared by cosine; None for the whole image alone."""
    vectors, spent = [], 0.0
    for features, mask, boxes in scenes.batches():
        started = time.perf_counter()
        with torch.inference_mode():
            vectors.append(
                features[:, 0] if fuser is None else fuser(features, mask, boxes)
            )
        spent += time.perf_counter() - started
    scores = (scenes.texts @ torch.cat(vectors).T).numpy()
    each = None if fuser is None else 1e3 * spent / len(scenes.ids)
    return Scored(scores, 4 * scenes.texts.shape[1], each)


def score_few(few: Fuser, scenes: Scenes) -> Scored:
    """K vectors per image, the best one counts."""
    columns, spent = [], 0.0
    for features, mask, _ in scenes.batches():
        started = time.perf_counter()
        with torch.inference_mode():
            vectors = few(features, mask)
        spent += time.perf_counter() - started
        columns.append((vectors @ scenes.texts.T).amax(dim=1).T)
    return Scored(
        torch.cat(columns, dim=1).numpy(),
        4 * few.k * scenes.texts.shape[1],
        1e3 * spent / len(scenes.ids),
    )


def score_maxsim(scenes: Scenes) -> Scored:
    """The best of all patches: the teacher, and the ceiling of a frozen backbone."""
    columns = [
        maxsim_batch(scenes.texts, features, mask).T
        for features, mask, _ in scenes.batches()
    ]
    return Scored(
        torch.cat(columns, dim=1).numpy(), scenes.store.num_bytes / len(scenes.ids)
    )


def score_int8(scenes: Scenes, folder: Path) -> Scored:
    """The best of all patches, kept in 8 bits."""
    full = scenes.store
    small = FeatureStore(folder, full.slug, full.dim, dtype="int8")
    for start in range(0, len(scenes.ids), _SHARD):
        ids = scenes.ids[start : start + _SHARD]
        small.add(ids, *zip(*(
            (found.features, found.boxes, found.levels)
            for found in map(full.__getitem__, ids)
        )))
    return score_maxsim(replace(scenes, store=small))


def score_patch_search(scenes: Scenes, folder: Path) -> Scored:
    """All patches at two bits, the best candidates in their exact order.

    An image that is no candidate comes after all that are.
    """
    index = PatchIndex.build(scenes.store, folder)
    columns = {id: column for column, id in enumerate(scenes.ids)}
    found, values, _ = index.search(scenes.texts.numpy(), min(_LISTED, len(index)))
    scores = np.full((len(scenes.texts), len(scenes.ids)), -2.0, np.float32)
    for row, (ids, some) in enumerate(zip(found, values)):
        scores[row, [columns[id] for id in ids]] = some[: len(ids)]
    stored = index.num_bytes + scenes.store.num_bytes
    return Scored(scores, stored / len(scenes.ids))


def rerank(first: Scored, exact: Scored, share: float) -> Scored:
    """The first scores propose a share of the images, the exact ones order them."""
    n = first.scores.shape[1]
    top = max(1, round(share * n))
    order = np.argsort(-first.scores, axis=1, kind="stable")
    scores = np.empty_like(first.scores)
    rest = -2.0 - np.arange(n) / n  # below any cosine, in the order they came
    np.put_along_axis(scores, order, np.tile(rest, (len(order), 1)), axis=1)
    best = order[:, :top]
    np.put_along_axis(
        scores, best, np.take_along_axis(exact.scores, best, axis=1), axis=1
    )
    return Scored(
        scores, first.bytes_per_image + exact.bytes_per_image, first.milliseconds
    )


def sample(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Patch features of some of the scenes, evenly spaced, and their mask."""
    ids = scenes.ids[:: max(1, len(scenes.ids) // _SAMPLE)]
    features, mask, _ = Stored(scenes.store, ids).batch(range(len(ids)))
    return features, mask


def closed_forms(images: Tensor, mask: Tensor, texts: Tensor) -> dict[str, list]:
    """Every setting of the fusers that are solved for: ``(options, fitted)``."""
    dim = texts.shape[1]
    ridge = [{"lam": lam, "global_weight": w} for lam, w in product(LAMS, SHARES)]
    grids = {
        "mean": [{}],
        "gmp": [{"eps": eps, "lam": lam} for eps, lam in GMP_GRID],
        "ridge": ridge,
        SMALL: ridge,
    }
    return {
        name: [
            (
                options,
                lambda name=name, options=options: fusers.create(
                    kind(name), dim, **options
                ).fit(FitSample.of_images(images, mask, texts)),
            )
            for options in grid
        ]
        for name, grid in grids.items()
    }


def kind(name: str) -> str:
    """The kind of fuser that a row of the table is of."""
    return "ridge" if name == SMALL else name


def few_vectors(images: Tensor, mask: Tensor, k: int) -> list:
    """Every setting of k vectors: ``(options, a function that fits)``."""
    rows = images[mask]
    return [
        (
            {"k": k, "power": power},
            lambda power=power: fusers.create(
                "few", rows.shape[1], k=k, power=power
            ).fit(rows),
        )
        for power in POWERS
    ]


def best_setting(
    settings: list, score: Callable, scenes: Scenes, members: Callable,
    guard: tuple[Scenes, float] | None = None,
) -> tuple[dict, float]:
    """The options with the highest mAP of some words on validation scenes.

    Args:
        settings: of ``closed_forms`` or ``few_vectors``
        score: a function of a fitted method and scenes
        scenes: to compare on
        members: the rows of the words that count, by scenes
        guard (None): further scenes, and the mAP that must be reached on them
    """
    found = []
    for options, fit in settings:
        fitted = fit()
        value = mean_precision(score(fitted, scenes), scenes, members)
        if guard and mean_precision(score(fitted, guard[0]), guard[0], members) < (
            guard[1]
        ):
            value -= 1
        found.append(value)
        logger.info("%s: %.4f", options, value)
    best = int(np.argmax(found))
    return settings[best][0], found[best]


def mean_precision(scored: Scored, scenes: Scenes, members: Callable) -> float:
    """Mean average precision of some words."""
    values = average_precision(scored.scores, scenes.queries.target_scale > 0)
    return float(np.nanmean(values[members(scenes)]))


def train(
    name: str, seed: int, scenes: Scenes, words: Words, folder: Path, seconds: float
) -> tuple[Fuser, list]:
    """Trains one of ``TRAINED``; goes on where a run before was cut short."""
    kind, objective, rate = TRAINED[name]
    torch.manual_seed(seed)
    fuser = fusers.create(kind, scenes.texts.shape[1])
    config = TrainingConfig(
        objective=objective, learning_rate=rate, seed=seed, epochs=60, patience=12,
        time_budget=seconds,
    )
    run = Training(
        fuser, Stored(scenes.store, scenes.ids), words.train, words.tuning, config,
        checkpoint=folder / f"{kind}-{objective}-{seed}",
    )
    for epoch in run:
        logger.info("%s, seed %d: %s", name, seed, epoch)
    return fuser, run.history
