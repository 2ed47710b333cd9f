"""How well a taught vector ranks the images that it was not taught by.

For ``benchmarks/teach.py``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from _teach.scenes import Scenes, Shown
from detail_embed.concepts import Background, Example, learn
from detail_embed.evaluation.metrics import average_precision

COUNTS = (1, 2, 4, 8, 16)
REST = 4  # images that show it and are no examples, at least
_SAMPLED = 20  # patches of each image, for the background


@dataclass
class Taught:
    """Average precisions in percent, words x counts x draws, and what it took.

    Attributes:
        learned: of the taught vector
        plain: of the true name alone, on the same images
        seconds: of each call
    """

    learned: np.ndarray
    plain: np.ndarray
    seconds: list[float] = field(default_factory=list)


def background_of(scenes: Scenes, seed: int = 0) -> Background:
    """Of some patches of every image, none of which is labelled."""
    rng = np.random.default_rng(seed)
    count = scenes.patches.shape[1]
    return Background.fit(np.concatenate([
        image[rng.choice(count, min(_SAMPLED, count), replace=False)]
        for image in scenes.patches
    ]))


def scores(scenes: Scenes, vectors: Sequence[np.ndarray]) -> np.ndarray:
    """``(k, n)``, of the best patch of each image."""
    n, p, d = scenes.patches.shape
    rows = torch.from_numpy(scenes.patches.reshape(-1, d))
    vectors = torch.from_numpy(np.stack(vectors).astype(np.float32))
    return (rows @ vectors.T).view(n, p, -1).amax(dim=1).T.numpy()


def largest(scenes: Scenes) -> dict[tuple[int, int], Shown]:
    """By word and scene, what a box would be drawn around."""
    ordered = sorted(scenes.things, key=lambda thing: thing.scale)
    return {(thing.word, thing.scene): thing for thing in ordered}


def example(scenes: Scenes, scene: int, thing: Shown | None = None) -> Example:
    """An image as an example; with a thing, its box is one more patch and is meant."""
    rows = scenes.patches[scene]
    if thing is None:
        return Example(rows)
    return Example(np.concatenate([rows, thing.crop[None]]), len(rows))


def drawn(scenes: Scenes, word: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Images that show a word, shuffled: the first are the examples."""
    shown = np.flatnonzero(scenes.shows[word])
    for draw in range(draws):
        yield np.random.default_rng([seed, word, draw]).permutation(shown)


def teach(
    scenes: Scenes,
    texts: np.ndarray | None,
    background: Background,
    words: Sequence[int],
    boxes: bool,
    draws: int,
    seed: int,
) -> Taught:
    """Teaches words by some positives each.

    Args:
        scenes: to learn from, and to search in
        texts: ``(q, d)``, what a person calls each word; None for no text
        background: of the scenes
        words: numbers of those to teach
        boxes: whether a box says what is meant
        draws: of positives, for each word
        seed: of the draws
    """
    known = largest(scenes)
    shape = len(words), len(COUNTS), draws
    taught = Taught(np.full(shape, np.nan), np.full(shape, np.nan))
    for row, word in enumerate(words):
        vectors, ignored, places = [scenes.texts[word]], [], []
        for draw, order in enumerate(drawn(scenes, word, draws, seed)):
            for column, count in enumerate(COUNTS):
                if len(order) < count + REST:
                    continue
                positives = [
                    example(scenes, s, known[word, s] if boxes else None)
                    for s in order[:count]
                ]
                start = time.perf_counter()
                text = None if texts is None else texts[word]
                vectors.append(learn(text, positives, [], background))
                taught.seconds.append(time.perf_counter() - start)
                mask = np.zeros(len(scenes.patches), bool)
                mask[order[:count]] = True
                ignored.append(mask)
                places.append((row, column, draw))
        found = scores(scenes, vectors)
        shows = np.repeat(scenes.shows[[word]], len(places), axis=0)
        plain = np.repeat(found[:1], len(places), axis=0)
        for values, each in ((taught.learned, found[1:]), (taught.plain, plain)):
            values[tuple(zip(*places))] = 100 * average_precision(
                each, shows, np.stack(ignored)
            )
    return taught
