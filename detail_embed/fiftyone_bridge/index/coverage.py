"""Which images an index has, which it lacks, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone.core.collections as foc
import fiftyone.core.media as fom
from fiftyone import ViewField as F

from detail_embed.fiftyone_bridge.index import (
    brain_runs,
    names,
    provenance,
    vectors,
)
from detail_embed.fiftyone_bridge.index.index import BOXES, Index
from detail_embed.fiftyone_bridge.samples.collection import (
    flat_images,
    ids_with,
    with_fields,
)
from detail_embed.fiftyone_bridge.samples.frames import label_path
from detail_embed.fiftyone_bridge.samples.images import active_slice, meant_by


@dataclass(frozen=True)
class Coverage:
    """How many images an index has.

    Attributes:
        embedded: images that have a vector of the space of the index
        missing: images that have none, and nobody tried to embed
        failed: images that could not be embedded
        reasons: how many images failed, by reason, most frequent first; only known of
            our own indexes
    """

    embedded: int
    missing: int
    failed: int
    reasons: dict[str, int]


def coverage(index: Index, samples: foc.SampleCollection) -> Coverage:
    """Counts the images that a similarity index has and lacks.

    Args:
        index: any similarity index of the dataset, or one of ours that was cut
            short
        samples: a dataset, or a view of its samples

    Raises:
        ValueError: if there is no such index
    """
    groups = _Groups(index, samples)
    reasons = {}
    if groups.errors:
        reasons = groups.failed().count_values(groups.errors)
    failed = sum(reasons.values())
    done = len(groups.embedded())
    return Coverage(
        embedded=done,
        missing=len(groups.images) - done - failed,
        failed=failed,
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def embedded(index: Index, samples: foc.SampleCollection) -> foc.SampleCollection:
    """The images that have a vector; arguments and errors as of :func:`coverage`."""
    return _Groups(index, samples).embedded()


def missing(index: Index, samples: foc.SampleCollection) -> foc.SampleCollection:
    """The images that nobody tried to embed; see :func:`coverage`."""
    return _Groups(index, samples).missing()


def failed(
    index: Index, samples: foc.SampleCollection, reason: str | None = None
) -> foc.SampleCollection:
    """The images that could not be embedded; see :func:`coverage`.

    Args:
        index: a similarity index
        samples: a dataset, or a view of its samples
        reason (None): only those that failed for this reason
    """
    return _Groups(index, samples).failed(reason)


class _Groups:
    """The images of a collection by what an index has of them.

    Attributes:
        images: all of them
        errors: field of the reasons of failures; None where there is none
    """

    def __init__(self, index: Index, samples: foc.SampleCollection):
        self.images = _images(index, samples)
        home = index.home_of(self.images)
        self._field, errors = _fields(index)
        self.errors = errors if errors and home.has_field(errors) else None
        self._ids: Sequence[str] = ()
        self.images = with_fields(self.images, *filter(None, (self._field, errors)))
        if index.find()[1] == BOXES:
            self._only_boxes(index)
        elif self._field is None:
            self._ids = vectors.load(index).ids
        elif not home.has_field(self._field):
            self._field = None
        elif index.is_of_frames:  # of which a view shows a copy
            self._ids, self._field = list(ids_with(home, self._field)), None
        self._foreign = provenance.foreign_ids(index)

    def _only_boxes(self, index: Index) -> None:
        """Leaves out images without boxes; embedded is what has a vector of one."""
        labels = label_path(index.home, index.field)
        self.images = with_fields(self.images, index.field).match(
            F(labels).length() > 0
        )
        has_vector = F(names.box_vector(index.base.key)) != None  # noqa: E711
        found = self.images.match(F(labels).filter(has_vector).length() > 0)
        self._ids = found.values("id")

    def embedded(self) -> foc.SampleCollection:
        if self._field is None:
            return self.images.select(self._ids)
        images = self.images.exists(self._field)
        return images.exclude(self._foreign) if self._foreign else images

    def missing(self) -> foc.SampleCollection:
        rest = self._rest()
        return rest.exists(self.errors, False) if self.errors else rest

    def failed(self, reason: str | None = None) -> foc.SampleCollection:
        if not self.errors:
            return self.images.limit(0)
        view = self._rest().exists(self.errors)
        return view if reason is None else view.match(F(self.errors) == reason)

    def _rest(self) -> foc.SampleCollection:
        if self._field is None:
            return self.images.exclude(self._ids)
        if self._foreign:
            return self.images.exclude(self.embedded().values("id"))
        return self.images.exists(self._field, False)


def _images(index: Index, samples: foc.SampleCollection) -> foc.SampleCollection:
    """The images that samples mean; of a slice without images those of all others."""
    chosen = active_slice(samples)
    if chosen and samples.group_media_types.get(chosen) != fom.IMAGE:
        return flat_images(samples)
    return meant_by(samples, index.is_of_frames)


def _fields(index: Index) -> tuple[str | None, str | None]:
    """Field of the vectors, None where ids tell; field of the reasons, None likewise.

    Raises:
        ValueError: if there is no such index
    """
    record, part = index.find()
    if record is not None and part != BOXES:
        return index.field, (index.base if part else index).error_field
    brain_runs.check_similarity(index)
    return (None if index.config.patches_field else index.field), None
