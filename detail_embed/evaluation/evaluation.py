"""Methods measured on the same queries: a table, classes, intervals, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detail_embed.evaluation.intervals import bootstrap
from detail_embed.evaluation.metrics import METRICS
from detail_embed.evaluation.plot import plot
from detail_embed.evaluation.table import ALL, Row, as_dict, to_csv


@dataclass(frozen=True)
class LabelQuery:
    """One text that is looked for.

    Attributes:
        label: the class that counts as found
        prompt: the text that is typed
        words: group of the text, e.g. ``"proxy"`` or ``"held-out"``, or ``"all"``
    """

    label: str
    prompt: str
    words: str = ALL


class Difference(NamedTuple):
    """How much better one method is than another, on the same queries.

    Attributes:
        mean: mean difference over the queries
        low: lower end of its paired bootstrap interval
        high: upper end
        queries: number of queries
    """

    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True)
class Evaluation:
    """How well each method ranks the images for each query.

    Attributes:
        methods: the ``m`` methods; in FiftyOne, brain keys
        bank: where the queries come from; in FiftyOne, the label field
        queries: the ``q`` queries
        metrics: names of ``k`` metrics, see :func:`.metrics.measure`
        scales: ``"all"`` and the names of the scale bins, ``s`` together
        values: ``(m, q, s, k)`` float64, NaN where a query has no target in the bin
        targets: ``(q, s)`` int, number of images that show what is looked for
        images: number of images that were ranked
        missing: by method, images that it did not rank; they count as ranked last
        confidence: of the intervals
        facts: what else is known: name, date, versions, ...
    """

    methods: Sequence[str]
    bank: str
    queries: Sequence[LabelQuery]
    metrics: Sequence[str]
    scales: Sequence[str]
    values: NDArray[np.float64]
    targets: NDArray[np.int64]
    images: int
    missing: Mapping[str, int]
    confidence: float = 0.95
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def rows(self) -> list[Row]:
        """The table: means by method, group of words and scale, with intervals.

        The ends of the intervals are in ``more``, as ``"map_low"`` and ``"map_high"``.
        Several groups of words come after one line for all of them.
        """
        return [
            self._row(method, words, scale, values)
            for m, method in enumerate(self.methods)
            for words in self.words
            for s, scale in enumerate(self.scales)
            if len(values := self._measured(self.values[m, :, s], words))
        ]

    @cached_property
    def classes(self) -> list[dict[str, Any]]:
        """One dict per method, query and scale at which the query has a target."""
        return [
            {
                "method": method,
                "label": query.label,
                "prompt": query.prompt,
                "words": query.words,
                "scale": scale,
                "targets": int(self.targets[q, s]),
                **dict(zip(self.metrics, self.values[m, q, s].tolist())),
            }
            for m, method in enumerate(self.methods)
            for q, query in enumerate(self.queries)
            for s, scale in enumerate(self.scales)
            if self.targets[q, s]
        ]

    @property
    def words(self) -> list[str]:
        """The groups of words, ``"all"`` first."""
        return list(dict.fromkeys([ALL, *(query.words for query in self.queries)]))

    @property
    def notes(self) -> list[str]:
        """What a reader must know before believing the numbers."""
        notes = [
            f"{method}: {count} of {self.images} images were not ranked (they have no "
            "vector, or the backend returns no more) and count as ranked last"
            for method, count in self.missing.items()
            if count
        ]
        notes += [
            f"{count} labels {lack} were left out"
            for lack, count in self.facts.get("left_out", {}).items()
        ]
        if len(self.queries) == 1:
            notes.append("Only one class: no interval can be given")
        everywhere = int((self.targets[:, 0] == self.images).sum())
        if everywhere:
            notes.append(
                f"{everywhere} classes are on every image: any order is right for them"
            )
        return notes

    def compare(
        self,
        first: str,
        second: str,
        metric: str = "map",
        scale: str = ALL,
        words: str = ALL,
    ) -> Difference:
        """Says how much better the second method is than the first.

        Args:
            first: a method
            second: another method
            metric ("map"): one of :attr:`metrics`
            scale ("all"): one of :attr:`scales`
            words ("all"): one of :attr:`words`

        Raises:
            ValueError: if one of them was not measured
        """
        at = [
            self._position(self.methods, first),
            self._position(self.methods, second),
        ]
        values = self.values[
            at, :, self._position(self.scales, scale),
            self._position(self.metrics, metric),
        ]  # fmt: skip
        self._position(self.words, words)
        gain = self._measured((values[1] - values[0])[:, None], words)[:, 0]
        low, high = bootstrap(gain, self.confidence)
        mean = gain.mean() if len(gain) else np.nan
        return Difference(float(mean), float(low), float(high), len(gain))

    def csv(self) -> str:
        """:attr:`rows` as CSV."""
        return to_csv(map(as_dict, self.rows), list(as_dict(self.rows[0])))

    def classes_csv(self) -> str:
        """:attr:`classes` as CSV."""
        return to_csv(self.classes, list(self.classes[0]))

    def export(self, folder: str | Path, name: str) -> list[Path]:
        """Writes ``<name>.csv``, ``<name>_classes.csv`` and, with scales, a plot.

        Args:
            folder: made where it is missing
            name: start of the files' names

        Returns:
            the files

        Raises:
            ValueError: if they cannot be written
        """
        folder = Path(folder).expanduser()
        files = [folder / f"{name}.csv", folder / f"{name}_classes.csv"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files[0].write_bytes(self.csv().encode())
            files[1].write_bytes(self.classes_csv().encode())
            if len(self.scales) > 1:
                files.append(folder / f"{name}.png")
                plot(self.rows, files[-1])
        except OSError as error:
            raise ValueError(f"cannot write to the folder {folder}: {error}") from error
        return files

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; NaN becomes None."""
        return {
            "methods": list(self.methods),
            "bank": self.bank,
            "metrics": list(self.metrics),
            "scales": list(self.scales),
            "images": self.images,
            "missing": dict(self.missing),
            "confidence": self.confidence,
            "facts": dict(self.facts),
            "rows": [_without_nan(as_dict(row)) for row in self.rows],
            "classes": self.classes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluation:
        """Makes an evaluation again from :meth:`to_dict`."""
        given = {k: v for k, v in values.items() if k not in ("rows", "classes")}
        lines = values["classes"]
        queries = {line["label"]: None for line in lines}
        queries = {label: q for q, label in enumerate(queries)}
        methods, scales, metrics = (given[k] for k in ("methods", "scales", "metrics"))
        targets = np.zeros((len(queries), len(scales)), np.int64)
        measured = np.full((len(methods), *targets.shape, len(metrics)), np.nan)
        for line in lines:
            q, s = queries[line["label"]], scales.index(line["scale"])
            targets[q, s] = line["targets"]
            measured[methods.index(line["method"]), q, s] = [line[k] for k in metrics]
        names = ("label", "prompt", "words")
        texts = {line["label"]: LabelQuery(*(line[k] for k in names)) for line in lines}
        return cls(
            queries=list(texts.values()), values=measured, targets=targets, **given
        )

    def _row(self, method: str, words: str, scale: str, values: NDArray) -> Row:
        means = dict(zip(self.metrics, values.mean(axis=0).tolist()))
        low, high = bootstrap(values, self.confidence)
        more = {name: mean for name, mean in means.items() if name not in METRICS}
        for end, ends in (("low", low), ("high", high)):
            more |= dict(zip((f"{name}_{end}" for name in self.metrics), ends.tolist()))
        own = [means[name] for name in METRICS]
        return Row(method, self.bank, words, scale, len(values), *own, more)

    def _measured(self, values: NDArray, words: str) -> NDArray:
        """Rows of ``(q, k)`` of a group of words that have a target."""
        kept = [words in (ALL, query.words) for query in self.queries]
        return values[np.array(kept) & ~np.isnan(values[:, 0])]

    @staticmethod
    def _position(known: Sequence[str], name: str) -> int:
        if name not in known:
            raise ValueError(f"{name!r} was not measured; choose one of {list(known)}")
        return list(known).index(name)


def _without_nan(line: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in line.items()}
