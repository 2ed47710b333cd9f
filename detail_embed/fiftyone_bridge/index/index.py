"""One similarity index of a dataset: what it is called, what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom

from detail_embed.fiftyone_bridge.index import names, records
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fiftyone_bridge.samples.frames import (
    Frames,
    Home,
    is_run_of_frames,
    label_path,
)
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    is_frames,
)

WHOLE, SINGLE, BOXES = "whole-image", "single", "box"


@dataclass(eq=False)
class Index:
    """What a brain key of a dataset stands for.

    It may be an index of ours, one that was made beside one of ours, another's, or one
    that is yet to be made. What the dataset knows of it is read whenever it is
    asked for, since other processes write to it, too.

    An index is of the samples of its dataset, or of the frames of its videos: then the
    fields are those of the frames, while record, lock, progress and brain runs
    are of the dataset with the videos, which outlasts every view of frames.

    Attributes:
        dataset: the dataset
        key: the brain key
        asked_frames: whether a new index will be of frames

    Raises:
        TypeError: if these are something else
    """

    dataset: fo.Dataset
    key: str
    asked_frames: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.dataset, fo.Dataset):
            dataset = dataset_of(self.dataset)
            raise TypeError(
                f"an index is of a dataset, not of a view: give the dataset "
                f"{dataset.name!r} here, and the view to what is done with the index"
            )
        if self.key is None or isinstance(self.key, (list, tuple, set)):
            raise TypeError(
                f"brain_key={self.key!r:.80}: give the brain key of one index, a text"
            )
        if not isinstance(self.key, str):
            names.check_brain_key(self.key)

    @classmethod
    def of(cls, samples: foc.SampleCollection, key: str) -> Index:
        """The index of the dataset that samples, such as a view, are of."""
        return cls(dataset_of(samples), key, is_frames(samples))

    @property
    def vector_field(self) -> str:
        """Name of the field that holds one vector per image."""
        return names.vector_field(self.key)

    @property
    def patches_field(self) -> str:
        """Name of the field of Detections that hold k vectors per image."""
        return names.patches_field(self.key)

    @property
    def error_field(self) -> str:
        """Name of the field that says why an image has no vector."""
        return names.error_field(self.key)

    @property
    def source_field(self) -> str:
        """Name of the field that says what each vector was made of."""
        return names.source_field(self.key)

    @property
    def whole(self) -> Index:
        """The whole-image index beside this one; it need not exist."""
        return self._beside(names.global_key(self.key))

    @property
    def single(self) -> Index:
        """The index of one vector per image beside this one; it need not exist."""
        return self._beside(names.single_key(self.key))

    @property
    def boxes(self) -> Index:
        """The index of the boxes of a label field beside this one; it need not exist.

        An object of the same class: ``DetailIndex(dataset, "detail").boxes`` searches.
        """
        return type(self)(
            self.dataset, names.boxes_key(self.key), self.asked_frames
        )

    @property
    def base(self) -> Index:
        """The index that this one is beside; else itself."""
        return self._beside(names.base_key(self.key))

    def _beside(self, key: str) -> Index:
        return Index(self.dataset, key, self.asked_frames)

    @property
    def is_of_frames(self) -> bool:
        """Whether its images are frames of videos."""
        record, _ = self.find()
        if record is not None:
            return bool(record.frames)
        if self.has_brain_run:
            return is_run_of_frames(self.dataset, self.key)
        return self.asked_frames or self.dataset.media_type == fom.VIDEO

    @property
    def home(self) -> Home:
        """Where its images are, with their fields."""
        return Frames(self.dataset) if self.is_of_frames else self.dataset

    def home_of(self, samples: foc.SampleCollection) -> Home:
        """Where its images are; the view of frames that is given is kept in step."""
        if not self.is_of_frames:
            return self.dataset
        return Frames(self.dataset, [samples] if is_frames(samples) else [])

    def images_of(self, samples: foc.SampleCollection) -> foc.SampleCollection:
        """The images that samples mean; see :func:`.images.images_of`.

        Raises:
            ValueError, TypeError: as there
        """
        return images_of(samples, self.is_of_frames)

    def images(self) -> foc.SampleCollection:
        """All images of its dataset, or all frames."""
        return flat_images(self.home)

    @property
    def record(self) -> Record | None:
        """What is written down of an index of ours, None of others."""
        return records.read(self.dataset, self.key)

    def write(self, record: Record) -> None:
        """Writes the record, in place of the one there is."""
        records.write(self.dataset, self.key, record)

    def find(self) -> tuple[Record | None, str]:
        """Finds the record behind any of our indexes.

        Returns:
            the record, None where there is none, and what this index is beside the one
            that was recorded, such as ``WHOLE``; empty for that one itself
        """
        record, base = self.record, self.base
        if record is not None or base.key == self.key:
            return record, ""
        parts = {base.whole.key: WHOLE, base.single.key: SINGLE, base.boxes.key: BOXES}
        owned = self.key in base.keys
        return (base.record, parts[self.key]) if owned else (None, "")

    def require(self, to: str) -> Record:
        """Finds the record of one of our detail indexes.

        Args:
            to: what is to be done to it, for the message

        Raises:
            ValueError: if the index is another's, or the whole-image index beside ours
        """
        record, part = self.find()
        if part:
            raise ValueError(
                f"{self.key!r} holds the {part} vectors of {self.base.key!r}: "
                f"{to} that, and both are done"
            )
        if record is None:
            ours = [*records.read_all(self.dataset)]
            choice = f"choose one of {ours}" if ours else "compute one first"
            raise ValueError(
                f"brain key {self.key!r} is no index of detail-embed, so there is "
                f"nothing to {to}; {choice}"
            )
        return record

    @property
    def has_brain_run(self) -> bool:
        """Whether FiftyOne knows the brain key."""
        return self.key in self.dataset.list_brain_runs()

    @property
    def config(self) -> Any:
        """FiftyOne's configuration of the brain run, which must exist."""
        return self.dataset.get_brain_info(self.key).config

    @property
    def field(self) -> str | None:
        """Name of the field that holds the vectors, or the labels that have them.

        None where only the backend has them; of an index that is yet to be made.
        """
        record, part = self.find()
        if part == BOXES:
            return record.box_field
        if part:
            return (self if part == WHOLE else self.base).vector_field
        if record is not None:
            return names.index_field(self.key, record.vectors > 1)
        if not self.has_brain_run:
            return None
        config = self.config
        field = getattr(config, "embeddings_field", None)
        return getattr(config, "patches_field", None) or field

    @property
    def owns_whole(self) -> bool:
        """Whether what is under the global key was, or would be, made along."""
        record, whole = self.record, self.whole
        if record is None or whole.key in self.dataset.list_runs():
            return False
        if whole.has_brain_run:
            return getattr(whole.config, "model", None) == record.global_space
        return record.has_global is not False

    @property
    def has_whole(self) -> bool:
        """Whether an index of whole images is, or was begun, beside this one."""
        whole = self.whole
        begun = whole.has_brain_run or self.home.has_field(whole.vector_field)
        return begun and self.owns_whole

    def claim_whole(self) -> None:
        """Writes down that the whole-image index beside this one belongs to it."""
        record = self.record
        if not record.has_global:
            self.write(replace(record, has_global=True))

    @property
    def owns_single(self) -> bool:
        """Whether what is under the key of one vector per image was made along."""
        record = self.record
        return record is not None and record.single_space is not None

    @property
    def owns_boxes(self) -> bool:
        """Whether what is under the key of boxes was, or would be, made along."""
        record = self.record
        return record is not None and record.box_field is not None

    @property
    def box_fields(self) -> list[str]:
        """The attributes of labels that hold vectors of boxes, and reasons, as paths.

        None of an index of images alone, or where the label field is gone.
        """
        if not self.owns_boxes or not self.home.has_field(self.record.box_field):
            return []
        labels = label_path(self.home, self.record.box_field)
        attributes = names.box_vector(self.key), names.box_error(self.key)
        return [f"{labels}.{name}" for name in attributes]

    @property
    def beside(self) -> list[Index]:
        """The indexes that were, or would be, made along with one of ours."""
        owned = (
            (self.owns_whole, self.whole),
            (self.owns_single, self.single),
            (self.owns_boxes, self.boxes),
        )
        return [one for is_owned, one in owned if is_owned]

    @property
    def keys(self) -> list[str]:
        """The brain keys of an index of ours and of those beside it."""
        return [self.key, *(one.key for one in self.beside)]

    @property
    def fields(self) -> list[str]:
        """The fields of an index of ours; they need not exist."""
        single = [self.vector_field] if self.owns_single else []
        whole = [self.whole.vector_field] if self.owns_whole else []
        own = [self.field, self.error_field, self.source_field]
        return [*own, *single, *whole, *self.box_fields]
