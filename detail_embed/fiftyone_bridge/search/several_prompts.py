"""Queries of several prompts, each compared with images by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.patch_search.rerank import Reranked, rerank_parts
from detail_embed.texts.query import Query
from detail_embed.texts.read_query import read_query


@dataclass(frozen=True, eq=False)
class SeveralPrompts:
    """Prompts that are looked for at a place of its own each.

    Attributes:
        parts: ``(m, d)`` float32, unit length
        weights: of the prompts
    """

    parts: np.ndarray
    weights: tuple[float, ...]

    @classmethod
    def of(
        cls, index: Index, query: str | Query | np.ndarray, templates: str
    ) -> SeveralPrompts | None:
        """Those of a query; None for one prompt, and for a vector."""
        if isinstance(query, np.ndarray):
            return None
        query = read_query(query)
        if len(query.prompts) < 2:
            return None
        parts = query_vectors.encode_parts(index, query, templates)
        return cls(parts, tuple(prompt.weight for prompt in query.prompts))

    @property
    def main(self) -> np.ndarray:
        """The first among those of the highest weight: what is shown of an image."""
        return self.parts[int(np.argmax(self.weights))]

    def rank(self, ids: Sequence[str], store: FeatureStore) -> Reranked:
        """Orders images by their stored patches; see :func:`.rerank.rerank_parts`."""
        return rerank_parts(torch.from_numpy(self.parts), self.weights, ids, store)

    def scores(self, vectors: IndexVectors) -> np.ndarray:
        """The same of the few vectors of each image: ``(n,)`` float32."""
        shares = np.array(self.weights, np.float32) / np.abs(self.weights).sum()
        near = vectors.matrix @ self.parts.T
        best = np.maximum.reduceat(near, vectors.starts) @ shares
        together = np.maximum.reduceat(near @ shares, vectors.starts)
        return ((best + together) / 2).astype(np.float32)
