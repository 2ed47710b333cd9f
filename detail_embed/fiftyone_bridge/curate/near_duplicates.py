"""Near duplicates by the vectors of an index, in grades.

FiftyOne's brain has a search for duplicates: it keeps the first image of a group,
whatever its file, knows no grades, and shifts the vectors that it is given, see
https://github.com/voxel51/fiftyone-brain/issues/258; so it is done in :mod:`.grades`.

Of an index with several vectors per image, the one beside these stands for the image.
Of an index of boxes, what is compared and shown are boxes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from numbers import Real

import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.curate import duplicate_field
from detail_embed.fiftyone_bridge.curate.best_files import best_first
from detail_embed.fiftyone_bridge.curate.grades import (
    LIMITS,
    RELATED,
    find_duplicates,
)
from detail_embed.fiftyone_bridge.curate.optional_tag import read_tag
from detail_embed.fiftyone_bridge.index import provenance
from detail_embed.fiftyone_bridge.index.image_vectors import (
    Items,
    check_images_of_index,
    mean,
    read_items,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.tags import had_before
from detail_embed.storage.plain_numbers import is_a

THRESHOLD = LIMITS[RELATED]
_TINY = 1e-3  # a length that is rounding


@dataclass(frozen=True)
class NearDuplicates:
    """Images, or boxes, that look alike, in grades: the same, close, related.

    In each group the image with the best file is kept: most pixels, then most bytes; of
    boxes, the first.

    Attributes:
        view: each kept image, followed by its duplicates; the closest group first;
            of boxes, a patches view
        groups: ``{kept id: [(duplicate id, cosine distance), ...]}``, closest first
        grades: ``{grade: groups}``, the same groups by how like they are
        field: of Classifications: the grade of what could go, with ``kept`` and
            ``distance``, and ``"kept"`` for what is kept; None for boxes and frames
        images: that were compared; or boxes
        without: images that have no vector; or boxes
        tag: that those got that could go, None for none
        noun: ``"images"`` or ``"boxes"``
        hints: whether images that are none of these have the tag
    """

    view: fov.DatasetView
    groups: dict[str, list[tuple[str, float]]]
    grades: dict[str, dict[str, list[tuple[str, float]]]]
    field: str | None
    images: int
    without: int
    tag: str | None = None
    noun: str = "images"
    hints: tuple[str, ...] = ()

    @property
    def duplicates(self) -> int:
        """Images, or boxes, that could go."""
        return sum(map(len, self.groups.values()))


def find_near_duplicates(
    index: Index,
    samples: foc.SampleCollection,
    threshold: float = THRESHOLD,
    tag: str | None = None,
) -> Run:
    """Finds images or boxes that are nearly the same.

    How they are graded, see :func:`.grades.find_duplicates`. Files with the same
    content are the same, as far as the index knows contents. What could go is said in a
    field, and nothing is deleted.

    Args:
        index: a similarity index
        samples: a dataset or view of images
        threshold (0.3): the largest cosine distance of duplicates, 0 to 2, after the
            mean of all vectors of the index was taken away; what is above 0.3 is
            related, too
        tag (None): that those get that could go

    Returns:
        a :class:`.runs.run.Run`, whose result is a :class:`NearDuplicates`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    check_threshold(threshold)
    tag = read_tag(tag)
    images = check_images_of_index(index, samples)
    duplicate_field.check(index)
    return Run(_near_duplicates(index, images, threshold, tag))


def check_threshold(threshold: float) -> None:
    """Checks the largest distance of duplicates.

    Raises:
        ValueError: if it is no number from 0 to 2
    """
    is_number = is_a(Real, threshold)
    if not is_number or not 0 <= threshold <= 2:
        raise ValueError(
            f"threshold must be a cosine distance from 0 to 2, not {threshold!r}"
        )


def _near_duplicates(
    index: Index, samples: foc.SampleCollection, threshold: float, tag: str | None
) -> Generator[Progress, None, NearDuplicates]:
    yield Progress("Reading the vectors", 0.0)
    items = read_items(index, samples, 2)
    order, contents = np.arange(len(items.ids)), [None] * len(items.ids)
    if items.field is None:
        yield Progress(f"Looking at {len(items.ids)} files", 0.2)
        order = best_first(items.samples)
        sources = provenance.sources(index, items.ids)
        known = [sources.get(items.ids[row]) for row in order]
        contents = [source and source.content for source in known]
    ids = [items.ids[row] for row in order]
    yield Progress(f"Comparing {len(ids)} {items.noun}", 0.3)
    matrix = _centred(index, items)[order]
    found = [
        (ids[one.row], ids[one.kept], one.distance, one.grade)
        for one in find_duplicates(matrix, contents, threshold)
    ]
    has_field = items.field is None and not index.is_of_frames
    if has_field:
        duplicate_field.write(index, found)
    hints = ()
    if tag is not None:
        could_go = [id for id, *_ in found]
        if items.field is None:
            hints = had_before(index.images(), could_go, tag)
        if found:
            items.tag(could_go, tag)
    groups = _grouped(found)
    shown = [id for kept, others in groups.items() for id in (kept, *dict(others))]
    return NearDuplicates(
        view=items.view(samples, list(dict.fromkeys(shown))),
        groups=groups,
        grades={
            grade: _grouped(one for one in found if one[3] == grade) for grade in LIMITS
        },
        field=duplicate_field.field_of(index) if has_field else None,
        images=len(ids),
        without=items.without,
        tag=tag,
        noun=items.noun,
        hints=hints,
    )


def _centred(index: Index, items: Items) -> np.ndarray:
    """Takes away the mean of all that is in the index; of unit length again.

    So a distance means the same in every view. Images that are the mean itself, such
    as copies of one, stay as they are.
    """
    matrix = items.matrix
    centred = matrix - mean(index)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(lengths > _TINY, centred / np.maximum(lengths, _TINY), matrix)


def _grouped(
    found: Iterable[tuple[str, str, float, str]],
) -> dict[str, list[tuple[str, float]]]:
    """What could go by what is kept, closest first."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for id, kept, distance, _ in sorted(found, key=lambda one: one[2]):
        groups.setdefault(kept, []).append((id, distance))
    return groups
