"""The same query on two indexes: what one finds and the other does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.found import Found
from detail_embed.fiftyone_bridge.search.methods import VECTORS
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.texts.query import Query


@dataclass(frozen=True, eq=False)
class Side:
    """What one of the indexes found.

    Attributes:
        brain_key: the index
        found: its result
        ranks: place of each of its images in the other index, counted from 1; None
            for an image that has no vector there
    """

    brain_key: str
    found: Found
    ranks: list[int | None]

    @property
    def only(self) -> list[bool]:
        """Whether an image is not among the first ``k`` of the other index."""
        k = len(self.ranks)
        return [rank is None or rank > k for rank in self.ranks]


def compare(
    samples: foc.SampleCollection,
    query: str | Query,
    brain_keys: Sequence[str],
    k: int = 12,
    templates: str = "own",
    method: str = VECTORS,
) -> tuple[Side, Side]:
    """Asks two indexes the same.

    Args:
        samples: a dataset or view of images
        query: prompts, see :func:`.search.search`
        brain_keys: two different indexes
        k (12): images of each
        templates ("own"): sentences around the prompts
        method ("vectors"): of search, for an index that allows it

    Raises:
        ValueError: if these are not two indexes, or one cannot be searched
    """
    keys = [brain_keys] if isinstance(brain_keys, str) else list(brain_keys)
    if len(set(keys)) != 2:
        raise ValueError(f"brain_keys: choose two different indexes, not {keys}")
    indexes = [Index.of(samples, key) for key in keys]
    every = [
        search(index, samples, query, None, None, templates, method).images
        for index in indexes
    ]
    places = [
        {id: place for place, id in enumerate(found.ids, 1)} for found in every
    ]
    first, second = (
        Side(key, found, [other.get(id) for id in found.ids[:k]])
        for key, found, other in zip(keys, every, reversed(places))
    )
    return first, second
