"""Where words to learn come from: labels, captions or concepts of a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.adapt.lesson import FEWEST
from detail_embed.adapt.phrases import phrases
from detail_embed.fiftyone_bridge.adapt.caption_fields import read_captions
from detail_embed.fiftyone_bridge.classifiers.targets import BOX, read_labels
from detail_embed.fiftyone_bridge.concepts import kept
from detail_embed.fiftyone_bridge.concepts.concept import Concept, Mark
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.texts.wordings import class_wordings

LABELS, CAPTIONS, CONCEPTS = "labels", "captions", "concepts"
SOURCES = {
    LABELS: "A field of labels: boxes are best, classes of whole images will do",
    CAPTIONS: "A field of sentences: the things that they name",
    CONCEPTS: "The concepts that were taught in this dataset, such as #helmet",
}
MOST_WORDS = 400
MOST_IMAGES = 600
_ENOUGH = 24  # images that show a word, from which on more of them teach little
_OTHERS = 300  # images that show no concept that anybody knows of


@dataclass(frozen=True)
class Told:
    """What a source says of the images of a dataset.

    Attributes:
        source: it, in words, such as ``"the boxes in 'ground_truth'"``
        shows: by word and id of an image, where it is shown
        lacks: likewise, of images that were judged not to show it
        ids: of all images that it says something of
        left_out: words that cannot be learned, with the reason
    """

    source: str
    shows: dict[str, dict[str, Mark]]
    ids: list[str]
    lacks: dict[str, dict[str, Mark]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def read(
    samples: foc.SampleCollection, source: str, name: str | None, use_boxes: bool
) -> Told:
    """Reads a source, without words that cannot be learned from it.

    Args:
        samples: images of a dataset
        source: one of :data:`SOURCES`
        name: of the field; None for concepts
        use_boxes: whether boxes say what is meant, where labels have some

    Raises:
        ValueError: if nothing can be learned from it; the message says what to do
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r}: give one of {', '.join(SOURCES)}")
    if source != CONCEPTS and not name:
        raise ValueError(f"field: name the field that holds the {source}")
    if source == LABELS:
        told = _of_labels(samples, name, use_boxes)
    elif source == CAPTIONS:
        told = _of_captions(samples, name)
    else:
        told = _of_concepts(samples)
    return _learnable(told)


def choose_images(told: Told, seed: int) -> list[str]:
    """The images to learn from: until every word has enough, then a few others."""
    known: dict[str, list[str]] = {}
    for part in (told.shows, told.lacks):
        for word, marks in part.items():
            for id in marks:
                known.setdefault(id, []).append(word)
    order = np.random.default_rng(seed).permutation(told.ids).tolist()
    counts = dict.fromkeys(told.shows, 0)
    chosen, others = [], []
    for id in order:
        words = known.get(id, [])
        if any(counts[word] < _ENOUGH for word in words):
            chosen.append(id)
            for word in words:
                counts[word] += 1
        else:
            others.append(id)
    chosen = chosen[:MOST_IMAGES]
    room = min(MOST_IMAGES - len(chosen), max(0, _OTHERS - len(chosen)))
    return chosen + others[:room]


def _of_labels(samples: foc.SampleCollection, name: str, use_boxes: bool) -> Told:
    found = read_labels(samples, name, use_boxes)
    is_box = found.unit == BOX
    words = [class_wordings(one)[0][0] for one in found.classes]
    shows: dict[str, dict[str, Mark]] = {word: {} for word in words}
    rows, columns = np.nonzero(found.targets)
    if is_box:  # of several in an image, the largest says most
        area = [item.box[2] * item.box[3] for item in found.items]
        order = np.argsort([area[row] for row in rows], kind="stable")
        rows, columns = rows[order], columns[order]
    for row, column in zip(rows.tolist(), columns.tolist()):
        item = found.items[row]
        shows[words[column]][item.sample_id] = Mark(item.sample_id, item.box)
    what = "boxes" if is_box else "labels"
    ids = samples.exists(name).values("id")
    return Told(f"the {what} in {name!r}", shows, ids)


def _of_captions(samples: foc.SampleCollection, name: str) -> Told:
    captions = read_captions(samples, name)
    ids = list(captions)
    shows = {
        phrase: {ids[number]: Mark(ids[number]) for number in numbers}
        for phrase, numbers in phrases(list(captions.values())).items()
        if len(numbers) >= FEWEST and 2 * len(numbers) <= len(ids)
    }
    if not shows:
        raise ValueError(
            f"field={name!r}: no thing is named by {FEWEST} captions or more, and by "
            "half of them at most, so there is no word to learn: give more images, or "
            "a field of labels"
        )
    return Told(f"the captions in {name!r}", shows, ids)


def _of_concepts(samples: foc.SampleCollection) -> Told:
    dataset = dataset_of(samples)
    concepts = kept.read_all(dataset)
    if not concepts:
        raise ValueError(
            "this dataset has no concept to learn from: teach some, or choose a field "
            "of labels or captions"
        )
    ids = samples.values("id")
    there = set(ids)
    shows, lacks = (
        {
            _text_of(concept): _by_image(getattr(concept, name), there)
            for concept in concepts.values()
        }
        for name in ("positives", "negatives")
    )
    parts = (*shows.values(), *lacks.values())
    judged = dict.fromkeys(id for marks in parts for id in marks)  # in their order
    rest = [id for id in ids if id not in judged]
    spread = np.linspace(0, len(rest) - 1, min(_OTHERS, len(rest))).astype(int)
    others = [rest[place] for place in np.unique(spread)] if rest else []
    return Told("the concepts of this dataset", shows, [*judged, *others], lacks)


def _text_of(concept: Concept) -> str:
    """What a person types for a concept, if that is one prompt; else its name."""
    text = concept.text or ""
    return text if text and "," not in text and text[0] not in '-#"' else concept.name


def _by_image(marks: Iterable[Mark], there: set[str]) -> dict[str, Mark]:
    return {mark.sample_id: mark for mark in marks if mark.sample_id in there}


def _learnable(told: Told) -> Told:
    """Without words that too few images show, or all of them."""
    left_out: dict[str, str] = {}
    for word, marks in told.shows.items():
        if len(marks) < FEWEST:
            left_out[word] = f"{len(marks)} of {FEWEST} examples that it takes"
        elif len(marks) >= len(told.ids):
            left_out[word] = "every image shows it, so nothing tells what it is"
    shows = {word: m for word, m in told.shows.items() if word not in left_out}
    many = sorted(shows, key=lambda word: -len(shows[word]))[MOST_WORDS:]
    left_out |= dict.fromkeys(many, f"the {MOST_WORDS} most frequent words are learned")
    shows = {word: marks for word, marks in shows.items() if word not in left_out}
    if not shows:
        word, reason = next(iter(left_out.items()))
        raise ValueError(
            f"{told.source}: no word can be learned. Of {word!r}, {reason}. Give more "
            "images, or another field"
        )
    lacks = {word: marks for word, marks in told.lacks.items() if word in shows}
    return Told(told.source, shows, told.ids, lacks, left_out)

