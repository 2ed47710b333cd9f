"""Learned words as rows of the table: from boxes, from labels and from captions.

And what was tried instead: one linear map for all texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch

from _adapt.features import Features
from _adapt.judge import Judged, judge, nouns_of, scores
from _adapt.world import World
from detail_embed.adapt import LearnedWords, Lesson, learn_words
from detail_embed.adapt.learn_words import NEARNESSES
from detail_embed.adapt.lesson import FEWEST
from detail_embed.adapt.phrases import phrases
from detail_embed.backbone import Backbone
from detail_embed.concepts import Background
from detail_embed.texts.templates import encode_queries
from detail_embed.texts.text_adapter import TextAdapter

LINEAR = ((0.03, 0.0), (0.3, 0.0), (1.0, 0.0), (0.3, 10.0), (0.03, 100.0))
LONGER = ("a small {}", "two {}s", "a {} on grass", "{} near a wall")
SOURCES = ("boxes", "labels", "captions")
Move = Callable[[np.ndarray, Sequence[str]], np.ndarray]
_SAMPLED = 20  # patches of each image, for the background


def learned(
    world: World, train: Features, backbone: Backbone, source: str,
    nouns: Mapping[str, np.ndarray] | None = None,
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


def rows(
    world: World, train: Features, backbone: Backbone,
    texts: Mapping[str, np.ndarray], vectors: Mapping[str, np.ndarray],
    test: Features,
) -> Iterator[str]:
    """Rows of the table: learned words, wider and narrower ones, and linear maps.

    Args:
        world: the scenes
        train: features of those to learn from
        backbone: the model
        texts: see :func:`.judge.texts_of`
        vectors: of the scenes to search in, by what they are, such as ``"patches"``
        test: features of these scenes
    """
    before = {what: scores(rows, texts["nouns"]) for what, rows in vectors.items()}
    names = {"words": world.words, "nouns": nouns_of(world)}

    def told(name: str, move: Move, what: str) -> str:
        moved = {key: move(rows, names[key]) for key, rows in texts.items()}
        return judge(world, vectors[what], moved, before[what]).row(f"{name}, {what}")

    for source in SOURCES:
        start = time.process_time()
        found = learned(
            world, train, backbone, source, dict(zip(names["nouns"], texts["nouns"]))
        )
        seconds = time.process_time() - start
        name = f"learned words, {source}, {found.nearness:g}"
        for what in vectors:
            yield told(name, partial(moved_by, found.adapter), what)
        yield (
            f"<!-- {source}: {len(found.words)} words, {seconds:.0f} s of a core; on "
            f"held-out scenes of its own {found.mean_before:.1f} to "
            f"{found.mean_after:.1f}, words left out {found.others_before:.1f} to "
            f"{found.others_after:.1f}; stay as they were: "
            f"{', '.join(found.worse) or 'none'} -->"
        )
        if source != "boxes":
            continue
        words = list(found.adapter.words)
        known = texts["words"][[world.words.index(word) for word in words]]
        taught = moved_by(found.adapter, known, words)
        for nearness in NEARNESSES:
            adapter = TextAdapter(words, known, taught, nearness)
            name = f"- nearness {nearness:g}"
            yield told(name, partial(moved_by, adapter), "patches")
        for form in LONGER:
            asked = [form.format(word) for word in world.words]
            plain = encode_queries(backbone, asked).cpu().numpy()
            for name, move in (("text", lambda rows, names: rows),
                               ("learned words", partial(moved_by, found.adapter))):
                moved = {**texts, "words": move(plain, asked)}
                judged = judge(world, vectors["patches"], moved)
                yield judged.row(f"- {form}: {name}, patches")
        for name, rows in (("text", texts["words"]),
                           ("learned words", moved_by(found.adapter, texts["words"],
                                                      world.words))):
            yield classified(world, test, rows).row(f"- things classified by {name}")
        for ridge, guard in LINEAR:
            matrix = linear(known, taught, texts["nouns"], ridge, guard)
            name = f"d x d map, ridge {ridge:g}, nouns {guard:g}"
            yield told(name, partial(mapped, matrix), "patches")


def classified(world: World, test: Features, texts: np.ndarray) -> Judged:
    """How many things are given their own word of all, by their patch alone.

    Learned words and plain texts compete here: it says whether their scores compare.
    """
    rows = np.stack([test.patches[b.image][test.row_of(b)] for b in world.test.boxes])
    own = np.array([world.words.index(box.word) for box in world.test.boxes])
    right = 100 * ((rows @ texts.T).argmax(axis=1) == own)
    shares, start = {}, 0
    for name, words in world.groups.items():
        is_of = (own >= start) & (own < start + len(words))
        shares[name], start = float(right[is_of].mean()), start + len(words)
    return Judged(shares, None)


def moved_by(
    adapter: TextAdapter, rows: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Texts as learned words move them."""
    return adapter(torch.from_numpy(rows), names).numpy()


def linear(
    texts: np.ndarray, taught: np.ndarray, nouns: np.ndarray, ridge: float, guard: float
) -> np.ndarray:
    """``(d, d)``, what is added to the identity: closed-form ridge towards it.

    Minimises ``sum |t + A t - y|^2 + guard * mean |A v|^2 + ridge * |A|^2`` over taught
    texts ``t`` and general nouns ``v``, which are to stay as they are.
    """
    gram = texts.T @ texts + guard * nouns.T @ nouns / len(nouns)
    return np.linalg.solve(
        gram + ridge * np.eye(texts.shape[1]), texts.T @ (taught - texts)
    )


def mapped(matrix: np.ndarray, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Texts as a linear map moves them."""
    moved = rows + rows @ matrix
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
