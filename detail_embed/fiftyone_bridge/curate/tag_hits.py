"""Tags for the images of a view, or for those that fit a query."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.image_vectors import check_images_of_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.tags import tag_images, tag_labels
from detail_embed.fiftyone_bridge.search import prompt_scores
from detail_embed.fiftyone_bridge.search.found_boxes import FoundBoxes
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.texts import query as queries
from detail_embed.texts.score_summary import THRESHOLD


@dataclass(frozen=True)
class Tagged:
    """What was tagged, or untagged.

    Attributes:
        hits: images that were meant, or boxes
        changed: those of them that had not, or had, the tag before
        without: images, or boxes, that have no vector and were left as they are
        hints: what to know of the prompts: cut off, or hardly understood
        noun: ``"images"`` or ``"boxes"``
    """

    hits: int
    changed: int
    without: int
    hints: tuple[str, ...] = ()
    noun: str = "images"


def tag_hits(
    index: Index,
    samples: foc.SampleCollection,
    query: str | None = None,
    threshold: float = THRESHOLD,
    tag: str = "hit",
    untag: bool = False,
) -> Tagged:
    """Tags images: all that are given, or those in which a query stands out.

    z-scores are of all images of the index. By an index of boxes, labels are tagged.

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
    check_tagging(index, samples, query, threshold, tag)
    tag, without, hints = tag.strip(), 0, ()
    if query is None:
        hits = index.images_of(samples)
    else:
        found = search(index, samples, query, None, threshold)
        if isinstance(found, FoundBoxes):
            return _tag_boxes(found, tag, untag)
        hits, without = found.samples.select(found.ids), found.missing
        hints = found.hints
    return Tagged(len(hits), tag_images(hits, tag, untag), without, hints)


def check_tagging(
    index: Index,
    samples: foc.SampleCollection,
    query: str | None,
    threshold: float,
    tag: str,
) -> None:
    """Checks what can be checked before tagging; see :func:`tag_hits`."""
    if query is None:
        index.images_of(samples)
    else:
        check_images_of_index(index, samples)
    if not isinstance(tag, str) or not tag.strip():
        raise ValueError("type a tag")
    if query is not None:
        brain_runs.check_promptable(index)
        prompt_scores.check_threshold(threshold)
        prompt_scores.check_prompts(index, queries.parse(query).prompts)


def _tag_boxes(found: FoundBoxes, tag: str, untag: bool) -> Tagged:
    changed = tag_labels(
        found.samples, found.label_field, found.sample_ids, found.ids, tag, untag
    )
    return Tagged(len(found.ids), changed, found.missing, found.hints, found.noun)
