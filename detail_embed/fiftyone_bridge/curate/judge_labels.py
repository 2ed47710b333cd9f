"""What a table of scores says of labels: written to them, and shown worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.patches as fop
import fiftyone.core.view as fov
import fiftyone.operators as foo
import numpy as np
from numpy.typing import ArrayLike

from detail_embed.evaluation.mistakenness import DOUBTFUL, mistakenness
from detail_embed.fiftyone_bridge.curate.long_tail import STORE
from detail_embed.fiftyone_bridge.index import boxes
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import label_attributes
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fiftyone_bridge.samples.frames import Home, home_of
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_id,
    label_type,
)
from detail_embed.texts.some_of import some_of

MISTAKENNESS = "mistakenness"  # attributes of labels
SUGGESTED = "suggested_label"
COUNT = 100
MAKER = "detail_embed.mistaken_labels"
OF_IMAGES = (fo.Classification, fo.Classifications)
_NEWEST = "mistaken_labels"


@dataclass(frozen=True, eq=False)
class MistakenLabels:
    """Which labels are probably mistaken.

    Attributes:
        view: the worst first: boxes as a patches view, images of a field of
            Classifications
        label_field: of the labels, which got the attributes ``mistakenness`` and
            ``suggested_label``
        mistakenness: by label id, the worst first, 0 to 1; above 0.5 another class fits
            better
        suggested: the class that fits best beside the label's own, by label id
        names: the label's own class, by label id
        images: the sample that each is in, by label id
        without: labels that have no vector
        unnamed: labels that have no class
        unlisted: labels of each class that is not among those that were given
        unused: classes that were given and no label has
        hints: what to know of the prompts: cut off, or hardly understood
    """

    view: fov.DatasetView
    label_field: str
    mistakenness: dict[str, float]
    suggested: dict[str, str]
    names: dict[str, str]
    images: dict[str, str]
    without: int = 0
    unnamed: int = 0
    unlisted: Mapping[str, int] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def doubtful(self) -> int:
        """Labels that another class fits better."""
        return sum(value > DOUBTFUL for value in self.mistakenness.values())


def judge(
    samples: foc.SampleCollection,
    field: str,
    ids: Sequence[str],
    scores: ArrayLike,
    classes: Sequence[str],
    count: int = COUNT,
    comparable: bool = False,
) -> MistakenLabels:
    """Writes and shows which labels a table of scores contradicts.

    Args:
        samples: a dataset or view of images, or of patches of the field
        field: of labels
        ids: of ``n`` labels
        scores: ``(n, K)``, of texts or of a classifier; higher fits better
        classes: the ``K`` classes
        count (100): labels to show
        comparable (False): see
            :func:`~detail_embed.evaluation.mistakenness.mistakenness`

    Raises:
        ValueError: if no label has one of the classes, or the scores cannot be used
    """
    places = {name: place for place, name in enumerate(classes)}
    found = label_attributes.read(samples, field, "label")
    images = label_attributes.images(samples, field)
    names = [key_of(found[id][0]) for id in ids]
    rows = [row for row, name in enumerate(names) if name in places]
    if not rows:
        raise ValueError(
            f"none of these {len(names)} labels of {field!r} has one of the classes "
            f"{some_of(classes)}: choose others"
        )
    kept = [ids[row] for row in rows]
    own = np.array([places[names[row]] for row in rows])
    taken = None
    if label_type(samples, field) is fo.Classifications:
        taken = _taken([images[id] for id in kept], own, len(classes))
    values, best = mistakenness(np.asarray(scores)[rows], own, taken, comparable)
    order = np.argsort(-values, kind="stable")
    worst = {kept[row]: float(values[row]) for row in order}
    suggested = {kept[row]: classes[best[row]] for row in order}
    _write(home_of(samples), field, worst, suggested)
    others = Counter(name for name in names if name and name not in places)
    return MistakenLabels(
        view=_view(samples, field, list(worst)[:count], images),
        label_field=field,
        mistakenness=worst,
        suggested=suggested,
        names={kept[row]: classes[own[row]] for row in order},
        images={id: images[id] for id in worst},
        unnamed=names.count(""),
        unlisted=dict(others),
        unused=tuple(name for name in classes if name not in set(names)),
    )


def keep(index: Index, found: MistakenLabels) -> None:
    """Keeps what was found for the panel, instead of what was found before."""
    ids = found.view.values("id")
    if not isinstance(found.view, fop.PatchesView):
        shown = set(ids)
        ids = [id for id, image in found.images.items() if image in shown]
    report = {
        "brain_key": index.key,
        "label_field": found.label_field,
        "judged": len(found.mistakenness),
        "doubtful": found.doubtful,
        "labels": [
            {
                "id": id,
                "image": found.images[id],
                "name": found.names[id],
                "suggested": found.suggested[id],
                "mistakenness": found.mistakenness[id],
            }
            for id in ids
        ],
    }
    _store(index.dataset).set(_NEWEST, report)


def read(dataset: fo.Dataset) -> dict[str, Any] | None:
    """Reads what :func:`keep` kept; None for nothing, or where the field is gone."""
    report = _store(dataset).get(_NEWEST)
    is_there = report and _home(dataset, report).has_field(report["label_field"])
    return report if is_there else None


def view_of(dataset: fo.Dataset, report: Mapping[str, Any]) -> fov.DatasetView:
    """The view that :func:`keep` was given, of the labels that are still there."""
    images = {label["id"]: label["image"] for label in report["labels"]}
    samples = images_of(dataset, report)
    return _view(samples, report["label_field"], list(images), images)


def images_of(dataset: fo.Dataset, report: Mapping[str, Any]) -> foc.SampleCollection:
    """All images, or frames, that the labels were among which :func:`keep` kept."""
    return flat_images(_home(dataset, report))


def _home(dataset: fo.Dataset, report: Mapping[str, Any]) -> Home:
    return Index(dataset, report["brain_key"]).home


def _store(dataset: fo.Dataset) -> foo.ExecutionStore:
    return foo.ExecutionStore.create(STORE, dataset_id(dataset))


def key_of(name: str | None) -> str:
    """A class as it is compared: as those that a person types; empty for none."""
    return " ".join((name or "").split())


def _taken(images: Sequence[str], own: np.ndarray, classes: int) -> np.ndarray:
    """Which classes the image of each label has a label of already."""
    numbers = {image: number for number, image in enumerate(dict.fromkeys(images))}
    rows = np.array([numbers[image] for image in images])
    held = np.zeros((len(numbers), classes), bool)
    held[rows, own] = True
    return held[rows]


def _write(
    home: Home, field: str, worst: dict[str, float], suggested: dict[str, str]
) -> None:
    for name, kind, values in (
        (MISTAKENNESS, fo.FloatField, worst),
        (SUGGESTED, fo.StringField, suggested),
    ):
        label_attributes.declare(home, field, name, kind, MAKER)
        label_attributes.write(home, field, name, values)


def _view(
    samples: foc.SampleCollection, field: str, ids: list[str], images: Mapping[str, str]
) -> fov.DatasetView:
    of = [images[id] for id in ids]
    if label_type(samples, field) in OF_IMAGES:
        return samples.select(list(dict.fromkeys(of)), ordered=True)
    return boxes.close_ups(samples, field, of, ids)
