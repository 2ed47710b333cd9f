"""The field that says of images which grade of near duplicates they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.view as fov

from detail_embed.fiftyone_bridge.curate.grades import LIMITS
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.app_defaults import (
    DUPLICATE_MAKER,
    declare_labels,
    is_made_by,
)
from detail_embed.fiftyone_bridge.samples.collection import flat_images

KEPT = "kept"
_ATTRIBUTES = {"kept": fo.StringField, "distance": fo.FloatField}


@dataclass(frozen=True)
class Grade:
    """What was found of a grade.

    Attributes:
        name: of the grade
        groups: images that are kept, or go in a weaker grade
        duplicates: images that could go
    """

    name: str
    groups: int
    duplicates: int


def field_of(index: Index) -> str:
    """Name of the field of Classifications: a grade, or ``"kept"``."""
    return f"{index.key}_duplicate"


def check(index: Index) -> None:
    """Checks that the field is free, or was made here.

    Raises:
        ValueError: if it is somebody else's
    """
    field = field_of(index)
    if index.dataset.has_field(field) and not _is_there(index):
        raise ValueError(
            f"the field {field!r} exists and does not hold grades of near duplicates; "
            "rename it"
        )


def write(index: Index, found: Iterable[tuple[str, str, float, str]]) -> None:
    """Writes what was found, in place of what an earlier search has found.

    Args:
        index: whose vectors were compared
        found: id, the id of the image that it is like, their distance, and the grade
    """
    dataset, field, found = index.dataset, field_of(index), list(found)
    if _is_there(index):
        dataset.clear_sample_field(field)
    else:
        declare_labels(dataset, field, fo.Classification, DUPLICATE_MAKER)
        for name, kind in _ATTRIBUTES.items():
            dataset.add_sample_field(f"{field}.{name}", kind)
    labels = {kept: fo.Classification(label=KEPT) for _, kept, _, _ in found}
    labels |= {
        id: fo.Classification(label=grade, kept=kept, distance=distance)
        for id, kept, distance, grade in found
    }
    if labels:
        dataset.set_values(field, labels, key_field="id")


def read(index: Index) -> list[Grade]:
    """What the last search has found, of the samples that are still there."""
    found = _found(index)
    duplicates = Counter(grade for _, _, grade in found)
    groups = Counter(grade for _, grade in {(kept, grade) for _, kept, grade in found})
    return [
        Grade(name, groups[name], duplicates[name])
        for name in LIMITS if duplicates[name]
    ]


def view(index: Index, grade: str, only_duplicates: bool = False) -> fov.DatasetView:
    """The images of a grade, each after the one that it is like.

    Args:
        index: whose vectors were compared
        grade: its name
        only_duplicates (False): whether to leave out those that are kept
    """
    groups: dict[str, list[str]] = {}
    for id, kept, one in _found(index):
        if one == grade:
            groups.setdefault(kept, []).append(id)
    ids = [
        id for kept, others in groups.items()
        for id in (others if only_duplicates else [kept, *others])
    ]
    return flat_images(index.dataset).select(ids, ordered=True)


def _found(index: Index) -> list[tuple[str, str, str]]:
    """Id, the id that it is like, and grade of each image that could go."""
    if not _is_there(index):
        return []
    field = field_of(index)
    samples = flat_images(index.dataset).exists(f"{field}.kept")
    paths = ["id", f"{field}.kept", f"{field}.distance", f"{field}.label"]
    rows = sorted(zip(*samples.values(paths)), key=lambda row: row[2])
    return [(id, kept, grade) for id, kept, _, grade in rows]


def _is_there(index: Index) -> bool:
    field = index.dataset.get_field(field_of(index))
    return field is not None and is_made_by(field, DUPLICATE_MAKER)
