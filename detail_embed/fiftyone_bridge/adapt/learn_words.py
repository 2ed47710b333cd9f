"""Teaches an index the words of a dataset: texts are moved, no vector changes."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import asdict
from datetime import datetime, timezone

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.adapt import LearnedWords, Lesson, learn_words
from detail_embed.adapt.learn_words import check_count
from detail_embed.adapt.lesson import FEWEST
from detail_embed.backbone import Backbone
from detail_embed.fiftyone_bridge.adapt import word_sources
from detail_embed.fiftyone_bridge.adapt.word_sources import LABELS, Told
from detail_embed.fiftyone_bridge.adapt.words_result import WordsResult, result_of
from detail_embed.fiftyone_bridge.concepts.concept import Mark
from detail_embed.fiftyone_bridge.index import learned_words
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.run import Progress, Run, encode_words
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.teach.features import Patches
from detail_embed.texts.templates import encode_queries
from detail_embed.texts.vocabulary import Vocabulary

NOUNS = 200  # general ones, by which is told what changes for all kinds of texts
_AT_ONCE = 32
_PARTS = {"images": 0.3, "words": 0.1, "learning": 0.6}  # of the time, roughly


def learn(
    index: Index,
    source: str = LABELS,
    name: str | None = None,
    samples: foc.SampleCollection | None = None,
    use_boxes: bool = True,
    seed: int = 0,
) -> Run:
    """Teaches an index the words of a field, or those of concepts.

    Nothing is encoded but the words, where the index keeps patch features: else the
    vectors of the index are learned from, and boxes are encoded. What was learned
    before is replaced. The index keeps it only if held-out images are found better.

    Args:
        index: one of ours, of images
        source ("labels"): one of :data:`.word_sources.SOURCES`
        name (None): of the field; None for concepts
        samples (None): a dataset or view of images, by default the whole dataset
        use_boxes (True): whether boxes say what is meant, where labels have some
        seed (0): of the split into images to learn from and to measure by

    Returns:
        a run whose result is a :class:`WordsResult`

    Raises:
        ValueError: if nothing can be learned so; the message says what to do
    """
    told = check(index, source, name, samples, use_boxes)
    return Run(_learn(index, told, seed))


def check(
    index: Index,
    source: str = LABELS,
    name: str | None = None,
    samples: foc.SampleCollection | None = None,
    use_boxes: bool = True,
) -> Told:
    """Checks all that can be checked quickly, and reads the source; see :func:`learn`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    index.require("teach words")
    if not index.has_brain_run:
        raise ValueError(
            f"the index {index.key!r} was cut short before it could be searched: "
            "update it first"
        )
    if index.is_of_frames:
        raise ValueError(
            f"the index {index.key!r} is of frames of videos, and words are learned "
            "from images: choose an index of images"
        )
    lock.check_free(index.dataset, index.key)
    images = index.images_of(index.dataset if samples is None else samples)
    told = word_sources.read(images, source, name, use_boxes)
    check_count(len(told.ids))
    return told


def _learn(
    index: Index, told: Told, seed: int
) -> Generator[Progress, None, WordsResult]:
    started = time.monotonic()
    yield Progress("Loading the model", 0.0)
    backbone = query_vectors.model_of(index).space.backbone
    patches = Patches(index)
    chosen = word_sources.choose_images(told, seed)
    images, unread = yield from _images(patches, chosen)
    meant = yield from _boxes(patches, told, images)
    numbers = {id: number for number, id in enumerate(images)}
    shows = {
        word: {
            numbers[id]: meant.get(mark) for id, mark in marks.items() if id in numbers
        }
        for word, marks in told.shows.items()
    }
    left_out = dict(told.left_out)
    for word in [word for word, found in shows.items() if len(found) < FEWEST]:
        left_out[word] = f"fewer than {FEWEST} of its images can be used"
        del shows[word]
    if not shows:
        raise ValueError(
            f"{told.source}: of no word enough images can be used. "
            f"{next(iter(unread.values()), 'Update the index for these images')}"
        )
    lessons = yield from _lessons(backbone, told, shows, numbers, meant)
    nouns = yield from _nouns(backbone)
    background = patches.background()
    steps = learn_words(lessons, list(images.values()), background, nouns, seed)
    learned = yield from _told(steps, f"Learning {len(lessons)} words")
    seconds = time.monotonic() - started
    result = result_of(index.key, told.source, learned, left_out, unread, seconds)
    if result.kept:
        facts = {
            name: value for name, value in asdict(result).items()
            if name not in ("brain_key", "kept", "unread", "left_out", "seconds")
        }
        known = list(learned.adapter.words)
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        learned_words.keep(
            index, backbone, learned.adapter,
            {**facts, "known": known, "created": created},
        )
    return result


def _images(
    patches: Patches, chosen: list[str]
) -> Generator[Progress, None, tuple[dict[str, np.ndarray], dict[str, str]]]:
    """The features of images by their ids, and those that cannot be read."""
    images, unread = {}, {}
    for start in range(0, len(chosen), _AT_ONCE):
        text = f"Reading images: {start} of {len(chosen)}"
        yield Progress(text, _PARTS["images"] * start / len(chosen) / 2)
        some = [Mark(id) for id in chosen[start : start + _AT_ONCE]]
        found, failed = patches.examples(some)
        unread |= failed
        for mark, example in found.items():
            images[mark.sample_id] = example.features.astype(np.float16)
    return images, unread


def _boxes(
    patches: Patches, told: Told, images: dict[str, np.ndarray]
) -> Generator[Progress, None, dict[Mark, np.ndarray]]:
    """The features ``(d,)`` of what boxes are drawn around."""
    marks = [
        mark for part in (told.shows, told.lacks) for some in part.values()
        for id, mark in some.items() if mark.box is not None and id in images
    ]
    meant = {}
    for start in range(0, len(marks), _AT_ONCE):
        text = f"Reading boxes: {start} of {len(marks)}"
        done = _PARTS["images"] * (1 + start / len(marks)) / 2
        yield Progress(text, done)
        found, _ = patches.examples(marks[start : start + _AT_ONCE])
        for mark, example in found.items():
            meant[mark] = example.candidates[0].copy()
    return meant


def _lessons(
    backbone: Backbone, told: Told, shows: dict[str, dict], numbers: dict[str, int],
    meant: dict[Mark, np.ndarray],
) -> Generator[Progress, None, list[Lesson]]:
    words, texts = list(shows), []
    for start in range(0, len(words), _AT_ONCE):
        yield Progress(f"Encoding {len(words)} words", _PARTS["images"])
        some = words[start : start + _AT_ONCE]
        texts.append(encode_queries(backbone, some).cpu().numpy())
    lacks = {
        word: {numbers[id]: meant.get(m) for id, m in marks.items() if id in numbers}
        for word, marks in told.lacks.items()
    }
    rows = np.concatenate(texts)
    return [
        Lesson(word, row, shows[word], lacks.get(word, {}))
        for word, row in zip(words, rows)
    ]


def _nouns(backbone: Backbone) -> Generator[Progress, None, dict[str, np.ndarray]]:
    nouns = Vocabulary.nouns(NOUNS)
    encoded = yield from encode_words(backbone, nouns)
    return dict(zip(nouns.words, encoded.cpu().numpy()))


def _told(
    steps: Generator[float, None, LearnedWords], text: str
) -> Generator[Progress, None, LearnedWords]:
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            return end.value
        yield Progress(text, 1 - _PARTS["learning"] * (1 - done))
