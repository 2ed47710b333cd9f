"""How good a model is on held-out images, and what it has lost of other words.

What is lost is told without the user's labels: by named things that come with this
package (:mod:`detail_embed.clver_ds.things`), each put into two windows of held-out
images, and how well their names find these among all windows. Things that the user's
texts name are left out, and no other word of these things is used in training. On a
world with labels it was within a point of what words of no training class really lose
(docs/results/adapt_tuning.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detail_embed.adapt.crops import Cut
from detail_embed.adapt.known_things import Things
from detail_embed.adapt.pictures import Picture, texts_of
from detail_embed.adapt.towers import Towers
from detail_embed.evaluation.intervals import bootstrap
from detail_embed.evaluation.metrics import average_precision

JUDGED_BY = "texts, and things in windows"  # measures of another kind do not compare
MAY_LOSE = 0.02  # of the mean reciprocal rank of known things


@dataclass(frozen=True)
class Found:
    """What a model finds on held-out images.

    Attributes:
        texts: average precision of each text that can be measured
        nouns: of each known thing, see :meth:`.known_things.Things.found`
    """

    texts: np.ndarray
    nouns: np.ndarray

    @property
    def retrieval(self) -> float:
        """Mean over the texts."""
        return float(self.texts.mean())

    @property
    def kept(self) -> float:
        """Mean reciprocal rank of the known things."""
        return float(self.nouns.mean())

    def lost(self, before: Found) -> float:
        """How much less nouns find than before."""
        return before.kept - self.kept

    def score(self, before: Found) -> float:
        """What is found, less what nouns have lost beyond what they may lose."""
        return self.retrieval - max(0.0, self.lost(before) - MAY_LOSE)

    def gain(self, before: Found) -> tuple[float, float, float]:
        """How much more is found than before, and its 95 % interval over the texts."""
        more = self.texts - before.texts
        low, high = bootstrap(more)
        return float(more.mean()), float(low), float(high)


class Judge:
    """Measures models on the same held-out images.

    Args:
        cut: all windows of the held-out images
        pictures: these images
        templates: sentences for the texts
        things: that are none of the user's

    Raises:
        ValueError: if no text can be measured
    """

    def __init__(
        self, cut: Cut, pictures: Sequence[Picture], templates: Sequence[str],
        things: Things,
    ):
        self._cut, self._templates, self._things = cut, templates, things
        there, self._starts = np.unique(cut.images, return_index=True)
        said = [{one.text for one in pictures[i].said} for i in there.tolist()]
        texts = texts_of([pictures[i] for i in there.tolist()])
        shows = np.array([[text in one for one in said] for text in texts], bool)
        shows = shows.reshape(len(texts), len(said))
        useful = shows.any(axis=1) & ~shows.all(axis=1)
        if not useful.any():
            raise ValueError(
                f"on the {len(said)} held-out images that could be read every text is "
                "said of all of them, or none: nothing can be measured. Give more "
                "images, or texts that differ"
            )
        self._texts = [text for text, is_useful in zip(texts, useful) if is_useful]
        self._shows = shows[useful]

    def measure(self, towers: Towers) -> Found:
        """Searches with a model for the user's texts, and for known things."""
        crops = towers.all_images(self._cut)
        texts = towers.all_texts(self._texts, self._templates)
        found = average_precision(self._best(crops @ texts.T), self._shows)
        return Found(found, self._things.found(towers, crops))

    def _best(self, scores) -> np.ndarray:
        """``(q, n)``: of each image the best of its windows."""
        rows = scores.float().cpu().numpy()
        return np.maximum.reduceat(rows, self._starts, axis=0).T

