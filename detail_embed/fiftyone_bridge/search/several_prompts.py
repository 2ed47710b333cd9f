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
from detail_embed.patch_search.rerank import RerankedParts, rerank_parts
from detail_embed.texts.query import Query
from detail_embed.texts.query_parts import label
from detail_embed.texts.read_query import read_query

_SHOWN = 5  # places of an image


@dataclass(frozen=True, eq=False)
class SeveralPrompts:
    """Prompts that are looked for at a place of its own each.

    Attributes:
        parts: ``(m, d)`` float32, unit length
        weights: of the prompts
        texts: of the prompts
    """

    parts: np.ndarray
    weights: tuple[float, ...]
    texts: tuple[str, ...]

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
        weights = tuple(prompt.weight for prompt in query.prompts)
        return cls(parts, weights, tuple(label(*part) for part in query.parts))

    @property
    def shown(self) -> dict[str, int]:
        """The places of prompts that are shown, by their texts: five at most.

        That of the highest weight comes first.
        """
        order = np.argsort(-np.array(self.weights), kind="stable").tolist()
        found: dict[str, int] = {}
        for at in order:
            if self.weights[at] > 0:
                found.setdefault(self.texts[at], at)
        return dict([*found.items()][:_SHOWN])

    @property
    def shown_parts(self) -> dict[str, np.ndarray]:
        """Their vectors ``(d,)``."""
        return {text: self.parts[at] for text, at in self.shown.items()}

    def rank(self, ids: Sequence[str], store: FeatureStore) -> RerankedParts:
        """Orders images by their stored patches; see :func:`.rerank.rerank_parts`."""
        return rerank_parts(torch.from_numpy(self.parts), self.weights, ids, store)

    def scores(self, vectors: IndexVectors) -> np.ndarray:
        """The same of the few vectors of each image: ``(n,)`` float32."""
        shares = np.array(self.weights, np.float32) / np.abs(self.weights).sum()
        near = vectors.matrix @ self.parts.T
        best = np.maximum.reduceat(near, vectors.starts) @ shares
        together = np.maximum.reduceat(near @ shares, vectors.starts)
        return ((best + together) / 2).astype(np.float32)
