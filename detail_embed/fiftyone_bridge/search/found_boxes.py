"""What a search in an index of boxes found: labels, shown as close-ups."""

from __future__ import annotations

from dataclasses import dataclass, field

import fiftyone.core.patches as fop
import fiftyone.core.view as fov

from detail_embed.fiftyone_bridge.index import boxes
from detail_embed.fiftyone_bridge.samples.app_defaults import SCORE, has_score, prepare
from detail_embed.fiftyone_bridge.samples.frames import home_of
from detail_embed.fiftyone_bridge.search import match
from detail_embed.fiftyone_bridge.search.found import DRAWN, Found


@dataclass(frozen=True, eq=False)
class FoundBoxes(Found):
    """The boxes that a search found, best first.

    As of :class:`.found.Found`, of boxes instead of images. ``likely`` is None.

    Attributes:
        ids: of the ``k`` labels, which are those of FiftyOne's patches, too
        label_field: of the labels
        sample_ids: of the ``k`` images that the boxes are in
    """

    label_field: str = ""
    sample_ids: list[str] = field(default_factory=list)

    @property
    def label_ids(self) -> list[str]:
        """Of the ``k`` labels: ``ids``."""
        return self.ids

    @property
    def noun(self) -> str:
        """What was found, for a person."""
        return "boxes"

    @property
    def view(self) -> fov.DatasetView:
        """Close-ups of the best 5,000 boxes: a patches view, in this order.

        The scores are in the field ``detail_score`` of the view alone.
        """
        prepare(home_of(self.samples))
        ids, scores = self.ids[:DRAWN], self.scores[:DRAWN]
        images = self.sample_ids[:DRAWN]
        view = boxes.close_ups(self.samples, self.label_field, images, ids)
        if has_score(home_of(self.samples)):
            values = match.item([round(score, 4) for score in scores])
            shown = ids if isinstance(view, fop.PatchesView) else images
            view = view.set_field(SCORE, match.of_each(shown, values))
        return view

    def patches(self) -> fov.DatasetView:
        """Close-ups: ``view``."""
        return self.view

    @property
    def images(self) -> Found:
        """The images that these boxes are in, each once, by its best box."""
        first: dict[str, int] = {}
        for place, id in enumerate(self.sample_ids):
            first.setdefault(id, place)
        places = list(first.values())
        return Found(
            samples=boxes.images_of(self.samples),
            ids=list(first),
            scores=[self.scores[place] for place in places],
            z_scores=[self.z_scores[place] for place in places],
            places=[self.places[place] for place in places],
            histogram=self.histogram,
            searched=self.searched,
            missing=self.missing,
            above=self.above,
            vector=self.vector,
            method=self.method,
            seconds=self.seconds,
            text=self.text,
            hints=self.hints,
        )
