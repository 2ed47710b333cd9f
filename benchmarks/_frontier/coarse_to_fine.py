"""Which fine windows need not be encoded: rules tried on features of all of them.

The coarse windows of c = 10 are encoded always, of the fine ones those that a rule
names. A rule is fitted on one half of the user's own sample, as is the limit above
which a window is named; the report card is made of the other half; neither sees labels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks._frontier.points import World, by_scale
from benchmarks._frontier.windows import Windows, windows
from benchmarks._league.data import Scenes
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.evaluation import average_precision, find_hits
from detail_embed.texts.text_cache import encode_vocabulary

logger = logging.getLogger(__name__)

FIXED = (8, 6, 5, 4)
SHARES = (0.5, 0.4, 0.35, 0.3)  # of the patches of c = 10
_THRESHOLD = 1.5  # standard deviations above which a word's score counts

Score = Callable[[Windows], np.ndarray]  # (n, p), high where a window is needed


@dataclass(frozen=True)
class Rule:
    """What is encoded, and what is found then.

    Attributes:
        name: of the rule
        patches: of an image, on average
        map: mean, low and high of the mean average precision by scale
        card: share of the report card's hits that is kept; None where not measured
        least: patches of the image of the fewest, the 5th percentile; None likewise
        most: the 95th percentile
    """

    name: str
    patches: float
    map: dict[str, tuple[float, float, float]]
    card: float | None = None
    least: int | None = None
    most: int | None = None


def simulate(world: World) -> list[Rule]:
    """Every rule at half of the patches, the two best ones also at fewer."""
    test, sample = windows(world, world.test(10)), windows(world, world.sample(10))
    half = len(sample.features) // 2
    fit, judge = sample[:half], sample[half:]
    train, held_out = demo_vocabulary().split()
    train, held_out = (
        encode_vocabulary(world.backbone, words.words).numpy()
        for words in (train, held_out)
    )
    scenes = world.test(10)
    trial = _Trial(test, scenes, fit, judge, held_out)
    everything = np.ones(test.features.shape[:2], bool)
    rules = [trial.fixed("c = 10, all", everything)]
    rules += [_other_cover(world, c) for c in FIXED]
    for least in (2, 3):
        kept = np.broadcast_to(test.levels >= least, everything.shape)
        rules.append(trial.fixed(f"of c = 10, sides of {least / 10} and more", kept))
    gain = _Gain(train, fit)
    found: dict[str, Score] = {
        "chance": _chance,
        "the parent, fitted": gain.learn(lambda w: w.of_parents),
        "edges: the 99th percentile of slopes": lambda w: w.edges,
        "detail: the range of grey levels": lambda w: w.spreads,
        "pixels, fitted": gain.learn(lambda w: w.of_pixels),
        "the parent and pixels, fitted": gain.learn(
            lambda w: np.concatenate([w.of_parents, w.of_pixels], axis=2)
        ),
    }
    rules += [trial.rule(name, score, SHARES[0]) for name, score in found.items()]
    for name in list(found)[3:]:
        rules += [trial.rule(name, found[name], share) for share in SHARES[1:]]
    return rules


class _Trial:
    """Measures rules on the scenes to search in, and by the report card."""

    def __init__(
        self, test: Windows, scenes: Scenes, fit: Windows, judge: Windows,
        words: np.ndarray,
    ) -> None:
        self._test, self._scenes = test, scenes
        self._fit, self._judge = fit, judge
        self._scores = _all_scores(scenes.texts.numpy(), test.features)
        self._teacher = _all_scores(words, judge.features)
        hits = find_hits(self._teacher.max(axis=2).astype(np.float64))
        self._counted = hits.any(axis=1)
        self._hits = hits[self._counted]

    def fixed(self, name: str, kept: np.ndarray) -> Rule:
        """A rule that needs no fit: ``(n, p)`` bool, what is encoded."""
        found = by_scale(_best(self._scores, kept), self._scenes)
        card = self._card(np.broadcast_to(kept[0], self._judge.features.shape[:2]))
        return Rule(name, kept.sum(axis=1).mean(), found, card)

    def rule(self, name: str, score: Score, share: float) -> Rule:
        """A rule whose limit leaves a share of the patches on the sample."""
        fine = ~self._fit.coarse
        wanted = share * len(fine) - self._fit.coarse.sum()
        values = score(self._fit)[:, fine]
        limit = np.quantile(values, 1 - wanted / fine.sum())
        kept, judged = (
            (score(w) > limit) | w.coarse for w in (self._test, self._judge)
        )
        counts = kept.sum(axis=1)
        rule = Rule(
            f"{name}, {share:.0%}", counts.mean(),
            by_scale(_best(self._scores, kept), self._scenes), self._card(judged),
            *(int(n) for n in np.percentile(counts, (5, 95))),
        )
        logger.info("%s: %.0f patches, %.3f", rule.name, rule.patches,
                    rule.map["all"][0])
        return rule

    def _card(self, kept: np.ndarray) -> float:
        found = _best(self._teacher, kept)[self._counted]
        return float(average_precision(found, self._hits).mean())


class _Gain:
    """What a fine window adds for the words of a vocabulary to the coarse ones."""

    def __init__(self, words: np.ndarray, fit: Windows) -> None:
        self._fit = fit
        scores = _all_scores(words, fit.features)
        best = scores.max(axis=2)
        mean, spread = best.mean(axis=1), best.std(axis=1).clip(1e-6)
        z = (scores - mean[:, None, None]) / spread[:, None, None]
        known = z[:, :, fit.coarse].max(axis=2).clip(_THRESHOLD)
        self._gain = np.log1p((z - known[..., None]).clip(0).sum(axis=0))

    def learn(self, seen: Callable[[Windows], np.ndarray]) -> Score:
        """A rule that predicts the gain from what is seen of a window."""
        fine = ~self._fit.coarse
        model = HistGradientBoostingRegressor(
            max_iter=150, learning_rate=0.08, max_leaf_nodes=15, random_state=0
        )
        x = seen(self._fit)[:, fine]
        model.fit(x.reshape(-1, x.shape[2]), self._gain[:, fine].ravel())

        def score(windows: Windows) -> np.ndarray:
            x = seen(windows)
            return model.predict(x.reshape(-1, x.shape[2])).reshape(x.shape[:2])

        return score


def _other_cover(world: World, c: int) -> Rule:
    scenes = world.test(c)
    features = np.stack([scenes.store[id].features for id in scenes.ids])
    scores = _all_scores(scenes.texts.numpy(), features.astype(np.float32))
    return Rule(f"c = {c}, all", features.shape[1], by_scale(scores.max(2), scenes))


def _chance(windows: Windows) -> np.ndarray:
    return np.random.default_rng(0).random(windows.features.shape[:2])


def _all_scores(words: np.ndarray, features: np.ndarray) -> np.ndarray:
    """``(K, n, p)`` cosines."""
    n, p, d = features.shape
    flat = torch.from_numpy(features).reshape(-1, d)
    return (torch.from_numpy(words) @ flat.T).reshape(-1, n, p).numpy()


def _best(scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return np.where(kept, scores, -2).max(axis=2)
