"""How an index ranks the images for texts: FiftyOne's own search, as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.vectors import open_index
from detail_embed.fiftyone_bridge.samples.private_names import nearest
from detail_embed.fiftyone_bridge.search.query_vectors import encode_prompts
from detail_embed.texts.query import Prompt

_BATCH = 64


class Ranking:
    """One index as it answers texts in a fresh process.

    Args:
        index: the index

    Raises:
        ValueError: if the index was never finished, or holds nothing
    """

    def __init__(self, index: Index):
        self._source = index
        self._index = open_index(index)
        limit = self._index.config.max_k
        size = self._index.total_index_size
        self._k = size if limit is None else min(size, limit)

    def encode(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Encodes prompts as the index does, ``(n, d)``; a concept is its vector."""
        return np.concatenate(
            [
                encode_prompts(self._source, prompts[start : start + _BATCH])
                for start in range(0, len(prompts), _BATCH)
            ]
        )

    def scores(
        self, vectors: np.ndarray, columns: Mapping[str, int]
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Ranks images for each vector.

        This is what ``sort_by_similarity`` does on the whole index, without making a
        view of it; of an index of patches, the best patch of an image counts.

        Args:
            vectors: ``(q, d)`` encoded prompts
            columns: ``{sample id: column}`` of ``n`` images

        Yields:
            ``(n,)`` float64 per vector: minus the place of the image; what the index
            did not return shares the place after the last. With it, the number of
            those images
        """
        for vector in vectors:
            ids = nearest(self._index, vector, self._k)
            places: dict[int, int] = {}
            for place, sample_id in enumerate(ids):
                if sample_id in columns:
                    places.setdefault(columns[sample_id], place)
            scores = np.full(len(columns), -float(len(ids)))
            scores[list(places)] = -np.fromiter(places.values(), float)
            yield scores, len(columns) - len(places)
