"""Tags for the images of a view, or for those that fit a query."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search import prompt_scores
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.texts import query as queries
from detail_embed.texts.score_summary import THRESHOLD


@dataclass(frozen=True)
class Tagged:
    """What was tagged, or untagged.

    Attributes:
        hits: images that were meant
        changed: those of them that had not, or had, the tag before
        without: images that have no vector and were left as they are
        hints: what to know of the prompts: cut off, or hardly understood
    """

    hits: int
    changed: int
    without: int
    hints: tuple[str, ...] = ()


def tag_hits(
    index: Index,
    samples: foc.SampleCollection,
    query: str | None = None,
    threshold: float = THRESHOLD,
    tag: str = "hit",
    untag: bool = False,
) -> Tagged:
    """Tags images: all that are given, or those in which a query stands out.

    z-scores are of all images of the index.

    Args:
        index: an index that can be searched by text; for a query
        samples: a dataset or view of images
        query (None): in the one-line syntax of :mod:`detail_embed.texts.query`; None
            for all images
        threshold (THRESHOLD): the least z-score; for a query
        tag ("hit"): the tag
        untag (False): whether to take the tag away instead

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    samples = index.images_of(samples)
    check_tagging(index, samples, query, threshold, tag)
    hits, without, hints = samples, 0, ()
    if query is not None:
        found = search(index, samples, query, len(samples), threshold)
        hits, without = samples.select(found.ids), found.missing
        hints = found.hints
    tag = tag.strip()
    count, had = len(hits), len(hits.match_tags(tag))
    (hits.untag_samples if untag else hits.tag_samples)(tag)
    if index.is_of_frames:
        index.home_of(samples).keep_tags(hits)
    return Tagged(count, had if untag else count - had, without, hints)


def check_tagging(
    index: Index,
    samples: foc.SampleCollection,
    query: str | None,
    threshold: float,
    tag: str,
) -> None:
    """Checks what can be checked before tagging; see :func:`tag_hits`."""
    samples = index.images_of(samples)
    if not isinstance(tag, str) or not tag.strip():
        raise ValueError("type a tag")
    if query is not None:
        prompt_scores.check_scorable(index, samples)
        prompt_scores.check_threshold(threshold)
        prompt_scores.check_prompts(index, queries.parse(query).prompts)
