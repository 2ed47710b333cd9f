"""What a method finds, on the scenes and by the terms of the frontier, and its time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._dense import clipself, ridge
from benchmarks._dense.looks import Dense
from benchmarks._dense.methods import Method
from benchmarks._dense.uses import Where, correct_hits, proposed, read_truth, where
from benchmarks._frontier.points import by_scale
from benchmarks._league.data import Scenes, SceneSet, make
from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS
from detail_embed.cover import CompleteCover
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.evaluation import average_precision
from detail_embed.fusers import FitSample
from detail_embed.images.reader import read_images
from detail_embed.storage.whole_files import write_whole
from detail_embed.texts.text_cache import encode_vocabulary

logger = logging.getLogger(__name__)

FEW = 16
SEED, FRESH = 1601, 1611  # of the frontier's scenes; of some that nothing was chosen on
PROPOSED = (10, 30, 60)
_SETTINGS = {"backgrounds": UNSEEN_KINDS, "bank": "things"}


@dataclass(frozen=True)
class Row:
    """A method, measured.

    Attributes:
        method: what was measured
        vectors: of an image
        map: mean, low and high of the mean average precision by scale, all vectors
        few: of the best of 16 vectors an image
        cosine: of the features with those of the true crops of c = 10, mean over all
            windows but the whole image; NaN for crops of another cover
        precisions: the average precision of each word that is shown
        ms: decoding, cutting and encoding an image, by the clock
        cpu_ms: of the processor, likewise
    """

    method: Method
    vectors: int
    map: dict[str, tuple[float, float, float]]
    few: float
    cosine: float
    precisions: list[float]
    ms: float = 0.0
    cpu_ms: float = 0.0


class World:
    """The frontier's scenes, seen by one backbone.

    Args:
        home: where scenes and features are kept
        backbone: the model, on the CPU by torch
        n: scenes to search in
        sample: others of the same kind, to fit on
        seed (SEED): of the sample; that of the scenes is the next
    """

    def __init__(
        self, home: Path, backbone: Backbone, n: int, sample: int, seed: int = SEED
    ) -> None:
        self.home, self.tool = home, Dense(backbone, CompleteCover(10))
        self._sets = [SceneSet("test", n, seed + 1, _SETTINGS),
                      SceneSet("sample", sample, seed, _SETTINGS)]
        self.test, self.sample = (
            make(home, some, backbone, self.tool.cover) for some in self._sets
        )
        self.size = 1120, 1120
        self.truth = _stack(self.test), _stack(self.sample)

    def distil(self, epochs: int) -> None:
        """Has the map of a copy of the tower learn from the crops of the sample."""
        tool = self.tool
        tool.distilled = clipself.distil(
            self.home / f"{tool.backbone.slug}-distilled-{epochs}.safetensors",
            tool.backbone, list(pictures(self.sample.queries.paths)), self.truth[1],
            tool.cover, epochs,
        )

    def raw(self, method: Method) -> list[Tensor]:
        """``(n, p, g, d)`` of the scenes and of the sample; kept."""
        if method.crops:
            cover, texts = CompleteCover(method.crops), self.test.texts
            return [
                _stack(make(self.home, each, self.tool.backbone, cover, texts))[
                    :, :, None
                ]
                for each in self._sets
            ]
        return [self._kept(method, scenes) for scenes in (self.test, self.sample)]

    def _kept(self, method: Method, scenes: Scenes) -> Tensor:
        name = f"{self.tool.backbone.slug}-{method.pass_name}-{len(scenes.ids)}.npy"
        if not (self.home / name).is_file():
            found = [method.raw(self.tool, image).half().numpy()
                     for image in pictures(scenes.queries.paths)]
            np.save(self.home / name, np.stack(found))
        return torch.from_numpy(np.load(self.home / name)).float()

    def measure(self, method: Method) -> Row:
        """What a method finds, kept; its time comes later."""
        known = self._known().get(self._key(method))
        if known is None:
            self._keep([self._measure(method)])
            known = self._known()[self._key(method)]
        return Row(method, **known)

    def _known(self) -> dict[str, dict]:
        kept = self.home / "rows.json"
        return json.loads(kept.read_text("utf-8")) if kept.is_file() else {}

    def _keep(self, rows: Sequence[Row]) -> None:
        known = self._known()
        for row in rows:
            values = {name: v for name, v in vars(row).items() if name != "method"}
            known[self._key(row.method)] = values
        write_whole(self.home / "rows.json", json.dumps(known, indent=1))

    def _key(self, method: Method) -> str:
        counts = f"{len(self.test.ids)}, {len(self.sample.ids)}"
        return f"{self.tool.backbone.slug}, {method.name}, {counts}"

    def _measure(self, method: Method) -> Row:
        own, sample = self.raw(method)
        fitted = self._fit(method, sample)
        own, sample = (
            method.end(self.tool, part, fitted, self.size) for part in (own, sample)
        )
        texts, cosine = self.test.texts, float("nan")
        if method.crops is None:
            cosine = float((own * self.truth[0])[:, 1:].sum(dim=2).mean())
        scores = _scores(texts, own)
        few = by_scale(self._few(own, sample), self.test)["all"][0]
        found = by_scale(scores, self.test)
        logger.info("%s: %.1f, %d vectors %.1f, cosine %.3f", method.name,
                    100 * found["all"][0], FEW, 100 * few, cosine)
        asked = np.array([g == "held-out" for g in self.test.queries.groups])
        shown = self.test.queries.target_scale[asked] > 0
        precisions = average_precision(scores[asked], shown)
        return Row(method, own.shape[1], found, few, cosine, precisions.tolist())

    def found(self, method: Method) -> Tensor:
        """``(n, p, d)`` unit features of the scenes."""
        own, sample = self.raw(method)
        return method.end(self.tool, own, self._fit(method, sample), self.size)

    def uses(self, methods: Sequence[Method]) -> tuple[dict[str, Where], dict]:
        """Where things are, and which images to look at closely, by held-out words.

        Returns:
            what the methods show of the correct hits of the crops of c = 10, by name;
            and what :func:`.proposed` says of them, by name
        """
        queries = self.test.queries
        asked = [i for i, group in enumerate(queries.groups) if group == "held-out"]
        texts, shown = self.test.texts[asked], queries.target_scale[asked] > 0
        truth = read_truth(self.home / "test", self.test.ids,
                           [queries.words[i] for i in asked])
        exact = _scores(texts, self.truth[0])
        hits = list(correct_hits(exact, truth))
        places, proposals = {}, {}
        for method in methods:
            found = self.found(method)
            cover = CompleteCover(method.crops or self.tool.cover.c)
            places[method.name] = where(found, cover, texts, truth, hits, self.size)
            proposals[method.name] = proposed(
                _scores(texts, found), exact, shown, PROPOSED
            )
            logger.info("%s: %s, %s", method.name, places[method.name],
                        proposals[method.name])
        return places, proposals

    def _few(self, own: Tensor, sample: Tensor) -> np.ndarray:
        """Scores of the best of a few vectors, as the quality *Better* makes them."""
        if own.shape[1] <= FEW:
            return torch.einsum("npd,qd->qnp", own, self.test.texts).amax(dim=2).numpy()
        backbone = self.tool.backbone
        words = encode_vocabulary(backbone, demo_vocabulary().words)
        mask = torch.ones(sample.shape[:2], dtype=torch.bool)
        fuser = fusers.create("few", backbone.dim, k=FEW)
        fuser = fuser.fit(FitSample.of_images(sample, mask, words))
        with torch.inference_mode():
            vectors = torch.cat([
                fuser(part, torch.ones(part.shape[:2], dtype=torch.bool))
                for part in own.split(50)
            ])
        return (vectors @ self.test.texts.T).amax(dim=1).T.numpy()

    def _fit(self, method: Method, sample: Tensor) -> ridge.Ridge | None:
        if not method.ridge:
            return None
        return ridge.fit(sample, self.truth[1], self.tool.cover.levels(*self.size))

    def timed(self, rows: Sequence[Row], images: int, passes: int) -> list[Row]:
        """The rows with times, kept: the fastest of passes, methods in turn."""
        if all(row.ms for row in rows):
            return list(rows)
        paths = self.test.queries.paths[:images]
        best = [(np.inf, np.inf)] * len(rows)
        fitted = {
            row.method: self._fit(row.method, self.raw(row.method)[1])
            if row.method.ridge else None for row in rows
        }
        for _ in range(passes + 1):  # the first one also makes what is kept
            for i, row in enumerate(rows):
                clock, own = time.perf_counter(), time.process_time()
                for image in pictures(paths):
                    found = row.method.raw(self.tool, image)
                    row.method.end(self.tool, found, fitted[row.method], self.size)
                spent = time.perf_counter() - clock, time.process_time() - own
                best[i] = tuple(map(min, best[i], spent))
        found = [
            replace(row, ms=1e3 * clock / images, cpu_ms=1e3 * own / images)
            for row, (clock, own) in zip(rows, best)
        ]
        self._keep(found)
        return found


def pictures(paths: Sequence[Path]) -> Iterator[Tensor]:
    """Decodes files: ``(3, H, W)`` uint8."""
    for image in read_images(paths, num_workers=1):
        if image.pixels is None:
            raise RuntimeError(f"{image.path}: {image.error}")
        yield torch.from_numpy(image.pixels).permute(2, 0, 1)


def _scores(texts: Tensor, features: Tensor) -> np.ndarray:
    """``(q, n)``: the best window of each image."""
    each = [(image @ texts.T).amax(dim=0) for image in features]
    return torch.stack(each, dim=1).numpy()


def _stack(scenes: Scenes) -> Tensor:
    found = [np.asarray(scenes.store[id].features) for id in scenes.ids]
    return torch.nn.functional.normalize(
        torch.from_numpy(np.stack(found)).float(), dim=2
    )
