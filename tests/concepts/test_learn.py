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


def accuracy(world, vector, count=100):
    """Share of pairs in which the image that shows it is above one that does not."""
    shown, other = (
        np.array([(world.image(kind) @ vector).max() for _ in range(count)])
        for kind in (0, 1)
    )
    return (shown[:, None] > other).mean()


def test_neither_text_nor_a_thumb_up(world, background):
    with pytest.raises(ValueError, match="neither a text nor a positive example"):
        learn(None, [], [Example(world.image(None))], background)


def test_text_alone_stays_as_it_is(world, background):
    text = world.text(0)
    np.testing.assert_allclose(learn(text, [], [], background), text, atol=1e-6)
