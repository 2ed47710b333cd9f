"""How good a classifier is by the number of examples, and for which classes."""

from __future__ import annotations

from collections.abc import Generator

from torch import Tensor

from detail_embed.classifiers import Kind
from detail_embed.classifiers.bags import Part
from detail_embed.classifiers.curve import (
    CurvePoint,
    are_enough,
    curve_in_steps,
    halves,
)
from detail_embed.fiftyone_bridge.classifiers.examples import Examples
from detail_embed.texts.some_of import some_of


def measure_curve(
    kind: Kind, known: Examples, captions: Tensor | None, seed: int
) -> Generator[float, None, tuple[list[CurvePoint], list[str]]]:
    """Trains on a few examples, see :func:`detail_embed.classifiers.curve`.

    Yields:
        the share that is done, 0 to 1

    Returns:
        the points, and what a person should know of them: which classes they leave
        out, as one half of the examples has none of them
    """
    shown, _, _ = halves(known.targets, known.several, seed)
    if not are_enough(shown, known.several):
        return [], [
            "No curve was measured: too few classes have two examples with vectors."
        ]
    points = yield from curve_in_steps(
        kind, Part(known.bags, known.rows), known.targets, known.several, captions,
        seed=seed,
    )
    gone = [name for name, is_in in zip(known.classes, shown) if not is_in]
    if not gone:
        return points, []
    return points, [
        "The curve leaves out classes with too few examples to train and to measure "
        f"on: {some_of(gone)}."
    ]
