"""The report card: which fuser keeps most of a full patch search, without labels.

A search of all patches (MaxSim) is the teacher: for words that no fuser was fitted
on, its best hits among the user's own images are what one vector should find again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detail_embed.evaluation import bootstrap, find_hits, measure
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.checks import check_features, check_rows
from detail_embed.fusers.maxsim import maxsim_batch
from detail_embed.storage.whole_files import megabytes

GLOBAL, MAXSIM = "global", "MaxSim"
MIN_WORDS = 8
KEEP = 0.9  # of a search of all patches: what is enough

_FUSE_IMAGES = 32
_TIMES = 5  # that a search is timed: the fastest counts
_MANY = 1000  # images, for which sizes and times are told


@dataclass(frozen=True)
class CardRow:
    """What a way to rank images keeps of the teacher's best hits.

    Attributes:
        top_50: share of a word's ``m <= 50`` hits among the first ``m``, 0 to 1
        map: mean average precision, the hits being what is relevant, 0 to 1
        top_50_interval: 95 % bootstrap interval over the words; NaN for one word
        map_interval: as above
        vectors: per image
        bytes: of the vectors of an image, in float32; None where it is not known
        milliseconds: to compare one word with those of 1,000 images, as far as can be
            told by the images that were ranked; None likewise
    """

    top_50: float
    map: float
    top_50_interval: tuple[float, float]
    map_interval: tuple[float, float]
    vectors: int = 1
    bytes: int | None = None
    milliseconds: float | None = None


@dataclass(frozen=True)
class ReportCard:
    """How much of a full patch search each fuser keeps.

    Attributes:
        rows: by fuser, then ``"global"``, the whole image alone, and ``"MaxSim"``,
            the teacher itself
        images: images that were ranked
        words: words that counted: those of which some image stands out
        asked: words that were asked
        about: where the words came from, for messages
    """

    rows: Mapping[str, CardRow] = field(repr=False)
    images: int
    words: int
    asked: int
    about: str = "words"

    def best(self) -> str:
        """The fuser of one vector with the highest mAP; the first of equals."""
        names = self._fusers()
        return max(names, key=lambda name: self.rows[name].map)

    def enough(self) -> str:
        """The fuser of fewest vectors that keeps 90 %.

        Where none does, that of most vectors, unless one vector does better.
        """
        best = self.best()
        few = [name for name, row in self.rows.items() if row.vectors > 1]
        by_size = [best, *sorted(few, key=lambda name: self.rows[name].vectors)]
        kept = [name for name in by_size if self.rows[name].map >= KEEP]
        if kept:
            return kept[0]
        most = by_size[-1]
        return most if self.rows[most].map > self.rows[best].map else best

    def reason(self) -> str:
        """Says in a sentence, for a person, why :meth:`enough` was chosen."""
        chosen, best = self.enough(), self.best()
        one = f"one ({best}) {self._percent(best)}"
        if chosen == best:
            kept = f"one vector an image ({best}) keeps {self._percent(best)}"
        else:
            count = self.rows[chosen].vectors
            kept = f"{count} vectors an image keep {self._percent(chosen)}"
        text = f"{kept} of what a search of all patches finds"
        others = sorted(
            (name for name in self._measured() if name not in (chosen, best)),
            key=lambda name: -self.rows[name].map,
        )
        rest = [] if chosen == best else [one]
        rest += [f"{self._named(name)} {self._percent(name)}" for name in others]
        rest.append(f"the whole image alone {self._percent(GLOBAL)}")
        text += (
            f"; {', '.join(rest)}.{self._costs(chosen)} Measured on {self.images} of "
            f"your images, by {self.words} words that nothing was fitted on"
        )
        if self.rows[chosen].map < self.rows[GLOBAL].map:
            text += "; the whole image alone is better than any of them here"
        return text

    def to_dict(self) -> dict[str, Any]:
        """The card as plain JSON values: NaN is None."""
        return _jsonable(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReportCard:
        """Reads what :meth:`to_dict` wrote."""
        rows = {
            name: CardRow(
                row["top_50"], row["map"],
                _interval(row["top_50_interval"]), _interval(row["map_interval"]),
                row.get("vectors", 1), row.get("bytes"), row.get("milliseconds"),
            )
            for name, row in values["rows"].items()
        }
        return cls(**{**values, "rows": rows})

    def format(self) -> str:
        """Lays the card out as text, numbers in percent."""
        width = max(map(len, self.rows))
        lines = [
            f"{self.images} images, {self.words} of {self.asked} held-out words "
            f"({self.about}) of which some image stands out",
            f"{'':{width}}    mAP   95 %         top-50   95 %",
        ]
        for name, row in self.rows.items():
            lines.append(
                f"{name:{width}}  {100 * row.map:5.1f}   {_range(row.map_interval)}  "
                f"{100 * row.top_50:5.1f}   {_range(row.top_50_interval)}"
            )
        return "\n".join(lines)

    def _measured(self) -> list[str]:
        return [name for name in self.rows if name not in (GLOBAL, MAXSIM)]

    def _fusers(self) -> list[str]:
        """Those of one vector."""
        return [name for name in self._measured() if self.rows[name].vectors == 1]

    def _named(self, name: str) -> str:
        count = self.rows[name].vectors
        return name if count == 1 else f"{count} vectors"

    def _costs(self, name: str) -> str:
        """Room and time of the vectors, in a sentence; empty where not measured."""
        row, patches = self.rows[name], self.rows[MAXSIM].milliseconds
        if row.bytes is None or row.milliseconds is None or patches is None:
            return ""
        return (
            f" For {_MANY:,} images that is {megabytes(_MANY * row.bytes)}, and "
            f"{row.milliseconds:.2g} ms a search; of all patches {patches:.2g} ms."
        )

    def _percent(self, name: str) -> str:
        return f"{100 * self.rows[name].map:.0f} %"


def report_card(
    fusers: Mapping[str, Fuser],
    features: Tensor,
    mask: Tensor | None,
    words: Tensor,
    about: str = "words",
) -> ReportCard:
    """Measures how much of MaxSim's ranking each fuser keeps.

    The hits of a word are the images whose best patch scores 2.5 standard deviations
    above the word's mean over the images, and at most 50 of them; words without a hit,
    which nothing seems to show, do not count. How the rule was chosen, and how far the
    card's order is that of true labels, is in docs/results/report-card.md.

    Args:
        fusers: fitted fusers by name
        features: ``(n, p, d)`` unit features of images that no fuser was fitted on,
            row 0 the whole image
        mask: ``(n, p)`` bool, the valid rows; None for all
        words: ``(K, d)`` unit features of texts that no fuser was fitted on
        about ("words"): where the words came from, for messages

    Raises:
        ValueError: if there is no fuser, features or words are not finite or of another
            dimension, or too few words have a hit to compare fusers by
    """
    if not fusers or {GLOBAL, MAXSIM} & fusers.keys():
        raise ValueError(
            f"fusers: give at least one, not named {GLOBAL!r} or {MAXSIM!r}"
        )
    features, mask = check_features(features, mask, next(iter(fusers.values())).dim)
    words = check_rows(words, features.shape[2], "words").to(features)
    with torch.inference_mode():
        teacher = maxsim_batch(words, features, mask).T.cpu().double().numpy()
        vectors = {
            name: _fuse(fuser, features, mask) for name, fuser in fusers.items()
        } | {GLOBAL: features[:, :1]}
        scores = {
            name: (some @ words.T).amax(dim=1).T.cpu().numpy()
            for name, some in vectors.items()
        }
        times = {
            name: _milliseconds(lambda some=some: (some @ words[0]).amax(dim=1))
            for name, some in vectors.items()
        }
        times[MAXSIM] = _milliseconds(lambda: maxsim_batch(words[:1], features, mask))
    hits = find_hits(teacher)
    counted = hits.any(axis=1)
    if counted.sum() < MIN_WORDS:
        raise ValueError(
            f"{counted.sum()} of {len(words)} held-out words ({about}) stand out in "
            f"any of {len(features)} images; it takes {MIN_WORDS} to compare fusers"
        )
    scores[MAXSIM] = teacher
    rows = {
        name: replace(
            _row(s[counted], hits[counted]),
            milliseconds=times[name] * _MANY / len(features),
        )
        for name, s in scores.items()
    }
    for name, some in vectors.items():
        size = some[0].numel() * 4  # bytes of a float32
        rows[name] = replace(rows[name], vectors=some.shape[1], bytes=size)
    return ReportCard(rows, len(features), int(counted.sum()), len(words), about)


def _fuse(fuser: Fuser, features: Tensor, mask: Tensor) -> Tensor:
    """``(n, k, d)`` vectors of the images."""
    blocks = zip(features.split(_FUSE_IMAGES), mask.split(_FUSE_IMAGES), strict=True)
    return torch.cat([fuser.fuse(*block).vectors for block in blocks])


def _milliseconds(search: Callable[[], Tensor]) -> float:
    """What a search takes, its answer on the CPU."""
    times = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        search().cpu()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def _row(scores: NDArray, hits: NDArray[np.bool_]) -> CardRow:
    """Means over words; R-precision is the share of m hits among the first m."""
    values = measure(scores, hits, np.zeros_like(hits), ("r_precision", "map"))
    (top_50, map), (low, high) = values.mean(axis=0), bootstrap(values)
    ends = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return CardRow(float(top_50), float(map), *ends)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(each) for each in value]
    return None if value != value else value


def _interval(ends: list[float | None]) -> tuple[float, float]:
    low, high = (float("nan") if end is None else end for end in ends)
    return low, high


def _range(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * low:4.1f} - {100 * high:4.1f}"
