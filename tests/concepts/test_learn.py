"""Learning a concept from examples, on made-up patches of which one kind is meant."""

import numpy as np
import pytest

from detail_embed.concepts import Background, Example, learn

DIM, PATCHES = 32, 20


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class World:
    """Patches of 12 kinds in a cone, as a real backbone's; kind 0 is what is meant."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.kinds = 0.5 * unit(self.rng.normal(size=(12, DIM)))
        self.cone = unit(self.rng.normal(size=DIM))

    def patches(self, kinds):
        noise = 0.08 * self.rng.normal(size=(len(kinds), DIM))
        return unit(self.cone + self.kinds[kinds] + noise).astype(np.float32)

    def image(self, shows, patch=None):
        kinds = self.rng.integers(2, 12, PATCHES)
        if shows is not None:
            kinds[self.rng.integers(1, PATCHES) if patch is None else patch] = shows
        return self.patches(kinds)

    def text(self, kind):
        return unit(self.kinds[kind] + 0.05 * self.rng.normal(size=DIM)).astype(
            np.float32)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def background(world):
    return Background.fit(world.patches(world.rng.integers(1, 12, 3000)))


def positives(world, count):
    return [Example(world.image(0)) for _ in range(count)]


def boxed(world, count, kind=0):
    return [Example(world.image(kind, 7), patch=7) for _ in range(count)]


def accuracy(vector, against=1, count=100):
    """Share of pairs in which the image that shows it is above one that does not."""
    world = World()
    world.rng = np.random.default_rng(5)
    shown, other = (
        np.array([(world.image(kind) @ vector).max() for _ in range(count)])
        for kind in (0, against)
    )
    return (shown[:, None] > other).mean()


def test_the_vector_is_a_prompt(world, background):
    vector = learn(world.text(0), positives(world, 3), positives(world, 0), background)
    assert vector.shape == (DIM,) and vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_more_examples_without_a_text_find_more(world, background):
    one, many = (learn(None, positives(world, n), [], background) for n in (1, 8))
    assert accuracy(many) > 0.95 > accuracy(one)


def test_a_box_says_which_patch_is_meant(world, background):
    assert accuracy(learn(None, boxed(world, 1), [], background)) > 0.9


def test_a_text_says_which_patch_of_one_image_is_meant(world, background):
    text = world.text(0)
    learned = learn(text, positives(world, 1), [], background)
    assert accuracy(learned) > accuracy(text) - 0.01


def test_a_text_that_is_known_stays(world, background):
    text = world.text(0)
    for count in (1, 2, 4, 16):
        learned = learn(text, positives(world, count), [], background)
        assert accuracy(learned) > accuracy(text) - 0.01


def test_a_made_up_text_is_ignored(world, background):
    made_up = unit(world.rng.normal(size=DIM)).astype(np.float32)
    examples = positives(world, 8)
    assert accuracy(made_up) < 0.8
    assert accuracy(learn(made_up, examples, [], background)) > 0.95


def test_negatives_push_away(world, background):
    """A general text shows two kinds; thumbs down say which is not meant."""
    general = unit(world.kinds[0] + world.kinds[1]).astype(np.float32)
    down = [Example(world.image(1)) for _ in range(4)]
    told = learn(general, positives(world, 4), down, background)
    assert accuracy(told) > accuracy(general) + 0.1
    kind = unit(world.cone + world.kinds[1])

    def standing(vector):
        spread = (background.rows @ vector).std()
        return (kind - background.mean) @ vector / spread

    before = learn(general, [], [], background)
    after = learn(general, [], boxed(world, 8, kind=1), background)
    assert standing(after) < standing(before)


def test_thumbs_down_alone_keep_the_text(world, background):
    text = world.text(0)
    down = [Example(world.image(1)) for _ in range(5)]
    assert accuracy(learn(text, [], down, background)) > accuracy(text) - 0.02


def test_nothing_is_left_to_chance(world, background):
    examples = positives(world, 4), [Example(world.image(1))]
    for text in (None, world.text(0)):
        first, second = (learn(text, *examples, background) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_the_order_of_examples_hardly_matters(world, background):
    examples = positives(world, 5)
    first = learn(None, examples, [], background)
    assert first @ learn(None, examples[::-1], [], background) > 0.98


def test_an_image_given_twice(world, background):
    twice = positives(world, 1) * 3
    assert np.isfinite(learn(None, twice, twice, background)).all()


def test_images_of_one_vector(world, background):
    """An index without stored patches has one vector of each image, or a few."""
    only = [Example(world.patches([0])) for _ in range(3)]
    assert accuracy(learn(None, only, [], background)) > 0.95
    assert accuracy(learn(world.text(0), only, only[:0], background)) > 0.9


def test_a_background_comes_back_from_a_file(world, background, tmp_path):
    np.savez(tmp_path / "background.npz", **background.to_arrays())
    with np.load(tmp_path / "background.npz") as kept:
        again = Background.from_arrays(kept)
    examples = positives(world, 3)
    np.testing.assert_array_equal(
        learn(None, examples, [], again), learn(None, examples, [], background)
    )


def test_a_small_background(world):
    small = Background.fit(world.patches(world.rng.integers(1, 12, 20)))
    for text in (None, world.text(0)):
        assert accuracy(learn(text, positives(world, 4), [], small)) > 0.8


def test_neither_text_nor_a_thumb_up(world, background):
    with pytest.raises(ValueError, match="neither a text nor a positive example"):
        learn(None, [], [Example(world.image(None))], background)


def test_text_alone_stays_as_it_is(world, background):
    text = world.text(0)
    np.testing.assert_allclose(learn(text, [], [], background), text, atol=1e-6)


def test_vectors_of_another_model(world, background):
    other = Example(np.eye(DIM + 1, dtype=np.float32))
    with pytest.raises(ValueError, match="33 dimensions.*background 32"):
        learn(None, [other], [], background)
    with pytest.raises(ValueError, match="33 dimensions"):
        learn(world.text(0), [], [other], background)
    with pytest.raises(ValueError, match="text has shape"):
        learn(np.ones(8, np.float32), [], [], background)


def test_vectors_that_are_none(world, background):
    rows = world.image(0)
    rows[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        Example(rows)
    with pytest.raises(ValueError, match="length 1"):
        Example(2 * world.image(0))
    with pytest.raises(ValueError, match="shape"):
        Example(world.image(0)[0])
    with pytest.raises(ValueError, match="shape"):
        Example(np.zeros((0, DIM), np.float32))
    with pytest.raises(ValueError, match="text"):
        learn(np.full(DIM, np.nan, np.float32), [], [], background)


def test_a_patch_that_is_not_there(world):
    with pytest.raises(ValueError, match="patch=20: the example has 20 patches"):
        Example(world.image(0), patch=PATCHES)


def test_a_background_of_equal_patches():
    with pytest.raises(ValueError, match="all patches are equal"):
        Background.fit(np.tile(np.eye(DIM, dtype=np.float32)[:1], (5, 1)))
