"""What common words reach is measured as a search weighs them."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from detail_embed.fiftyone_bridge.compute import calibrate
from detail_embed.fiftyone_bridge.index import lines
from detail_embed.fiftyone_bridge.runs.run import Run
from detail_embed.texts.nothing_line import LOOK


class Store:
    """Patches of images in memory."""

    def __init__(self, rng, images, patches):
        self.images = [
            F.normalize(torch.from_numpy(rng.standard_normal((count, 16))).float())
            for count in rng.integers(1, patches + 1, images)
        ]

    def features(self, id):
        return self.images[int(id)]


@pytest.mark.parametrize("patches", [1, 9])
def test_the_best_places_are_those_of_a_search(patches):
    rng = np.random.default_rng(3)
    store = Store(rng, 40, patches)
    words = rng.standard_normal((30, 16)).astype(np.float32)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    ids = [str(i) for i in range(40)]
    steps = calibrate._read_patches(store, ids, words)
    places, unit = Run(steps).finish()
    assert unit > 0
    for word, place in zip(words, places):
        best = [float((image.numpy() @ word).max()) for image in store.images]
        nearest = np.argsort(best)[-LOOK:]
        want = lines.best_patches(store, word, [str(i) for i in nearest])
        order = np.argsort(place.scores)
        for name in ("scores", "vectors", "beside"):
            np.testing.assert_allclose(
                getattr(place, name)[order], getattr(want, name), rtol=1e-4
            )


def test_scores_that_are_all_equal_draw_no_line():
    words = np.eye(8, dtype=np.float32)
    assert calibrate._draw(words, [], 0.0) is None
