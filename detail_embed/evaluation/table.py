"""The retrieval table: methods by bank, by words and by the scale of the target."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detail_embed.evaluation.metrics import METRICS, measure

ALL = "all"
BINS = (0.0, 0.04, 0.065, 0.1, 0.16, 0.28, 1.0)
_TITLES = {"map": "mAP", "r_precision": "R-prec", "recall": "R", "ndcg": "nDCG"}


@dataclass(frozen=True)
class Row:
    """One line of the retrieval table: means over the queries of a group.

    Attributes:
        method: name of the method
        bank: first part of the group, e.g. ``"things"``
        words: second part of the group, e.g. ``"proxy"`` or ``"held-out"``
        scale: scale bin, e.g. ``"0.04-0.065"``, or ``"all"``
        queries: number of queries with at least one relevant image
        map: mean average precision, 0 to 1
        map_50: the same over the first 50; see :func:`average_precision`
        recall_10: share of relevant images among the first 10
        r_precision: precision at the number of relevant images
        more: further numbers by name, e.g. ``"ndcg_10"``; columns of their own in CSV
    """

    method: str
    bank: str
    words: str
    scale: str
    queries: int
    map: float
    map_50: float
    recall_10: float
    r_precision: float
    more: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> float:
        """A number by its name, one of :data:`METRICS` or of ``more``."""
        return self.more[metric] if metric in self.more else getattr(self, metric)


def table(
    scores: Mapping[str, ArrayLike],
    target_scale: ArrayLike,
    groups: Sequence[tuple[str, str]],
    bins: Sequence[float] = BINS,
) -> list[Row]:
    """Compares methods by bank, by group of words and by the scale of the target.

    A relevant image counts in the bin of its target's scale; relevant images of the
    other bins are left out of that bin's ranking. Queries without a relevant image
    (of the bin) do not count.

    Args:
        scores: ``(q, n)`` per method, higher is better
        target_scale: ``(q, n)`` side of the largest such object in the image, as a
            fraction of the image's side; 0 or NaN where the image shows none
        groups: (bank, words) of each query
        bins (BINS): increasing edges; a scale falls in ``low < scale <= high``

    Returns:
        rows by method, then group in order of first mention, then ``"all"`` and the
        bins; groups and bins without a query are left out

    Raises:
        ValueError: on shapes that differ or NaN scores
    """
    target_scale = np.asarray(target_scale, dtype=np.float64)
    if len(groups) != len(target_scale):
        raise ValueError(
            f"groups: one per query expected, got {len(groups)} for "
            f"{len(target_scale)} queries"
        )
    rows = []
    for method, values in scores.items():
        measured = measure_by_scale(values, target_scale, bins)
        for group in dict.fromkeys(groups):
            members = np.array([g == group for g in groups])
            for scale, metrics in measured.items():
                counted = metrics[members & ~np.isnan(metrics[:, 0])]
                if len(counted):
                    rows.append(
                        Row(method, *group, scale, len(counted), *counted.mean(axis=0))
                    )
    return rows


def measure_by_scale(
    scores: ArrayLike,
    target_scale: ArrayLike,
    bins: Sequence[float] = BINS,
    metrics: Sequence[str] = METRICS,
) -> dict[str, NDArray[np.float64]]:
    """Measures each query on all images and on the targets of each scale bin.

    Args:
        scores: ``(q, n)``, higher is better
        target_scale: ``(q, n)``, as for :func:`table`
        bins (BINS): increasing edges; none for no bins
        metrics (METRICS): names of ``m`` metrics, see :func:`.metrics.measure`

    Returns:
        ``(q, m)`` by scale, ``"all"`` first; NaN where a query has no target
    """
    target_scale = np.nan_to_num(np.asarray(target_scale, dtype=np.float64))
    shown = target_scale > 0
    selections = {ALL: shown} | {
        name: (target_scale > low) & (target_scale <= high)
        for name, (low, high) in zip(bin_names(bins), pairwise(bins), strict=True)
    }
    return {
        scale: measure(scores, relevant, shown & ~relevant, metrics)
        for scale, relevant in selections.items()
    }


def bin_names(bins: Sequence[float]) -> list[str]:
    """Names of scale bins, e.g. ``"0.04-0.065"``, from their edges."""
    return [f"{low:g}-{high:g}" for low, high in pairwise(bins)]


def title(metric: str) -> str:
    """A metric's name for a person: ``"recall_10"`` -> ``"R@10"``."""
    if metric in _TITLES:
        return _TITLES[metric]
    kind, _, k = metric.partition("_")
    return f"{_TITLES[kind]}@{k}"


def format_table(rows: Sequence[Row], scale: str | None = ALL) -> str:
    """Lays rows out as text, one line a row, numbers in percent.

    Args:
        rows: of :func:`table`
        scale ("all"): only rows of this scale bin; None for all
    """
    head = ("method", "bank", "words", "scale", "queries", *map(title, METRICS))
    lines = [head] + [
        (
            row.method,
            row.bank,
            row.words,
            row.scale,
            str(row.queries),
            *(f"{100 * getattr(row, metric):.1f}" for metric in METRICS),
        )
        for row in rows
        if scale in (None, row.scale)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = 4
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def write_csv(rows: Sequence[Row], path: str | Path) -> None:
    """Writes rows as a CSV file with a header, UTF-8, six decimals."""
    Path(path).write_bytes(to_csv(map(as_dict, rows), _columns(rows)).encode())


def to_csv(lines: Iterable[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Lays lines out as CSV with a header; floats have six decimals, NaN is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for line in lines:
        writer.writerow({key: _cell(value) for key, value in line.items()})
    return text.getvalue()


def as_dict(row: Row) -> dict[str, object]:
    """A row by column, those of ``more`` last."""
    own = {column: getattr(row, column) for column in _OWN}
    return own | row.more


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys([*_OWN, *(key for row in rows for key in row.more)]))


def _cell(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.6f}"


_OWN = [column.name for column in fields(Row) if column.name != "more"]
