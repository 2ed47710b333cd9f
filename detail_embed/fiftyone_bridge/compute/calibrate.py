"""Measures where "probably not" begins in an index: what common words reach in it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from detail_embed.backbone import Backbone
from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index import large, lines
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.runs.run import Progress, encode_words
from detail_embed.space.fit_sample import draw
from detail_embed.texts.nothing_line import (
    LOOK,
    NothingLine,
    Places,
    common_words,
    draw_line,
    weigh,
)
from detail_embed.texts.vocabulary import Vocabulary

_LEAST = 20  # images: fewer say little of what stands out
_MOST = 5_000  # whose patches are read
_ROWS = 8192  # of vectors that are compared at once


def calibrate(
    index: Index, backbone: Backbone, store: FeatureStore | None
) -> Generator[Progress, None, None]:
    """Draws the lines of an index by its own vectors and patches, and records them.

    One vector an image tells nothing of small things, so only a few vectors and stored
    patches get a line. Where neither the vectors nor the ways to search have changed
    since they were drawn, nothing is done.

    Args:
        index: one of ours, finished
        backbone: encodes the words
        store: the patch features of its images, None for none
    """
    if large.is_large(index):
        return
    vectors = index_vectors.load(index)
    ids = [] if store is None else [id for id in vectors.ids if id in store]
    ways = [lines.VECTORS] if index.record.vectors > 1 else []
    ways += [lines.PATCHES] if len(ids) >= _LEAST else []
    if len(vectors.ids) < _LEAST or not ways:
        return
    vocabulary = Vocabulary.from_words(common_words(), "common nouns")
    words = yield from _at_the_end(encode_words(backbone, vocabulary))
    words = words.cpu().numpy()
    if lines.read(index, vectors).keys() == set(ways):
        return
    yield Progress("Measuring what common words reach", 1.0)
    found = {}
    if lines.VECTORS in ways:
        best, unit = _compare(vectors, words)
        places = [lines.best_vectors(vectors, *each) for each in zip(words, best)]
        found[lines.VECTORS] = _draw(words, places, unit)
    if lines.PATCHES in ways:
        places, unit = yield from _read_patches(store, draw(ids, _MOST), words)
        found[lines.PATCHES] = _draw(words, places, unit)
    lines.write(index, vectors, {way: line for way, line in found.items() if line})


def _at_the_end(
    steps: Generator[Progress, None, torch.Tensor],
) -> Generator[Progress, None, torch.Tensor]:
    """The steps of a run whose bar is full already."""
    while True:
        try:
            yield replace(next(steps), fraction=1.0)
        except StopIteration as end:
            return end.value


def _draw(
    words: np.ndarray, places: Sequence[Places], unit: float
) -> NothingLine | None:
    if not unit > 0:
        return None
    best = [
        weigh(word, place, words, unit).max() for word, place in zip(words, places)
    ]
    return NothingLine(draw_line(best, places[0].beside is not None), unit)


def _compare(vectors: IndexVectors, words: np.ndarray) -> tuple[np.ndarray, float]:
    """Scores words on all images.

    Returns:
        ``(W, LOOK)`` the best images of each, and the unit
    """
    scores = np.stack([vectors.scores(word) for word in words])
    best = np.argpartition(scores, -LOOK, axis=1)[:, -LOOK:]
    return best, float(np.median(scores.std(axis=1)))


def _read_patches(
    store: FeatureStore, ids: Sequence[str], words: np.ndarray
) -> Generator[Progress, None, tuple[list[Places], float]]:
    """Finds the best patches of the best images for each word.

    Returns:
        the places, and the unit
    """
    texts, each = torch.from_numpy(words), np.arange(len(words))
    scores = np.empty((len(words), len(ids)), np.float32)
    best, beside = np.full((2, len(words), LOOK), -np.inf, np.float32)
    places = np.zeros((*best.shape, words.shape[1]), np.float32)
    for column, id in enumerate(ids):
        if column % 100 == 0:
            text = f"Measuring what common words reach: {column:,} of {len(ids):,}"
            yield Progress(f"{text} images", 1.0)
        patches = F.normalize(store.features(id), dim=1)
        near = texts @ patches.T
        top, where = near.max(dim=1)
        scores[:, column] = top
        if near.shape[1] > 1:
            near.scatter_(1, where[:, None], -torch.inf)
        second, last = near.amax(dim=1).numpy(), best.argmin(axis=1)
        better = best[each, last] < scores[:, column]
        at = each[better], last[better]
        best[at], beside[at] = scores[better, column], second[better]
        places[at] = patches[where].numpy()[better]
    found = [Places(*row) for row in zip(best, places, beside)]
    return found, float(np.median(scores.std(axis=1)))
