"""The retrieval table: methods by bank, by words and by the scale of the target."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .metrics import measure

ALL = "all"
BINS = (0.0, 0.04, 0.065, 0.1, 0.16, 0.28, 1.0)
_METRICS = ("map", "map_50", "recall_10", "r_precision")
_TITLES = ("mAP", "mAP@50", "R@10", "R-prec")


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
    target_scale = np.nan_to_num(np.asarray(target_scale, dtype=np.float64))
    if len(groups) != len(target_scale):
        raise ValueError(
            f"groups: one per query expected, got {len(groups)} for "
            f"{len(target_scale)} queries"
        )
    shown = target_scale > 0
    selections = [(ALL, shown)] + [
        (f"{low:g}-{high:g}", (target_scale > low) & (target_scale <= high))
        for low, high in pairwise(bins)
    ]
    rows = []
    for method, values in scores.items():
        measured = {
            scale: measure(values, relevant, shown & ~relevant)
            for scale, relevant in selections
        }
        for group in dict.fromkeys(groups):
            members = np.array([g == group for g in groups])
            for scale, metrics in measured.items():
                counted = metrics[members & ~np.isnan(metrics[:, 0])]
                if len(counted):
                    rows.append(
                        Row(method, *group, scale, len(counted), *counted.mean(axis=0))
                    )
    return rows


def format_table(rows: Sequence[Row], scale: str | None = ALL) -> str:
    """Lays rows out as text, one line a row, numbers in percent.

    Args:
        rows: of :func:`table`
        scale ("all"): only rows of this scale bin; None for all
    """
    head = ("method", "bank", "words", "scale", "queries", *_TITLES)
    lines = [head] + [
        (
            row.method,
            row.bank,
            row.words,
            row.scale,
            str(row.queries),
            *(f"{100 * getattr(row, metric):.1f}" for metric in _METRICS),
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
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    key: f"{value:.6f}" if isinstance(value, float) else value
                    for key, value in asdict(row).items()
                }
            )
