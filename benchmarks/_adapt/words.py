"""Learned words as rows of the table: from boxes, from labels and from captions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from _adapt.features import Features
from _adapt.world import World
from detail_embed.adapt import LearnedWords, Lesson, learn_words
from detail_embed.adapt.lesson import FEWEST
from detail_embed.adapt.phrases import phrases
from detail_embed.backbone import Backbone
from detail_embed.concepts import Background
from detail_embed.texts.templates import encode_queries

SOURCES = ("boxes", "labels", "captions")
_SAMPLED = 20  # patches of each image, for the background


def learned(
    world: World, train: Features, backbone: Backbone, source: str,
    nouns: np.ndarray | None = None,
) -> LearnedWords:
    """Learns the words of the training scenes.

    Args:
        world: the scenes
        train: features of those to learn from
        backbone: the model
        source: one of :data:`SOURCES`
        nouns (None): see :func:`detail_embed.adapt.learn_words`
    """
    shows = _shows(world, train, source)
    words = [word for word, images in shows.items() if len(images) >= FEWEST]
    texts = encode_queries(backbone, words).cpu().numpy()
    lessons = [Lesson(w, t, shows[w]) for w, t in zip(words, texts)]
    steps = learn_words(lessons, list(train.patches), background_of(train), nouns)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def background_of(train: Features) -> Background:
    """What patches of the training scenes look like."""
    rng = np.random.default_rng(0)
    count = train.patches.shape[1]
    return Background.fit(np.concatenate([
        image[rng.choice(count, min(_SAMPLED, count), replace=False)]
        for image in train.patches
    ]))


def _shows(
    world: World, train: Features, source: str
) -> Mapping[str, dict[int, np.ndarray | None]]:
    if source == "captions":
        found = phrases(world.train.captions)
        return {word: dict.fromkeys(numbers) for word, numbers in found.items()}
    shows: dict[str, dict[int, np.ndarray | None]] = {w: {} for w in world.taught}
    largest = sorted(world.train.boxes, key=lambda box: box.box[2] * box.box[3])
    for box in largest:
        meant = None
        if source == "boxes":
            meant = train.patches[box.image][train.row_of(box)]
        shows[box.word][box.image] = meant
    return shows
