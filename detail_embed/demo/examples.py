"""Searches that the demo offers: small things that its index is sure to find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from detail_embed.clver_ds import Queries
from detail_embed.demo.table import GLOBAL
from detail_embed.evaluation import average_precision
from detail_embed.fiftyone_bridge import DetailIndex

_OFFERED = {"things": 3, "solids": 1}  # of each bank
_SMALL = 0.1  # side of a small thing, as a fraction of the image's
_FIRST = 3  # hits that must be right


@dataclass(frozen=True)
class Example:
    """A search that finds what it says.

    Attributes:
        word: what is typed
        scenes: number of scenes that show it
        percent: side of the largest such thing, of the image's
    """

    word: str
    scenes: int
    percent: float


def find_examples(
    queries: Queries,
    scores: Mapping[str, np.ndarray],
    method: str,
    index: DetailIndex,
) -> list[Example]:
    """Chooses small things of which much is gained, and searches for each as the panel.

    Args:
        queries: the scenes and words
        scores: ``(q, n)`` by method, see :func:`.table.score_methods`
        method: that is compared with whole images
        index: of the scenes

    Returns:
        those whose first hits, three where so many scenes show it, do show it
    """
    chosen = []
    order = best_first(queries, scores, method)
    for bank, count in _OFFERED.items():
        rows = (row for row in order if queries.banks[row] == bank)
        found = (row for row in rows if _is_found(queries, row, index))
        chosen += [row for row, _ in zip(found, range(count))]
    return [
        Example(
            word=queries.words[row],
            scenes=int((queries.target_scale[row] > 0).sum()),
            percent=100 * float(queries.target_scale[row].max()),
        )
        for row in chosen
    ]


def best_first(
    queries: Queries, scores: Mapping[str, np.ndarray], method: str
) -> Iterable[int]:
    """Rows of the words: small things first, those of which most scenes are gained."""
    relevant = queries.target_scale > 0
    gain = relevant.sum(1) * (
        average_precision(scores[method], relevant)
        - average_precision(scores[GLOBAL], relevant)
    )
    is_large = queries.target_scale.max(1) > _SMALL
    return np.lexsort((-gain, is_large)).tolist()


def _is_found(queries: Queries, row: int, index: DetailIndex) -> bool:
    shown = np.flatnonzero(queries.target_scale[row])
    right = {str(queries.paths[i].absolute()) for i in shown}
    found = index.search(queries.words[row], k=min(_FIRST, len(shown)))
    return set(found.view.values("filepath")) <= right
