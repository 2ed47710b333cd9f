"""Learning words, as a part of the form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import (
    add_known_index,
    add_ways,
    choices,
    filled,
    given,
    index_of,
    require_choice,
)
from ..shared.output import table
from .method import Method

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.adapt.word_sources import Told
    from detail_embed.fiftyone_bridge.adapt.words_result import WordsResult
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.runs.run import Run

_MOST = 10  # words that are named


class LearnWords(Method):
    """Prompts that are near to a learned word find what its examples look like."""

    description = (
        "Takes seconds, can be undone: searches learn what your words look like; no "
        "image is encoded again"
    )

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """The index, and what words are learned from."""
        from detail_embed.fiftyone_bridge.adapt.word_sources import CONCEPTS, SOURCES
        from detail_embed.fiftyone_bridge.classifiers.targets import has_boxes
        from detail_embed.fiftyone_bridge.index import facts as index_facts

        params = filled(ctx.params)
        known = index_facts.of_kind(ctx.dataset, index_facts.OURS)
        facts = add_known_index(inputs, params, known)
        add_ways(inputs, "source", "Learn from", SOURCES, "labels", required=True)
        source, name = params.get("source", "labels"), None
        if source != CONCEPTS:
            name = _add_field(inputs, params, samples, source)
            if name is None:
                return
        if source == "labels" and has_boxes(samples, name):
            inputs.bool(
                "use_boxes", default=True, label="Use the boxes",
                description="They say what in an image is meant, so more is learned",
            )
        told, index = _check(samples, {**params, "brain_key": facts.brain_key})
        inputs.view("estimate", types.Notice(label=_estimate(index, told)))

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.adapt.learn_words.learn`."""
        from detail_embed.fiftyone_bridge.adapt.learn_words import learn

        return learn(
            index_of(samples, params), params.get("source", "labels"),
            params.get("field"), samples, **given(params, "use_boxes", "seed"),
        )

    def results(self, result: WordsResult) -> dict[str, Any]:
        """All numbers, and a summary."""
        return {**asdict(result), "summary": _summary(result)}


def _add_field(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection,
    source: str,
) -> str | None:
    """Adds the choice of a field; returns the one that is meant, None for none yet."""
    from detail_embed.fiftyone_bridge.adapt.caption_fields import caption_fields
    from detail_embed.fiftyone_bridge.evaluate.labels import label_fields

    fields = (label_fields if source == "labels" else caption_fields)(samples)
    what = "labels" if source == "labels" else "texts"
    if not fields:
        raise ValueError(
            f"This dataset has no field of {what} to learn words from: choose another "
            "way below 'Learn from', or label some images"
        )
    first = fields[0] if len(fields) == 1 else None
    choice = inputs.enum(
        "field", fields, default=first, required=True, label="Field",
        view=choices(types.DropdownView(), fields),
    )
    chosen = params.get("field") or first
    if chosen is None:
        require_choice(choice, chosen)
    elif chosen not in fields:
        raise ValueError(
            f"{chosen!r} is no field of {what}: choose one of {', '.join(fields)}"
        )
    return chosen


def _check(
    samples: foc.SampleCollection, params: Mapping[str, Any]
) -> tuple[Told, Index]:
    from detail_embed.fiftyone_bridge.adapt.learn_words import check

    index, source = index_of(samples, params), params.get("source", "labels")
    field = None if source == "concepts" else params.get("field")
    if field is None and source != "concepts":
        field = _add_field(types.Object(), params, samples, source)
    use_boxes = params.get("use_boxes", True)
    return check(index, source, field, samples, use_boxes), index


def _estimate(index: Index, told: Told) -> str:
    """What will be learned, and from what."""
    from detail_embed.fiftyone_bridge.adapt.word_sources import MOST_IMAGES
    from detail_embed.fiftyone_bridge.search.methods import own_store

    images = min(len(told.ids), MOST_IMAGES)
    kept = own_store(index) is not None
    what = "the stored patch features" if kept else "the vectors of the index"
    boxes = any(
        mark.box is not None for marks in told.shows.values() for mark in marks.values()
    )
    extra = ". Its boxes are encoded, as no patch features are stored" if boxes and (
        not kept
    ) else ""
    again = ". What it knows so far is replaced" if index.record.words else ""
    return (
        f"{len(told.shows):,} words from {told.source}, on up to {images:,} images, by "
        f"{what}{extra}{again}. Stored vectors stay as they are, and you can undo it"
    )


def _summary(result: WordsResult) -> str:
    lines = [result.verdict]
    if result.kept and result.best:
        rows = [
            (word, f"{before:.0f}", f"{after:.0f}")
            for word, before, after in result.best[:_MOST]
        ]
        lines.append("Words that gained most, mAP on held-out images:")
        lines.append(table(("Word", "Name alone", "Learned"), rows))
    if result.kept and result.nouns == result.nouns:
        lines.append(
            f"Of the first 25 images of general nouns, {result.nouns:.0f} % are the "
            "same as before."
        )
    if result.worse:
        lines.append(
            "These lost by it, so they stay as they were: "
            f"{_some(result.worse)}."
        )
    for reason in dict.fromkeys(result.left_out.values()):
        words = [w for w, r in result.left_out.items() if r == reason]
        lines.append(f"Not learned, {reason}: {_some(words)}.")
    if result.unread:
        lines.append(f"Images that cannot be read: {len(result.unread)}.")
    if result.kept:
        lines.append("To undo it, choose *forget my words* in the same form.")
    return "\n\n".join(lines)


def _some(words: list[str]) -> str:
    from detail_embed.texts.some_of import some_of

    return some_of(words)
