"""What is kept of an image by default: measured on the user's own images.

The fuser that keeps most of a full patch search in one vector, and the fewest vectors
that keep nearly all of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.checks import check_features
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.fusers.sample import FitSample
from detail_embed.space.report_card import ReportCard, report_card
from detail_embed.texts.text_cache import encode_vocabulary
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.training import fit

logger = logging.getLogger(__name__)

AUTO = "auto"
CANDIDATES = ("mean", "gmp", "ridge")
FALLBACK = "gmp"
COUNTS = (4, 8, 16)  # vectors per image, beside one
BUDGET = 64 * 1024  # bytes of float32 vectors per image, at most

_NOUNS = 3000  # encoded once by a backbone: minutes for a large one on a CPU
_FEW_WORDS = 100
_FEW_IMAGES = 16


@dataclass(frozen=True)
class FuserChoice:
    """A fuser, and why it was chosen.

    Attributes:
        fuser: makes one vector; fitted on all images and words
        card: the measurement; None where nothing could be measured
        reason: a sentence for a person
        few: makes the vectors that text is compared with, fitted likewise; None where
            one is enough, or no more were asked for
    """

    fuser: Fuser
    card: ReportCard | None
    reason: str
    few: Fuser | None = None

    def to_dict(self) -> dict[str, Any]:
        """Names, the reason and the report card as plain JSON values."""
        return {
            "fuser": self.fuser.name,
            "vectors": self.few.k if self.few else 1,
            "reason": self.reason,
            "report": None if self.card is None else self.card.to_dict(),
        }


def default_vocabulary() -> Vocabulary:
    """The words of a fuser for which nobody gave any: the 3,000 commonest nouns."""
    return Vocabulary.nouns(_NOUNS)


def counts_within(budget: int, dim: int) -> tuple[int, ...]:
    """The numbers of vectors per image, beside one, that a budget has room for.

    Args:
        budget: bytes per image
        dim: d, of float32 vectors
    """
    return tuple(count for count in COUNTS if 4 * dim * count <= budget)


def choose_fuser(
    backbone: Backbone,
    images: Tensor,
    mask: Tensor | None = None,
    vocabulary: Vocabulary | None = None,
    candidates: Sequence[str] = CANDIDATES,
    counts: Sequence[int] = (),
) -> FuserChoice:
    """Chooses a fuser by a report card on the user's own images, and fits it.

    The candidates are fitted on the first half of the images and the training words
    of the vocabulary, and compared on the other half and the held-out words. The best
    is fitted anew on everything, and so are the fewest vectors that keep 90 % of a
    full patch search. A candidate that cannot be fitted is left out; where nothing can
    be compared ``"gmp"`` and the most vectors are taken, or ``"mean"`` where all
    patches are equal, and a warning says so.

    Args:
        backbone: encodes the words
        images: ``(n, p, d)`` unit patch features in random order, row 0 the whole image
        mask (None): ``(n, p)`` bool, the valid rows
        vocabulary (None): words to fit and compare by, the 3,000 commonest nouns by
            default; these are added, with a warning, to fewer than 100 words
        candidates (("mean", "gmp", "ridge")): names of fusers of one vector
        counts (()): numbers of vectors per image to choose from, beside one

    Raises:
        TypeError: if candidates are one text, or the vocabulary is none
        ValueError: if features are not finite, or a candidate is unknown
    """
    images, mask = check_features(images, mask, backbone.dim)
    if isinstance(candidates, str):
        raise TypeError(f"candidates={candidates!r}: give a list of names of fusers")
    if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
        raise TypeError(
            f"vocabulary={vocabulary!r:.80}: give a Vocabulary of "
            "detail_embed.texts.vocabulary"
        )
    vocabulary = enough(vocabulary)
    unfitted = {name: fusers.create(name, backbone.dim) for name in candidates}
    few = {f"{count} vectors": _few(backbone.dim, count) for count in counts}
    try:
        card = _compare(backbone, images, mask, vocabulary, unfitted | few)
        name, chosen, reason = card.best(), card.enough(), card.reason()
    except ValueError as error:
        return _unmeasured(backbone.dim, images, mask, counts, error)
    words = None
    if fusers.kind(name).needs_words():
        words = encode_vocabulary(backbone, vocabulary.words)
    fuser = _fitted(fusers.create(name, backbone.dim), images, mask, words)
    if chosen == name:
        return FuserChoice(fuser, card, reason)
    more = _fitted(_few(backbone.dim, card.rows[chosen].vectors), images, mask, None)
    return FuserChoice(fuser, card, reason, more)


def _few(dim: int, count: int) -> Fuser:
    return fusers.create(FewVectors.name, dim, k=count)


def _unmeasured(
    dim: int, images: Tensor, mask: Tensor, counts: Sequence[int], error: ValueError
) -> FuserChoice:
    """What needs least: ``FALLBACK``, or where all patches are equal their mean."""
    more = None
    try:
        fuser = _fitted(fusers.create(FALLBACK, dim), images, mask, None)
        if counts:
            more = _fitted(_few(dim, max(counts)), images, mask, None)
    except ValueError:
        fuser = _fitted(fusers.create("mean", dim), images, mask, None)
    taken = f"{more.k} vectors an image and {fuser.name} were" if more else (
        f"{fuser.name} was"
    )
    reason = f"{taken} taken unmeasured: {error}"
    logger.warning("%s", reason)
    return FuserChoice(fuser, None, reason, more)


def enough(vocabulary: Vocabulary | None) -> Vocabulary:
    """Adds the 3,000 commonest nouns, with a warning, to fewer than 100 words."""
    if vocabulary is None:
        return default_vocabulary()
    if len(vocabulary) >= _FEW_WORDS:
        return vocabulary
    logger.warning(
        "%s: %d words are few to judge fusers by; the %d commonest nouns are added",
        vocabulary.source, len(vocabulary), _NOUNS,
    )
    return vocabulary + default_vocabulary()


def _compare(
    backbone: Backbone, images: Tensor, mask: Tensor, vocabulary: Vocabulary,
    unfitted: Mapping[str, Fuser],
) -> ReportCard:
    if len(images) < _FEW_IMAGES:
        raise ValueError(
            f"{len(images)} images are too few, it takes {_FEW_IMAGES} to compare"
        )
    train, held_out = vocabulary.split()
    words = encode_vocabulary(backbone, train.words)
    half = len(images) // 2
    fitted = {}
    for name, fuser in unfitted.items():
        try:
            fitted[name] = _fitted(fuser, images[:half], mask[:half], words)
        except ValueError as error:
            logger.warning("%s is left out of the comparison: %s", name, error)
    test = encode_vocabulary(backbone, held_out.words)
    return report_card(fitted, images[half:], mask[half:], test, held_out.source)


def _fitted(fuser: Fuser, images: Tensor, mask: Tensor, words: Tensor | None) -> Fuser:
    fit(fuser, FitSample.of_images(images, mask, words))
    return fuser.to(images.device)
