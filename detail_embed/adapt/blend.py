"""WiSE-FT: between the weights before and after training, the best by validation.

Wortsman et al., Robust fine-tuning of zero-shot models, arXiv 2109.01903.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from detail_embed.adapt.towers import Towers
from detail_embed.adapt.tuning_judge import MAY_LOSE, Found, Judge

ALPHAS = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Blend:
    """A mixture of both weights, and what it finds on held-out images.

    Attributes:
        alpha: share of the trained weights
        retrieval: mean average precision of the texts
        nouns: mean reciprocal rank of the known things
        lost: what that has lost
    """

    alpha: float
    retrieval: float
    nouns: float
    lost: float


@dataclass(frozen=True)
class Verdict:
    """Whether a model is offered, and why.

    Attributes:
        is_offered: whether held-out retrieval rises, by more than chance, and nouns
            (known things) lose at most 2 points
        alpha: share of the trained weights
        gain: what retrieval rises by, and the ends of its 95 % interval
        lost: what nouns have lost
        reason: in a sentence
    """

    is_offered: bool
    alpha: float
    gain: tuple[float, float, float]
    lost: float
    reason: str


def mix(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """The weights a part of the way from the start to the end."""
    if alpha == 1:
        return dict(end)
    return {
        name: start[name].lerp(value, alpha) if value.is_floating_point() else value
        for name, value in end.items()
    }


def blends(
    towers: Towers, judge: Judge, start: Mapping[str, Tensor],
    end: Mapping[str, Tensor], before: Found,
) -> Iterator[tuple[Blend, Found]]:
    """Measures mixtures, one after the other.

    Args:
        towers: of the same architecture, without LoRA; changed in place
        judge: measures
        start: weights before training
        end: weights after it
        before: what they find at the start
    """
    for alpha in ALPHAS:
        towers.model.load_state_dict(mix(start, end, alpha))
        found = judge.measure(towers)
        blend = Blend(alpha, found.retrieval, found.kept, found.lost(before))
        yield blend, found


def decide(
    measured: list[tuple[Blend, Found]], before: Found, stopped: str = ""
) -> Verdict:
    """Chooses the mixture that finds most among those that lose little.

    Args:
        measured: of :func:`blends`; empty where no pass was ended
        before: what is found at the start
        stopped (""): why training ended early
    """
    if not measured:
        why = stopped or "no pass over the crops was ended in time: give more minutes"
        return Verdict(False, 0.0, (0.0, 0.0, 0.0), 0.0, why)
    keeping = [one for one in measured if one[0].lost <= MAY_LOSE]
    pool = keeping or measured[:1]
    blend, found = max(pool, key=lambda one: one[0].retrieval)
    gain = found.gain(before)
    points = [100 * value for value in (*gain, blend.lost)]
    what = (
        f"on held-out images {points[0]:+.1f} points of mean average precision "
        f"(95 % interval {points[1]:+.1f} to {points[2]:+.1f}), nouns "
        f"{-points[3]:+.1f} points"
    )
    if not keeping:
        why = f"nouns would lose more than {100 * MAY_LOSE:g} points: {what}"
    elif not gain[0] > 0:
        why = f"held-out retrieval does not rise: {what}"
    elif not gain[1] > 0:
        why = f"held-out retrieval rises by no more than chance: {what}"
    else:
        return Verdict(True, blend.alpha, gain, blend.lost, what)
    return Verdict(False, blend.alpha, gain, blend.lost, why)
