"""Tunes on validation scenes and words, then measures every method on test scenes."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks._league import methods
from benchmarks._league.data import (
    Scenes,
    make,
    oracle_crops,
    scene_sets,
    with_rewordings,
)
from benchmarks._league.methods import Scored, Words
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.evaluation import bootstrap, measure_by_scale
from detail_embed.fusers import FitSample, create
from detail_embed.texts.templates import encode_queries

logger = logging.getLogger(__name__)

BINS = (0.0, 0.04, 0.08, 0.15, 0.25, 1.0)
KS = (4, 8, 16)
SHARES = (0.05, 0.1)
FIRST = ("ridge", "k = 8", "k = 16")  # what proposes candidates
MOST_LOST = 0.02
MAXSIM = "MaxSim (all patches)"
INT8 = "MaxSim, features in int8"
PATCHES = "full patch search, 2 bits"
_FIT_SCENES = 500  # all that the closed forms need


@dataclass(frozen=True)
class Result:
    """A method on a set of scenes.

    Attributes:
        method: its name
        scenes: name of the set
        bytes_per_image: what it stores
        milliseconds: to fuse one image, or None
        map: mean average precision by group of words and scale, e.g.
            ``map["things held-out"]["all"]``; with its interval and mAP@50
    """

    method: str
    scenes: str
    bytes_per_image: float
    milliseconds: float | None
    map: dict[str, dict[str, list[float]]]


def run(folder: Path, share: float, seconds: float, seeds: int) -> dict:
    """Measures everything; what was made or trained before is used again.

    Args:
        folder: scenes, features and checkpoints
        share: of the scenes, 1 for the real table
        seconds: time budget of one training; 0 for none
        seeds: trainings of each kind

    Returns:
        JSON values: settings, results, trainings
    """
    backbone = Backbone.load("detail-demo")
    cover = CompleteCover(10)
    sets = scene_sets(share)
    if not seconds:
        few = min(_FIT_SCENES, sets["train"].n)
        sets["train"] = replace(sets["train"], name="fit", n=few)
    made = {
        name: make(folder, wanted, backbone, cover) for name, wanted in sets.items()
    }
    words = split_words(backbone)
    settings = tune(
        made["train"], made["validation"], made["validation-whole"], words
    )
    chosen = _fit(settings, made["train"], words)
    trained, histories = _train(made["train"], words, folder, seconds, seeds)
    results = []
    for name in ("things", "solids", "things-16", "things-whole", "things-wide"):
        scenes = with_rewordings(made[name], backbone)
        scored = _score(chosen, trained, scenes)
        if name in ("things", "solids"):
            crops = oracle_crops(scenes, folder / name, backbone)
            scored["oracle crops"] = Scored(crops, math.nan)
        results += _measure(name, scored, scenes)
    for name, other in (
        ("things", CompleteCover(5)),
        ("things", CompleteCover(10, "authors")),
        ("things-wide", CompleteCover(10, "authors")),
    ):
        scenes = make(folder, sets[name], backbone, other)
        ridge = {k: v for k, v in chosen.items() if k == "ridge"}
        scored = _score(ridge, {}, scenes)
        label = f"{name}, {other.slug}"
        results += _measure(label, scored, scenes)
    return {
        "settings": settings,
        "results": [vars(result) for result in results],
        "trainings": histories,
        "scenes": {s.name: {"n": s.n, "seed": s.seed} for s in sets.values()},
    }


def split_words(backbone: Backbone) -> Words:
    """The demo's words that may be proxies, and a fifth of them set apart to tune."""
    every = demo_vocabulary()
    train, tuning = every.split(0.2)
    features = [encode_queries(backbone, v.words) for v in (train, tuning, every)]
    return Words(*features, names=frozenset(tuning.words))


def tune(
    train: Scenes, validation: Scenes, whole: Scenes, words: Words
) -> dict[str, dict]:
    """Chooses every method's options by validation scenes and words.

    Ridge may not lose more than ``MOST_LOST`` to the whole image alone where one large
    thing is asked for; but for one row, which shows what that costs.
    """
    images, mask = methods.sample(train)

    def members(scenes: Scenes) -> np.ndarray:
        return np.array([word in words.names for word in scenes.queries.words])

    plain = methods.score_single(None, whole)
    least = methods.mean_precision(plain, whole, members) - MOST_LOST
    found = {}
    for name, settings in methods.closed_forms(images, mask, words.train).items():
        guard = (whole, least) if name == "ridge" else None
        found[name], value = methods.best_setting(
            settings, methods.score_single, validation, members, guard
        )
        logger.info("%s: %s (%.3f)", name, found[name], value)
    for k in KS:
        options, value = methods.best_setting(
            methods.few_vectors(images, mask, k), methods.score_few, validation, members
        )
        found[f"k = {k}"] = options
        logger.info("k = %d: %s (%.3f)", k, options, value)
    return found


def _fit(settings: dict[str, dict], train: Scenes, words: Words) -> dict:
    """Every closed form with the settings chosen, on all words that may be used."""
    images, mask = methods.sample(train)
    rows, dim = images[mask], images.shape[2]
    fitted = {"global": None}
    for name, options in settings.items():
        if name.startswith("k = "):
            fitted[name] = create("few", dim, **options).fit(rows)
        else:
            fuser = create(methods.kind(name), dim, **options)
            fitted[name] = fuser.fit(FitSample(rows, words.all, images, mask))
    return fitted


def _train(
    train: Scenes, words: Words, folder: Path, seconds: float, seeds: int
) -> tuple[dict, dict]:
    trained, histories = {}, {}
    for name in methods.TRAINED if seconds else ():
        for seed in range(seeds):
            fuser, history = methods.train(
                name, seed, train, words, folder / "trainings", seconds
            )
            trained[f"{name} (seed {seed})"] = fuser
            histories[f"{name} (seed {seed})"] = [vars(epoch) for epoch in history]
    return trained, histories


def _score(chosen: dict, trained: dict, scenes: Scenes) -> dict[str, Scored]:
    """Scores of every method; re-ranking starts from the best single vector here."""
    scored: dict[str, Scored] = {}
    for name, method in (chosen | trained).items():
        score: Callable = (
            methods.score_few if name.startswith("k = ") else methods.score_single
        )
        scored[name] = score(method, scenes)
    scored[MAXSIM] = methods.score_maxsim(scenes)
    with tempfile.TemporaryDirectory() as folder:
        scored[INT8] = methods.score_int8(scenes, Path(folder) / "int8")
        scored[PATCHES] = methods.score_patch_search(scenes, Path(folder) / "index")
    for share in SHARES:
        for first in FIRST:
            if first in scored:
                scored[f"re-ranked, {share:.0%} by {first}"] = methods.rerank(
                    scored[first], scored[MAXSIM], share
                )
    return scored


def _measure(name: str, scored: dict[str, Scored], scenes: Scenes) -> list[Result]:
    return [
        Result(
            method, name, found.bytes_per_image, found.milliseconds,
            _by_group(found.scores, scenes),
        )
        for method, found in scored.items()
    ]


def _by_group(scores: np.ndarray, scenes: Scenes) -> dict:
    """``[mAP, low, high, mAP@50]`` by bank and group of words, and by scale."""
    groups = scenes.groups()
    measured = measure_by_scale(
        scores, scenes.queries.target_scale, BINS, ("map", "map_50")
    )
    found: dict[str, dict] = {}
    for group in dict.fromkeys(groups):
        members = np.array([g == group for g in groups])
        found[" ".join(group)] = {
            scale: _summary(values[members]) for scale, values in measured.items()
        }
    return found


def _summary(values: np.ndarray) -> list[float]:
    values = values[~np.isnan(values[:, 0])]
    if not len(values):
        return []
    low, high = bootstrap(values[:, 0])
    mean, mean_50 = values.mean(axis=0)
    return [float(x) for x in (mean, low, high, mean_50)]
