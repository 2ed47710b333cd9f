"""``fuser="auto"``: the fuser that keeps most of a full patch search on the images."""

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
from detail_embed.fusers.sample import FitSample
from detail_embed.space.report_card import ReportCard, report_card
from detail_embed.texts.text_cache import encode_vocabulary
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.training import fit

logger = logging.getLogger(__name__)

AUTO = "auto"
CANDIDATES = ("mean", "gmp", "ridge")
FALLBACK = "gmp"

_NOUNS = 3000  # encoded once by a backbone: minutes for a large one on a CPU
_FEW_WORDS = 100
_FEW_IMAGES = 16


@dataclass(frozen=True)
class FuserChoice:
    """A fuser, and why it was chosen.

    Attributes:
        fuser: fitted on all images and words
        card: the measurement; None where nothing could be measured
        reason: a sentence for a person
    """

    fuser: Fuser
    card: ReportCard | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The fuser's name, the reason and the report card as plain JSON values."""
        report = None if self.card is None else self.card.to_dict()
        return {"fuser": self.fuser.name, "reason": self.reason, "report": report}


def default_vocabulary() -> Vocabulary:
    """The words of a fuser for which nobody gave any: the 3,000 commonest nouns."""
    return Vocabulary.nouns(_NOUNS)


def choose_fuser(
    backbone: Backbone,
    images: Tensor,
    mask: Tensor | None = None,
    vocabulary: Vocabulary | None = None,
    candidates: Sequence[str] = CANDIDATES,
) -> FuserChoice:
    """Chooses a fuser by a report card on the user's own images, and fits it.

    The candidates are fitted on the first half of the images and the training words
    of the vocabulary, and compared on the other half and the held-out words. The best
    is fitted anew on everything. A candidate that cannot be fitted is left out; where
    nothing can be compared ``"gmp"`` is taken, or ``"mean"`` where all patches are
    equal, and a warning says so.

    Args:
        backbone: encodes the words
        images: ``(n, p, d)`` unit patch features in random order, row 0 the whole image
        mask (None): ``(n, p)`` bool, the valid rows
        vocabulary (None): words to fit and compare by, the 3,000 commonest nouns by
            default; these are added, with a warning, to fewer than 100 words
        candidates (("mean", "gmp", "ridge")): names of fusers

    Raises:
        ValueError: if features are not finite, or a candidate is unknown
    """
    images, mask = check_features(images, mask, backbone.dim)
    vocabulary = enough(vocabulary)
    unfitted = {name: fusers.create(name, backbone.dim) for name in candidates}
    try:
        card = _compare(backbone, images, mask, vocabulary, unfitted)
        name, reason = card.best(), card.reason()
    except ValueError as error:
        fuser = _fall_back(backbone.dim, images, mask)
        reason = f"{fuser.name} was taken unmeasured: {error}"
        logger.warning("%s", reason)
        return FuserChoice(fuser, None, reason)
    words = None
    if fusers.kind(name).needs_words():
        words = encode_vocabulary(backbone, vocabulary.words)
    fuser = _fitted(fusers.create(name, backbone.dim), images, mask, words)
    return FuserChoice(fuser, card, reason)


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


def _fall_back(dim: int, images: Tensor, mask: Tensor) -> Fuser:
    """What needs least: ``FALLBACK``, or where all patches are equal their mean."""
    try:
        return _fitted(fusers.create(FALLBACK, dim), images, mask, None)
    except ValueError:
        return _fitted(fusers.create("mean", dim), images, mask, None)


def _fitted(fuser: Fuser, images: Tensor, mask: Tensor, words: Tensor | None) -> Fuser:
    fit(fuser, FitSample.of_images(images, mask, words))
    return fuser.to(images.device)
