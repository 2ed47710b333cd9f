"""Teaches a dataset a concept by images and boxes that show it, and that do not."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from detail_embed.concepts import learn
from detail_embed.fiftyone_bridge.concepts import kept, resolve
from detail_embed.fiftyone_bridge.concepts.concept import Concept, Mark, check_name
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.teach import judged
from detail_embed.fiftyone_bridge.teach.features import Patches
from detail_embed.fiftyone_bridge.teach.judged import Judged
from detail_embed.texts.query import Query
from detail_embed.texts.read_query import read_query

logger = logging.getLogger(__name__)

_UNNAMED = "unnamed"


def teach(
    index: Index,
    name: str,
    positives: Judged | None = (),
    negatives: Judged | None = (),
    text: str | Query | None = None,
    overwrite: bool = True,
) -> Concept:
    """Learns a concept, and keeps it in the dataset: ``#name`` is a prompt then.

    Examples that are gone, or cannot be read, are left out and named in the concept.

    Args:
        index: an index that can be searched by text
        name: see :func:`~.concepts.concept.check_name`
        positives (()): what shows it: ids of samples, or of labels with boxes, or
            ``(sample id, [left, top, width, height])`` in shares of the image
        negatives (()): what does not, named likewise; what looks like it teaches most
        text (None): what a person would type for it
        overwrite (True): whether a concept of this name is taught anew

    Raises:
        TypeError: if an example is no id, or the name no text
        ValueError: if nothing can be learned so; the message says what to do
    """
    check_name(name) if overwrite else kept.check_free(index.dataset, name)
    concept = learn_concept(index, positives, negatives, text, name)
    kept.write(index.dataset, concept)
    return concept


def learn_concept(
    index: Index,
    positives: Judged | None = (),
    negatives: Judged | None = (),
    text: str | Query | np.ndarray | None = None,
    name: str = _UNNAMED,
) -> Concept:
    """Learns a concept, and keeps nothing.

    Args:
        index: an index that can be searched by text
        positives (()): see :func:`teach`
        negatives (()): see :func:`teach`
        text (None): what a person would type, or its vector ``(d,)``
        name ("unnamed"): of the concept

    Raises:
        TypeError, ValueError: as of :func:`teach`
    """
    name = check_name(name)
    brain_runs.check_promptable(index)
    is_vector = isinstance(text, np.ndarray)
    if isinstance(text, str) and not text.strip():
        raise ValueError(
            f"text={text!r} is empty: give what a person would type, such as 'a red "
            "helmet', or leave it out"
        )
    text = text if text is None or is_vector else read_query(text)
    has_text = text is not None
    good, left_out = judged.read(index.dataset, positives, "positives", has_text)
    bad, also_out = judged.read(index.dataset, negatives, "negatives", has_text)
    judged.check_apart(good, bad)
    _check_any(good, bad, text)
    patches = Patches(index)
    found, unreadable = patches.examples([*good, *bad])
    good, bad = ([m for m in marks if m in found] for marks in (good, bad))
    if text is None and not good:
        raise ValueError(
            "none of the positives can be read: " + _say(unreadable) + ". Give others"
        )
    known = text if is_vector or text is None else query_vectors.encode(index, text)
    vector = learn(
        known, [found[m] for m in good], [found[m] for m in bad], patches.background()
    )
    left_out |= also_out | unreadable
    if left_out:
        used = len(good) + len(bad)
        logger.warning(
            "%d examples of %r were deleted or cannot be read, and are left out: %s. "
            "It is learned by %d others%s", len(left_out), name, _say(left_out), used,
            " and the text" if has_text else "",
        )
    return Concept(
        name=name,
        vector=vector,
        backbone=resolve.backbone_of(index),
        text=None if is_vector or text is None else str(text),
        positives=tuple(good),
        negatives=tuple(bad),
        left_out=left_out,
    )


def _check_any(
    good: Sequence[Mark], bad: Sequence[Mark], text: Query | np.ndarray | None
) -> None:
    if good or text is not None:
        return
    if bad:
        raise ValueError(
            f"there are {len(bad)} thumbs down, no thumb up and no text, so nobody "
            "says what to look for: give a positive, or a text such as 'a red helmet'"
        )
    raise ValueError(
        "there is nothing to learn from: give positives, or a text such as 'a red "
        "helmet'"
    )


def _say(left_out: dict[str, str]) -> str:
    return "; ".join(f"{id} {reason}" for id, reason in list(left_out.items())[:3])
