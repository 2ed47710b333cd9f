"""How good a model is on held-out images, and what it has lost of other words.

What is lost is told without labels. The model that training began with is asked which
nouns it sees in the held-out images, all of the vocabulary against each other; where it
is sure, it is taken at its word. Then the images of each such noun are searched for, as
they were before: what the mean average precision has lost is the loss. Measured on a
world with labels, this is close to what words of no training class really lose;
comparing whole rankings is not (docs/results/adapt_tuning.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detail_embed.adapt.crops import Cut
from detail_embed.adapt.pictures import Picture, texts_of
from detail_embed.adapt.towers import Towers
from detail_embed.evaluation.intervals import bootstrap
from detail_embed.evaluation.metrics import average_precision
from detail_embed.texts.templates import TEMPLATES
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.texts.wordings import base_form, is_held_out

MAY_LOSE = 0.02  # of the mean average precision of nouns
_NOUNS = 3000
_NOUN = TEMPLATES[1:2]
_SURE = 0.5  # probability of a noun among all others
_FEWEST = 60  # pairs of a noun and an image that are taken, however unsure


@dataclass(frozen=True)
class Found:
    """What a model finds on held-out images.

    Attributes:
        texts: average precision of each text that can be measured
        nouns: of each noun that the model was sure of before training
    """

    texts: np.ndarray
    nouns: np.ndarray

    @property
    def retrieval(self) -> float:
        """Mean over the texts."""
        return float(self.texts.mean())

    @property
    def kept(self) -> float:
        """Mean over the nouns."""
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
        nouns: words that are judged by; see :func:`nouns_beside`

    Raises:
        ValueError: if no text can be measured
    """

    def __init__(
        self, cut: Cut, pictures: Sequence[Picture], templates: Sequence[str],
        nouns: Sequence[str],
    ):
        self._cut, self._templates, self._nouns = cut, templates, list(nouns)
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
        self._sure: np.ndarray | None = None

    def measure(self, towers: Towers) -> Found:
        """Searches with a model; the first one says which nouns the others keep."""
        crops = towers.all_images(self._cut)
        texts = towers.all_texts(self._texts, self._templates)
        nouns = towers.all_texts(self._nouns, _NOUN)
        if self._sure is None:
            sure = self._best((towers.scale * crops @ nouns.T).softmax(dim=1))
            least = min(_SURE, np.sort(sure, axis=None)[-_FEWEST:].min())
            stands = sure >= least
            known = stands.any(axis=1) & ~stands.all(axis=1)
            self._nouns = [n for n, is_known in zip(self._nouns, known) if is_known]
            self._sure, nouns = stands[known], nouns[known.nonzero()[0]]
        return Found(
            average_precision(self._best(crops @ texts.T), self._shows),
            average_precision(self._best(crops @ nouns.T), self._sure),
        )

    def _best(self, scores) -> np.ndarray:
        """``(q, n)``: of each image the best of its windows."""
        rows = scores.float().cpu().numpy()
        return np.maximum.reduceat(rows, self._starts, axis=0).T


def nouns_beside(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """General nouns that are none of some texts: to keep in training, and to judge by.

    A third is judged by and never seen in training.
    """
    taken = {base_form(text) for text in texts}
    nouns = [n for n in Vocabulary.nouns(_NOUNS).words if base_form(n) not in taken]
    judged = [noun for noun in nouns if is_held_out(noun)]
    return [noun for noun in nouns if not is_held_out(noun)], judged
