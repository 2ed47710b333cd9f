"""Which images of a result probably show what was asked."""

from __future__ import annotations

from itertools import takewhile

import numpy as np

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index import lines
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.texts.nothing_line import LOOK, common_words, weigh
from detail_embed.texts.query import Query, parse
from detail_embed.texts.text_cache import read_cached

_words: dict[str, np.ndarray] = {}  # common ones, by backbone


def find_likely(
    index: Index,
    vectors: IndexVectors,
    store: FeatureStore | None,
    query: str | Query | np.ndarray,
    vector: np.ndarray,
    templates: str,
    rows: np.ndarray,
) -> np.ndarray | None:
    """Finds the images of a result that probably show it.

    The best are looked at, and more as long as some of the last probably do.

    Args:
        index: what was searched
        vectors: those of the index
        store: the patch features by which it was searched, None if by vectors
        query: what was asked
        vector: ``(d,)`` float32, of the query, unit length
        templates: around the prompts
        rows: ``(m,)`` places of the images among those of the index, best first

    Returns:
        ``(m,)`` bool; None where that cannot be told: for examples and concepts, and
        for learned words, which the line was not measured for; for several prompts, as
        "also" and "but not" put images first that show less of each; for other
        templates; in an index of one vector an image and no patches; or where vectors
        have changed since the index was computed or updated
    """
    if not _is_one_text(query) or templates != "own":
        return None
    if query_vectors.is_learned(index, query):
        return None
    way = lines.VECTORS if store is None else lines.PATCHES
    line = lines.read(index, vectors).get(way)
    words = None if line is None else _words_of(index)
    if words is None:
        return None
    evidence = np.zeros(0)
    for start in range(0, len(rows), LOOK):
        some = rows[start : start + LOOK]
        if store is None:
            places = lines.best_vectors(vectors, vector, some)
        else:
            ids = [vectors.ids[row] for row in some.tolist()]
            held = list(takewhile(store.__contains__, ids))
            places = lines.best_patches(store, vector, held)
        weighed = weigh(vector, places, words, line.unit)
        evidence = np.concatenate([evidence, weighed])
        if len(weighed) < LOOK or not line.clearly_above(weighed).any():
            break
    likely = np.zeros(len(rows), bool)
    likely[: len(evidence)] = line.above(evidence)
    return likely


def _is_one_text(query: str | Query | np.ndarray) -> bool:
    if isinstance(query, np.ndarray):
        return False
    prompts = (parse(query) if isinstance(query, str) else query).prompts
    return len(prompts) == 1 and not prompts[0].is_concept


def _words_of(index: Index) -> np.ndarray | None:
    """Common words as the index encodes text; None where they never were here."""
    model = query_vectors.model_of(index)
    if not hasattr(model, "space"):
        return None
    backbone = model.space.backbone
    known = f"{backbone.slug}-{backbone.text_precision}"
    if known not in _words:
        encoded = read_cached(backbone, common_words())
        if encoded is None:
            return None
        _words[known] = encoded.numpy()
    return _words[known]
