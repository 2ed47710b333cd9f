"""What an index will take: room, and time where the speed was measured."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import fiftyone.core.collections as foc

from detail_embed.backbone.weights import dimension
from detail_embed.cover import CompleteCover
from detail_embed.cover.cover_settings import CROPS, DENSE
from detail_embed.engine import speed
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.speed import Speed
from detail_embed.features.disk_space import mean_patches, mean_windows
from detail_embed.features.packing import estimate_bytes
from detail_embed.fiftyone_bridge.compute.open_space import FIT_IMAGES, MEASURED_PATCHES
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.images.some_sizes import some_sizes
from detail_embed.space.choose_fuser import AUTO, counts_within

_SECONDS = 3.0  # of a measurement, about
_IMAGES = 17  # that it looks at, at most
_LEAST = 16  # images of a run that says how fast it was


@dataclass(frozen=True)
class Estimate:
    """What an index of some images takes.

    Attributes:
        vectors: per image, that text is compared with; at most, where it is measured
        vector_bytes: of all vectors as float32; None where the model is not known yet
        feature_bytes: of patch features as int8; None likewise
        seconds: None where the speed of the model was not measured yet
        needs_words: whether words have to be encoded first, once for the model
    """

    vectors: int
    vector_bytes: int | None
    feature_bytes: int | None
    seconds: float | None
    needs_words: bool


@dataclass(frozen=True)
class Workload:
    """Some images, for a model.

    Attributes:
        images: how many
        patches: of an image with a cover, on average; None where that is not known
        dim: d of the model; None where it has to be loaded first
        speed: of the model on this machine; None where it was not measured yet
    """

    images: int
    patches: Callable[[CompleteCover], float | None]
    dim: int | None
    speed: Speed | None

    @classmethod
    def of(cls, paths: Sequence[str], settings: Settings) -> Workload:
        """That of files; some of them are looked at."""
        return cls(
            images=len(paths),
            patches=functools.partial(
                mean_windows, [size for _, size in some_sizes(paths)]
            ),
            dim=dimension(settings.backbone),
            speed=speed.recall(settings.backbone, settings),
        )

    def estimate(self, settings: Settings) -> Estimate:
        """What an index takes with these settings."""
        vectors = settings.count
        if vectors == AUTO:
            few = counts_within(settings.vector_bytes, self.dim or 1)
            vectors = max(few, default=1)
        beside = 1 + (vectors > 1)  # of the whole image, and one of all patches
        dim, patches = self.dim, self._patches(settings)
        words = settings.measures and not (self.speed and self.speed.has_words)
        return Estimate(
            vectors=vectors,
            vector_bytes=dim and 4 * dim * self.images * (vectors + beside),
            feature_bytes=(
                None if dim is None or patches is None
                else estimate_bytes(self.images, patches, dim, "int8")
            ),
            seconds=self._seconds(settings, patches),
            needs_words=words,
        )

    def _patches(self, settings: Settings) -> float | None:
        """Of an image; None where the model has to be loaded first."""
        return None if settings.cover == AUTO else self.patches(settings.make_cover())

    def _seconds(self, settings: Settings, patches: float | None) -> float | None:
        if self.speed is None or not patches or settings.features == DENSE:
            return None  # what is known is the time of a crop
        count = self.images * patches
        if settings.measures and not settings.keep_features:  # else encoded once
            count += min(MEASURED_PATCHES, min(FIT_IMAGES, self.images) * patches)
        return count / self.speed.patches


def note(paths: Sequence[str], settings: Settings, seconds: float) -> None:
    """Remembers how fast a run encoded files, if they were enough to tell."""
    if len(paths) < _LEAST or settings.cover == AUTO or not seconds:
        return
    if settings.features == DENSE:
        return
    patches = mean_patches(paths, settings.make_cover())
    if patches:
        found = Speed(len(paths) * patches / seconds, has_words=settings.measures)
        speed.remember(settings.backbone, settings, found)


def measure(samples: foc.SampleCollection, settings: Settings) -> None:
    """Encodes a few images to learn how fast that is, and remembers it.

    Raises:
        ValueError, RuntimeError: if the backbone cannot be loaded
    """
    paths = samples.limit(_IMAGES).values("filepath")
    settings = replace(settings, features=CROPS)
    backbone, cover = settings.load_backbone(), settings.make_cover()

    def encode(some: Sequence[str]) -> tuple[int, float]:
        started = time.monotonic()
        images = iter_patch_features(enumerate(some), backbone, cover, settings)
        count = sum(len(i.features) for i in images if i.features is not None)
        return count, time.monotonic() - started

    count, seconds = encode(paths[:1])  # what is done once is in it
    more = paths[1 : 1 + int(_SECONDS / max(seconds, 0.01))]
    if more:
        count, seconds = encode(more)
    if count:
        speed.remember(settings.backbone, settings, Speed(count / seconds))
