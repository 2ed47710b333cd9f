"""What is labelled already, by a field, a tag or a view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.label_fields import label_fields
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of, label_path


@dataclass(frozen=True)
class Labelled:
    """The images that are labelled already: those of any of these.

    Attributes:
        field: a field of labels. One without a class is none yet; empty Detections are
            an image that was looked at, as FiftyOne imports them, and so labelled, too
        tag: of samples
        view: the name of a saved view, or a view
    """

    field: str | None = None
    tag: str | None = None
    view: str | foc.SampleCollection | None = None

    def read(self, index: Index) -> tuple[list[str], tuple[str, ...]]:
        """Finds them among the images of an index.

        Returns:
            their ids, each once, in the order of the dataset; and what to know of
            labels that can be read in two ways

        Raises:
            ValueError: if the images have no such field or tag, or there is no view
        """
        images, found, hints = index.images(), set(), ()
        if self.field is not None:
            known = label_fields(images)
            _check("labelled_field", self.field, known, "field of labels")
            ids, hints = _of_field(images, self.field)
            found.update(ids)
        if self.tag is not None:
            _check("labelled_tag", self.tag, images.distinct("tags"), "tag")
            found.update(images.match_tags(self.tag).values("id"))
        if self.view is not None:
            view = index.images_of(self._view(index.dataset))
            found.update(view.values("id"))
        return [id for id in images.values("id") if id in found], hints

    def _view(self, dataset: fo.Dataset) -> foc.SampleCollection:
        if isinstance(self.view, str):
            _check("labelled_view", self.view, dataset.list_saved_views(), "saved view")
            return dataset.load_saved_view(self.view)
        if (other := dataset_of(self.view).name) != dataset.name:
            raise ValueError(
                f"labelled_view is of the dataset {other!r}, but the images are of "
                f"{dataset.name!r}: give a view of that"
            )
        return self.view


def _of_field(
    images: foc.SampleCollection, field: str
) -> tuple[list[str], tuple[str, ...]]:
    """The ids of what has a class or is empty, and what to know of the others."""
    images = images.exists(field)
    path = f"{label_path(images, field)}.label"
    if images.get_field(path) is None:  # such as masks
        return images.values("id"), ()
    ids, labels = images.values(["id", path])
    empty = sum(some == [] for some in labels)
    done = [id for id, some in zip(ids, labels) if some == [] or _has_class(some)]
    hints = []
    if len(done) < len(ids):
        hints.append(
            f"In {field!r}, {len(ids) - len(done)} images have labels without a class: "
            "they count as not labelled."
        )
    if empty:
        hints.append(
            f"In {field!r}, {empty} images have an empty list: they count as labelled, "
            "with nothing in them. Set it to None where nobody has looked yet."
        )
    return done, tuple(hints)


def _has_class(labels: str | list[str | None] | None) -> bool:
    return any(labels) if isinstance(labels, list) else bool(labels)


def _check(name: str, value: object, known: Iterable[str], what: str) -> None:
    known = sorted(known)
    if value not in known:
        choice = f"choose one of {known[:20]}" if known else "this dataset has none"
        raise ValueError(f"{name}={value!r:.80}: there is no such {what}; {choice}")
