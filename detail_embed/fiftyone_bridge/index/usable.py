"""Which vectors of an index can be searched: those of its space, and finite."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from detail_embed.fiftyone_bridge.index import provenance
from detail_embed.fiftyone_bridge.index.index import Index

logger = logging.getLogger(__name__)


def usable(
    index: Index, ids: Sequence[str], matrix: np.ndarray, labels: Any = None
) -> tuple[Sequence[str], np.ndarray, Any]:
    """Leaves out vectors of another space, and those that are not finite.

    Args:
        index: what they are of
        ids: ``n`` sample ids
        matrix: ``(n, d)``
        labels (None): ``n`` label ids

    Returns:
        ids, matrix and labels of the rest
    """
    out = set(provenance.foreign_ids(index))
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        bad = {ids[row] for row in np.flatnonzero(~finite)}
        logger.warning(
            "%d vectors of the index %r hold NaN or infinite values and are left out, "
            "such as that of the sample %s", len(bad), index.key, min(bad),
        )
        out |= bad
    if not out:
        return ids, matrix, labels
    rows = [row for row, id in enumerate(ids) if id not in out]
    labels = None if labels is None else [labels[row] for row in rows]
    return [ids[row] for row in rows], matrix[rows], labels
