"""How much examples count against a text: as much as it takes to find them.

A text that a model knows finds its own examples, and needs but a touch of them; of a
general word they say which kind is meant; a made-up name says nothing, and all must
come from them. Which of it is true is not told by a constant, but by the examples: each
is looked for by what was learned from the others, among what random images show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detail_embed.concepts.background import Background
from detail_embed.concepts.choose import best
from detail_embed.concepts.example import Example

SHARES = np.array([0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 1.0])
HALF = 0.5  # from here on the examples say first which patches are meant
_ROUNDS = 3  # of choosing patches and learning from them
_EARLY = 5.5  # examples up to which a text that is known is trusted more than they are
_DOUBT = 0.5  # that a text is unknown, where it was tried on one image without a box
_ONE = 0.1  # share of one image without a box: only the text tells what is meant
_KNOWN = 0.85  # of the best log rank: what a text reaches that is known
_ALIKE = 0.9  # exponent of the patches of an image that are like no other of it
_CONFUSED = 4.0  # negatives that count as much as all of the background


def blend(
    share: float,
    known: np.ndarray,
    chosen: np.ndarray | None,
    positives: Sequence[Example],
    negatives: Sequence[Example],
    background: Background,
) -> np.ndarray:
    """Learns a scorer at this share.

    Args:
        share: of the examples, 0 to 1
        known: ``(d,)`` of the text, scaled
        chosen: ``(n, d)``, the patches that agree; None where the text shall choose
        positives: at least one
        negatives: any number
        background: of the same dataset
    """
    scorer = known
    if share >= HALF and chosen is not None:
        scorer = background.direction(chosen.mean(axis=0))
    for _ in range(_ROUNDS):
        to = best(positives, scorer).mean(axis=0)
        start = _start(scorer, negatives, background)
        scorer = share * background.direction(to, start) + (1 - share) * known
    return scorer


def find_share(
    known: np.ndarray,
    chosen: np.ndarray | None,
    positives: Sequence[Example],
    negatives: Sequence[Example],
    background: Background,
) -> float:
    """Weighs the shares by how well each finds examples that it was not taught.

    Args:
        known: ``(d,)`` of the text, scaled
        chosen: as for :func:`blend`
        positives: at least one
        negatives: any number
        background: of the same dataset

    Returns:
        the mean of the shares, a number from 0 to 1
    """
    if len(positives) == 1 and positives[0].patch is None:
        return _ONE
    alone = _log_ranks(known[None], positives, (), background)
    certain = -_KNOWN * np.log(len(background.rows) + 1)
    by_chance = np.mean([-_ALIKE * np.log(len(e.candidates)) for e in positives])
    trust = np.clip((by_chance - alone) / max(by_chance - certain, 1), 0, 1)
    open_ = np.mean([e.patch is None for e in positives])
    trust = min(1.0, trust + open_ * _DOUBT / np.sqrt(len(positives)))
    if len(positives) == 1:
        ranks = np.where(SHARES < HALF, alone, certain)
    else:
        ranks = np.array([
            _left_out(share, known, chosen, positives, negatives, background)
            for share in SHARES
        ])
    cost = trust * (1 + (_EARLY / len(positives)) ** 2)
    weight = -len(positives) * (ranks + cost * SHARES)
    weight = np.exp(weight - weight.max())
    return float(weight @ SHARES / weight.sum())


def _left_out(share, known, chosen, positives, negatives, background) -> float:
    """The mean log rank of each positive, for a scorer learned from the others."""
    scorer = blend(share, known, chosen, positives, negatives, background)
    rows = best(positives, scorer)
    others = (rows.sum(axis=0) - rows) / (len(rows) - 1)
    learned = background.direction(others, _start(scorer, negatives, background))
    scorers = background.scaled(share * learned + (1 - share) * known)
    return _log_ranks(scorers, positives, negatives, background)


def _log_ranks(scorers, positives, negatives, background) -> float:
    """How early positives come among patches of the background, and of negatives.

    Of ``(n, d)`` scorers, each is for one positive; one of ``(1, d)`` is for all.
    """
    each = np.broadcast_to(scorers, (len(positives), scorers.shape[1]))
    found = np.array([(e.candidates @ v).max() for e, v in zip(positives, each)])
    above = (background.rows @ scorers.T > found).sum(axis=0)
    ranks = np.log((1 + above) / (1 + len(background.rows)))
    if negatives:
        wrong = np.stack([(e.candidates @ scorers.T).max(axis=0) for e in negatives])
        above = (wrong > found).sum(axis=0)
        ranks = ranks + np.log((1 + above) / (1 + len(negatives)))
    return float(ranks.mean())


def _start(scorer, negatives, background) -> np.ndarray:
    """Where scores shall be low: the background, and what is mistaken for it."""
    if not negatives:
        return background.mean
    weight = len(negatives) / (len(negatives) + _CONFUSED)
    confused = best(negatives, scorer).mean(axis=0)
    return (1 - weight) * background.mean + weight * confused
