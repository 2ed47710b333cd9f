"""What a setting finds and what it costs: patches of a cover times vectors kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks._league import methods
from benchmarks._league.data import Scenes, SceneSet, make
from benchmarks._league.methods import Scored
from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS
from detail_embed.cover import CompleteCover
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.evaluation import bootstrap, measure_by_scale
from detail_embed.fusers import FitSample, Fuser
from detail_embed.texts.text_cache import encode_vocabulary

logger = logging.getLogger(__name__)

COVERS = (3, 4, 5, 6, 8, 10, "auto")
BINS = (0.0, 0.04, 0.08, 0.15, 0.25, 1.0)
FEW = (4, 8, 16)
ALL = "all"
_ENCODE = "encode"
_Done = TypeVar("_Done")
_SETTINGS = {"backgrounds": UNSEEN_KINDS, "bank": "things"}


@dataclass(frozen=True)
class Point:
    """One setting.

    Attributes:
        c: of the cover
        kept: vectors an image, and how they are made
        patches: of an image
        bytes: that are kept of an image
        encode_ms: decoding, cutting and encoding an image
        cpu_ms: of all cores, likewise
        fuse_ms: making its vectors of the patches
        map: mean, low and high of the mean average precision by scale
    """

    c: int | str
    kept: str
    patches: int
    bytes: float
    map: dict[str, tuple[float, float, float]]
    encode_ms: float = 0.0
    cpu_ms: float = 0.0
    fuse_ms: float = 0.0

    @property
    def ms(self) -> float:
        """All that an image takes."""
        return self.encode_ms + self.fuse_ms

    @property
    def quality(self) -> float:
        """Mean average precision for things of all scales, 0 to 1."""
        return self.map["all"][0]


class World:
    """The scenes to search in, and a sample of the same kind to fit on.

    Args:
        home: where scenes and features are kept
        n: scenes to search in
        sample: scenes to fit on
    """

    def __init__(self, home: Path, n: int, sample: int) -> None:
        self.home = home
        self.backbone = Backbone.load("detail-demo", device="cpu")
        self._test = SceneSet("test", n, 1602, _SETTINGS)
        self._sample = SceneSet("sample", sample, 1601, _SETTINGS)
        self._texts: torch.Tensor | None = None  # of the words that are asked for

    def cover(self, c: int | str) -> CompleteCover:
        """The cover; as fine as this backbone can use, if it is "auto"."""
        return CompleteCover(c, input_size=self.backbone.input_size)

    def test(self, c: int | str) -> Scenes:
        """The scenes to search in."""
        scenes = make(
            self.home, self._test, self.backbone, self.cover(c), self._texts
        )
        self._texts = scenes.texts
        return scenes

    def sample(self, c: int | str) -> Scenes:
        """The scenes to fit on, without words."""
        nothing = torch.empty(0, self.backbone.dim)
        return make(self.home, self._sample, self.backbone, self.cover(c), nothing)

    def words(self) -> torch.Tensor:
        """``(K, d)``: words that a user may name, none of which is asked for."""
        return encode_vocabulary(self.backbone, demo_vocabulary().words)


def measure(world: World, c: int | str) -> tuple[list[Point], dict[str, Fuser]]:
    """Every number of vectors with one cover, without times; and what makes them."""
    images, mask = methods.sample(world.sample(c))
    made = {"1 (gmp)": fusers.create("gmp", images.shape[2]),
            "1 (ridge)": fusers.create("ridge", images.shape[2])}
    made |= {str(k): fusers.create("few", images.shape[2], k=k) for k in FEW}
    sample = FitSample.of_images(images, mask, world.words())
    made = {name: fuser.fit(sample) for name, fuser in made.items()}
    scenes = world.test(c)
    scored = {
        name: (methods.score_few if fuser.makes_few else methods.score_single)(
            fuser, scenes
        )
        for name, fuser in made.items()
    } | {ALL: methods.score_maxsim(scenes)}
    patches = len(scenes.store[scenes.ids[0]].features)
    points = [_point(c, name, patches, found, scenes) for name, found in scored.items()]
    logger.info("c = %s: %s", c, [f"{p.kept}: {100 * p.quality:.1f}" for p in points])
    return points, made


def by_scale(
    scores: np.ndarray, scenes: Scenes
) -> dict[str, tuple[float, float, float]]:
    """Mean, low and high of held-out words' average precision, by scale of things."""
    asked = np.array([group == "held-out" for group in scenes.queries.groups])
    measured = measure_by_scale(
        scores[asked], scenes.queries.target_scale[asked], BINS, ("map",)
    )
    return {scale: _summary(values[:, 0]) for scale, values in measured.items()}


def timed(
    world: World, points: list[Point], made: dict[int | str, dict[str, Fuser]],
    images: int, passes: int,
) -> list[Point]:
    """The points with times: the fastest of several passes, settings in turn."""
    paths = world.test(10).queries.paths[:images]
    clock = _Clock(len(paths))
    for _, (c, fusers_) in product(range(passes), made.items()):
        encode = partial(_encode, paths, world.backbone, world.cover(c))
        features = clock.note((c, _ENCODE), encode)
        for name, fuser in fusers_.items():
            with torch.inference_mode():
                clock.note((c, name), partial(fuser.fuse, features))
    return [
        replace(
            p, encode_ms=clock.wall[p.c, _ENCODE], cpu_ms=clock.cpu[p.c, _ENCODE],
            fuse_ms=clock.wall.get((p.c, p.kept), 0.0),
        )
        for p in points
    ]


class _Clock:
    """The least milliseconds an image, by the clock and of the processor."""

    def __init__(self, images: int) -> None:
        self.wall: dict[Hashable, float] = {}
        self.cpu: dict[Hashable, float] = {}
        self._images = images

    def note(self, key: Hashable, work: Callable[[], _Done]) -> _Done:
        """Does some work and notes what it took, if it took less than before."""
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        for times, spent in ((self.wall, wall), (self.cpu, cpu)):
            spent = 1e3 * spent / self._images
            times[key] = min(spent, times.get(key, spent))
        return done


def _encode(
    paths: Sequence[Path], backbone: Backbone, cover: CompleteCover
) -> torch.Tensor:
    images = iter_patch_features(enumerate(paths), backbone, cover)
    return torch.stack([image.features for image in images])


def _point(
    c: int | str, name: str, patches: int, found: Scored, scenes: Scenes
) -> Point:
    quality = by_scale(found.scores, scenes)
    return Point(c, name, patches, found.bytes_per_image, quality)


def _summary(values: np.ndarray) -> tuple[float, float, float]:
    values = values[~np.isnan(values)]
    low, high = bootstrap(values)
    return float(values.mean()), float(low), float(high)
