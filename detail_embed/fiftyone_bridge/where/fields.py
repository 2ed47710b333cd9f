"""The two fields that show where images match a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
import numpy as np

from detail_embed.fiftyone_bridge.index.names import check_brain_key
from detail_embed.fiftyone_bridge.samples.app_defaults import (
    HEATMAP,
    WHERE,
    WHERE_MAKER,
    declare_labels,
    is_made_by,
)
from detail_embed.fiftyone_bridge.samples.frames import Home, home_of
from detail_embed.patch_search.localise import Places

FIELD = WHERE
HEATMAP_FIELD = HEATMAP
SCORE = "score"

_LONGEST = 40  # characters of a label


@dataclass(frozen=True)
class WhereFields:
    """The fields for boxes and heat maps; marked when made, so that no other is lost.

    Attributes:
        boxes: name of the field of Detections
        heat: name of the field of Heatmaps
    """

    boxes: str = FIELD
    heat: str = HEATMAP_FIELD

    def check(self, home: Home) -> None:
        """Checks that the fields are free, or hold what was shown before.

        Raises:
            ValueError: if one is of someone else, or cannot be the name of a field
        """
        if self.boxes == self.heat:
            raise ValueError(
                f"boxes and heat maps cannot both go to the field {self.boxes!r}: give "
                "two names"
            )
        for name, kind in self._kinds().items():
            check_brain_key(name, "field")
            if home.has_field(name):
                _check_ours(home.get_field(name), kind)

    def declare(self, home: Home) -> None:
        """Adds the fields where they are missing."""
        for name, kind in self._kinds().items():
            if not home.has_field(name):
                declare_labels(home, name, kind, WHERE_MAKER)
        score = f"{self.boxes}.detections.{SCORE}"
        if not home.has_field(score):
            home.add_sample_field(score, fo.FloatField)

    def write(
        self, home: Home, places: Mapping[str, Sequence[tuple[str, Places]]]
    ) -> None:
        """Sets the labels of images; a heat map shows the hottest of all texts.

        Args:
            home: where the images are
            places: of each text that was looked for, by sample id
        """
        if not places:
            return
        boxes = {id: _detections(image) for id, image in places.items()}
        heat = {
            id: fo.Heatmap(
                map=np.maximum.reduce([one.heat for _, one in image]), range=[0, 1]
            )
            for id, image in places.items()
        }
        home.set_values(self.boxes, boxes, key_field="id")
        home.set_values(self.heat, heat, key_field="id")

    def delete(self, home: Home) -> None:
        """Deletes the fields, where they are.

        Raises:
            ValueError: as :meth:`check`; then none is deleted
        """
        self.check(home)
        there = [name for name in self._kinds() if home.has_field(name)]
        if there:
            home.delete_sample_fields(there)

    def _kinds(self) -> dict[str, type[fo.Label]]:
        return {self.boxes: fo.Detections, self.heat: fo.Heatmap}


def clear_where(
    dataset: fo.Dataset, field: str = FIELD, heatmap_field: str = HEATMAP_FIELD
) -> None:
    """Deletes the fields that ``show_where`` made, where they are.

    Raises:
        ValueError: if one of them is of someone else; then none is deleted
    """
    WhereFields(field, heatmap_field).delete(home_of(dataset))


def is_ours(field: fo.Field) -> bool:
    """Whether a field was made to show where images match a query."""
    return is_made_by(field, WHERE_MAKER)


def _check_ours(field: fo.Field, kind: type[fo.Label]) -> None:
    found = getattr(field, "document_type", type(field))
    if not is_ours(field) or found is not kind:
        raise ValueError(
            f"the field {field.name!r} holds {found.__name__} that are not "
            f"{kind.__name__} of an earlier query; they are left alone: give the name "
            "of a new field"
        )


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST - 1].rstrip()}…"


def _detections(image: Sequence[tuple[str, Places]]) -> fo.Detections:
    return fo.Detections(
        detections=[
            fo.Detection(
                label=_shorten(text),
                bounding_box=box,
                confidence=min(max(score, 0.0), 1.0),
                **{SCORE: score},
            )
            for text, places in image
            for box, score in zip(places.boxes.tolist(), places.scores.tolist())
        ]
    )
