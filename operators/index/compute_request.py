"""The parameters of an index run, from a form or from Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import fiftyone.core.collections as foc

from detail_embed.backbone.presets import BACKBONES
from detail_embed.cover.complete_cover import MAX_C, NO_COVER
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs.run import Run
from detail_embed.space.choose_fuser import AUTO, FALLBACK

from ..shared.form import filled
from .weights_choice import path_of

NEVER = "never"  # an answer of the form that is not empty
FLAT = "without any detail"  # likewise
BY_QUALITY = "by the quality"  # likewise
FAST, BETTER, BEST = "fast", "better", "best"
QUALITIES = {  # what the form's first choice sets; what is named itself wins
    FAST: {"cover": 4, "vectors": 8, "fuser": FALLBACK, "keep_features": False},
    BETTER: {"cover": 5, "vectors": AUTO, "keep_features": False},
    BEST: {"cover": Settings.cover, "vectors": AUTO, "keep_features": True},
}  # points of docs/results/frontier.md


@dataclass(frozen=True)
class Request:
    """What is to be computed, and where it shall go.

    Attributes:
        settings: the embedding space
        brain_key: key of the index
        backend: a FiftyOne similarity backend, None for the default
        also_global: whether to index the whole-image vectors too
        overwrite: whether to start over
        shards: how many delegated runs share the images
        shard: which of them this is, ``(i, n)``; None for all images
    """

    settings: Settings
    brain_key: str = "detail"
    backend: str | None = None
    also_global: bool = True
    overwrite: bool = False
    shards: int = 1
    shard: tuple[int, int] | None = None

    def __post_init__(self):
        if not isinstance(self.shards, int) or self.shards < 1:
            raise ValueError(
                f"shards={self.shards!r}: give the number of delegated runs, at least 1"
            )

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Reads an operator's parameters; what is missing or empty takes its default.

        Raises:
            ValueError: if a value cannot be read
        """
        given = {k: v for k, v in filled(params).items() if v != BY_QUALITY}
        given = _of_quality(given.get("quality")) | given
        backbone = given.get("backbone", Settings.backbone)
        if not isinstance(backbone, str):
            raise ValueError(f"backbone must be a text, not {backbone!r:.80}")
        if "pretrained" not in given and not given.get("allow_random_weights"):
            given["pretrained"] = BACKBONES.get(backbone)
        elif isinstance(given.get("pretrained"), str):
            given["pretrained"] = path_of(given["pretrained"])
        if "cover" in given:
            given["cover"] = _read_cover(given["cover"])
        if "vectors" in given:
            given["vectors"] = _read_vectors(given["vectors"])
        for name in ("keep_features", "skip_flat"):
            if given.get(name) == NEVER:
                given[name] = False
        if given.get("skip_flat") == FLAT:
            given["skip_flat"] = True
        if "proxies" in given:
            given["proxies"] = _read_words(given["proxies"])
        names = {field.name for field in fields(Settings)}
        settings = Settings(**{k: v for k, v in given.items() if k in names})
        own = {field.name for field in fields(cls)} - {"settings"}
        return cls(settings, **{k: v for k, v in given.items() if k in own})

    def check(self, samples: foc.SampleCollection) -> None:
        """Checks what can be checked before a run."""
        compute_index.check_compute(
            self._index(samples),
            samples,
            self.settings,
            self.backend,
            self.overwrite,
            self.also_global,
            self.shard and tuple(self.shard),
        )

    def prepare(self, samples: foc.SampleCollection) -> Run:
        """Checks, and returns the run before shards, of ``compute_index.prepare``."""
        self.check(samples)
        return compute_index.prepare(
            self._index(samples), samples, self.settings, self.overwrite
        )

    def start(self, samples: foc.SampleCollection) -> Run:
        """Checks, and returns the run; see :func:`.compute_index.compute`."""
        return compute_index.compute(
            self._index(samples),
            samples,
            self.settings,
            self.backend,
            self.also_global,
            self.overwrite,
            self.shard and tuple(self.shard),
        )

    def _index(self, samples: foc.SampleCollection) -> Index:
        return Index.of(samples, self.brain_key)


def _of_quality(quality: str | None) -> dict[str, Any]:
    if quality is not None and quality not in QUALITIES:
        raise ValueError(f"quality={quality!r}: give one of {', '.join(QUALITIES)}")
    return QUALITIES.get(quality, {})


def _read_cover(value: int | str) -> int | str:
    if value in (AUTO, NO_COVER):
        return value
    try:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
        if not 1 <= int(value) <= MAX_C:
            raise ValueError
        return int(value)
    except (ValueError, TypeError):
        raise ValueError(
            f"cover must be 1 to {MAX_C}, 'auto' or 'none', not {value!r}"
        ) from None


def _read_vectors(value: int | str) -> int | str:
    is_number = isinstance(value, str) and value.isdecimal()
    return int(value) if is_number else value


def _read_words(value: str | list[str]) -> tuple[str, ...]:
    """Words of a list, or of a text with commas or line breaks between them."""
    words = re.split(r"[,\n]", value) if isinstance(value, str) else value
    if not isinstance(words, Iterable) or not all(isinstance(w, str) for w in words):
        raise ValueError(f"proxies must be words, not {value!r}")
    return tuple(word.strip() for word in words if word.strip())
