"""What is labelled already, by a field, a tag or a view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.label_fields import label_fields
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of


@dataclass(frozen=True)
class Labelled:
    """The images that are labelled already: those of any of these.

    Attributes:
        field: a field of labels; an image without a label that was looked at, such as
            empty Detections, is labelled, too
        tag: of samples
        view: the name of a saved view, or a view
    """

    field: str | None = None
    tag: str | None = None
    view: str | foc.SampleCollection | None = None

    def ids(self, index: Index) -> list[str]:
        """The ids of the images of an index, each once, in the order of the dataset.

        Raises:
            ValueError: if the images have no such field or tag, or there is no view
        """
        images, found = index.images(), set()
        if self.field is not None:
            known = label_fields(images)
            _check("labelled_field", self.field, known, "field of labels")
            found.update(images.exists(self.field).values("id"))
        if self.tag is not None:
            _check("labelled_tag", self.tag, images.distinct("tags"), "tag")
            found.update(images.match_tags(self.tag).values("id"))
        if self.view is not None:
            view = index.images_of(self._view(index.dataset))
            found.update(view.values("id"))
        return [id for id in images.values("id") if id in found]

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


def _check(name: str, value: object, known: Iterable[str], what: str) -> None:
    known = sorted(known)
    if value not in known:
        choice = f"choose one of {known[:20]}" if known else "this dataset has none"
        raise ValueError(f"{name}={value!r:.80}: there is no such {what}; {choice}")
