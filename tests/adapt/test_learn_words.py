"""Learning words from features: what is gained, lost and refused."""

import numpy as np
import pytest
import torch

from detail_embed.adapt import Lesson, learn_words
from detail_embed.adapt.held_out import overlap, scores
from detail_embed.adapt.learn_words import NEARNESSES
from detail_embed.concepts import Background

D, PATCHES, IMAGES, WORDS = 48, 6, 60, 5


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def made():
    """Images whose patches show things, of which the texts say nothing."""
    rng = np.random.default_rng(0)
    things, texts = unit(rng.normal(size=(2, WORDS, D)))
    images = unit(rng.normal(size=(IMAGES, PATCHES, D)))
    shows = [{} for _ in range(WORDS)]
    for number in range(IMAGES):
        for word in rng.permutation(WORDS)[:2].tolist():
            row = int(rng.integers(1, PATCHES))
            images[number, row] = unit(things[word] + 0.1 * rng.normal(size=D))
            shows[word][number] = images[number, row]
    return texts, list(images), shows


def background(images):
    return Background.fit(np.concatenate(images))


def run(steps):
    fractions = []
    while True:
        try:
            fractions.append(next(steps))
        except StopIteration as end:
            assert fractions == sorted(fractions) and fractions[-1] == 1
            return end.value


def lessons_of(texts, shows, boxes=True):
    return [
        Lesson(f"word {n}", text, some if boxes else dict.fromkeys(some))
        for n, (text, some) in enumerate(zip(texts, shows))
    ]


@pytest.mark.parametrize("boxes", [True, False])
def test_words_that_the_texts_do_not_know_are_learned(made, boxes):
    texts, images, shows = made
    rows = unit(np.random.default_rng(1).normal(size=(20, D)))
    nouns = {f"noun {n}": row for n, row in enumerate(rows)}
    learned = run(learn_words(
        lessons_of(texts, shows, boxes), images, background(images), nouns
    ))
    assert learned.is_better and learned.mean_after > learned.mean_before + 20
    assert learned.adapter.words == tuple(f"word {n}" for n in range(WORDS))
    assert learned.nouns == 100 and learned.worse == ()
    assert learned.nearness == NEARNESSES[0]  # random texts are far from each other
    assert learned.others_after == pytest.approx(learned.others_before)
    moved = learned.adapter(torch.from_numpy(texts), learned.words).numpy()
    found = scores(images, moved)
    for number, some in enumerate(shows):
        best = set(np.argsort(-found[number])[: len(some)].tolist())
        assert len(best & set(some)) > 0.8 * len(some)


def test_words_that_mean_nothing_are_no_gain(made):
    texts, images, _ = made
    rng = np.random.default_rng(2)
    chance = [
        dict.fromkeys(rng.permutation(IMAGES)[:12].tolist()) for _ in range(WORDS)
    ]
    learned = run(learn_words(
        lessons_of(texts, chance), images, background(images)
    ))
    assert learned.mean_after - learned.mean_before < 15
    assert np.isnan(learned.nouns)


def test_the_same_seed_learns_the_same(made):
    texts, images, shows = made
    one, two = (
        run(learn_words(lessons_of(texts, shows), images, background(images), seed=3))
        for _ in range(2)
    )
    assert one.adapter.hash == two.adapter.hash


@pytest.mark.parametrize(("change", "match"), [
    (lambda lessons, images: ([], images), "no word to learn"),
    (lambda lessons, images: (lessons, images[:11]), "11 images are too few"),
    (lambda lessons, images: (
        [Lesson("dog", lessons[0].text, {0: None, 1: None})], images
    ), "'dog' is shown by 2 images: give at least 3"),
    (lambda lessons, images: (
        [Lesson("dog", lessons[0].text, dict.fromkeys(range(len(images))))], images
    ), "'dog' is shown by all 60 images"),
    (lambda lessons, images: (
        [Lesson("dog", lessons[0].text * np.nan, lessons[0].shows)], images
    ), "the text of 'dog' is NaN"),
    (lambda lessons, images: (lessons, [images[0] * np.nan, *images[1:]]),
     "image 0 has features that are NaN"),
])
def test_what_cannot_be_learned_from_is_named(made, change, match):
    texts, images, shows = made
    lessons, some = change(lessons_of(texts, shows), images)
    with pytest.raises(ValueError, match=match):
        run(learn_words(lessons, some, background(images)))


def test_overlap_of_rankings_in_percent():
    rows = np.arange(60.0)[None]
    assert overlap(rows, rows) == 100 and overlap(rows, -rows) == 0
