"""Labels and vectors together: what a classifier learns from, and what it labels."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.classifiers import Bags
from detail_embed.classifiers.bags import Part
from detail_embed.classifiers.curve import are_enough
from detail_embed.fiftyone_bridge.classifiers.targets import (
    BOX,
    Item,
    Labelled,
    boxes_of,
)
from detail_embed.fiftyone_bridge.classifiers.vectors import StoredPatches, see
from detail_embed.fiftyone_bridge.index.index import Index


@dataclass(frozen=True, eq=False)
class Examples:
    """Everything that has vectors, of which some has labels.

    Attributes:
        unit: what it is, images or boxes
        several: whether one may have several classes, or none
        classes: K names of those with an example
        items: ``n`` images or boxes
        bags: their vectors
        rows: ``(m,)`` int64, which of them are examples, rising
        targets: ``(m, K)`` bool, their classes
        without: how many have no vector
        left_out: how many are no examples, by what they lack
        notes: what a person should know
    """

    unit: str
    several: bool
    classes: list[str]
    items: list[Item]
    bags: Bags
    rows: np.ndarray
    targets: np.ndarray
    without: int
    left_out: dict[str, int]
    notes: list[str]

    def examples(self, places: np.ndarray) -> Bags:
        """The vectors of some examples."""
        return Part(self.bags, self.rows[places])

    def places(self, row: int, best: np.ndarray) -> list[list[float] | None]:
        """Where in its image something was judged for each class.

        Args:
            row: of the items
            best: ``(K,)`` which vector is the best for a class

        Returns:
            left, top, width and height as shares; None for the whole image
        """
        item = self.items[row]
        if self.unit == BOX:
            return [list(item.box)] * len(best)
        if isinstance(self.bags, StoredPatches):
            return self.bags.boxes(row, best)
        return [None] * len(best)


def find_examples(
    index: Index, samples: foc.SampleCollection, labelled: Labelled, patches: bool
) -> Examples:
    """Puts labels and vectors together.

    Args:
        index: with the vectors
        samples: a dataset or view of images
        labelled: its labels
        patches: whether all patches are wanted

    Raises:
        ValueError: if less than two classes have an example with vectors
    """
    if labelled.unit == BOX:
        items, _, _ = boxes_of(samples, labelled.field)
    else:
        items = [Item(id) for id in samples.values("id")]
    seen = see(index, samples, items, labelled.unit, labelled.field, patches)
    kept = [items[row] for row in seen.rows]
    numbers = {_key(item): number for number, item in enumerate(labelled.items)}
    pairs = [
        (row, numbers[_key(item)]) for row, item in enumerate(kept)
        if _key(item) in numbers
    ]
    rows, labels = np.array(pairs, np.int64).reshape(-1, 2).T
    targets = labelled.targets[labels]
    is_shown = targets.any(axis=0)
    gone = [name for name, shown in zip(labelled.classes, is_shown) if not shown]
    if not are_enough(is_shown, labelled.several):
        raise ValueError(
            f"{len(rows)} of {len(labelled.items)} labelled {labelled.unit}s have "
            f"vectors in the index {index.key!r}, of {is_shown.sum()} classes: update "
            "the index for these images"
        )
    notes = [f"Classes without an example that has vectors: {gone}."] if gone else []
    return Examples(
        labelled.unit, labelled.several,
        [name for name, shown in zip(labelled.classes, is_shown) if shown],
        kept, seen.bags, rows, targets[:, is_shown], len(items) - len(kept),
        labelled.left_out, notes,
    )


def _key(item: Item) -> str:
    return item.label_id or item.sample_id
