"""The frames of videos as images: where FiftyOne keeps them, and what shows them.

``dataset.to_frames()`` copies the frames of videos into a dataset that FiftyOne
generates, with the same ids, and makes anew when it is lost. So what is known of a
frame belongs to the frames of the videos, which last; copies are kept in step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom
import fiftyone.core.odm as foodm
import fiftyone.core.view as fov
from bson import ObjectId
from pymongo import UpdateOne
from pymongo.collection import Collection

from detail_embed.fiftyone_bridge.samples import private_names

_STAGE = "fiftyone.core.stages.ToFrames"
FRAMES = "frames."  # before the names of their fields
_last: dict[ObjectId, list[dict[str, Any]]] = {}  # stages of views, by dataset


class Frames:
    """The frames of the videos of a dataset, with the methods of a dataset.

    All that is written goes to the frames of the videos, and to the copies that show
    them: those of the views given, of saved views and of brain runs.

    Args:
        dataset: the dataset, of videos or of groups with videos
        views (()): of frames, whose copies are kept in step, too

    Attributes:
        dataset: the dataset
    """

    def __init__(self, dataset: fo.Dataset, views: Iterable[fov.DatasetView] = ()):
        self.dataset = dataset
        copies = map(private_names.own_dataset, views)
        self._given = {copy.name: copy for copy in copies}
        for copy in self._given.values():
            self._catch_up(copy)

    @property
    def name(self) -> str:
        """Of the dataset."""
        return self.dataset.name

    @property
    def documents(self) -> Collection:
        """The frames as MongoDB holds them."""
        return private_names.frame_documents(self.dataset)

    def view(self) -> fov.DatasetView:
        """All frames that have an image file.

        The copy of the brain runs is shown, or the one that was made last, so that not
        each call makes one.
        """
        videos = videos_of(self.dataset)
        before = _plain(private_names.serialized(videos.view()))
        for stages in _known_stages(self.dataset):
            if stages and _is_of_all(stages[-1]) and _plain(stages[:-1]) == before:
                view = private_names.view_of(self.dataset, stages)
                if len(view) != self.count():
                    view.reload()
                self._catch_up(private_names.own_dataset(view))
                return view
        view = videos.to_frames()
        _last[private_names.dataset_id(self.dataset)] = private_names.serialized(view)
        return view

    def count(self) -> int:
        """How many frames have an image file."""
        return self.documents.count_documents({"filepath": {"$ne": None}})

    def write(self, operations: Sequence[UpdateOne], ids: Sequence[str]) -> None:
        """Changes frames in one bulk, then their copies."""
        private_names.write_samples(self.dataset, operations, ids, frames=True)
        for copy in self._copies():
            private_names.write_samples(copy, operations, ids)

    def ids_with(self, field: str) -> set[str]:
        """The ids of the frames that have a value in a field."""
        found = self.documents.find({field: {"$ne": None}}, {"_id": 1})
        return {str(document["_id"]) for document in found}

    def has_field(self, name: str) -> bool:
        """Whether frames have a field, or a field of labels an attribute."""
        return self.dataset.has_field(FRAMES + name)

    def get_field(self, name: str) -> fo.Field | None:
        """The field of a name; None for none."""
        return self.dataset.get_field(FRAMES + name)

    def get_field_schema(self, **kwargs: Any) -> Mapping[str, fo.Field]:
        """The fields of frames."""
        return self.dataset.get_frame_field_schema(**kwargs) or {}

    def add_sample_field(self, name: str, kind: type[fo.Field], **kwargs: Any) -> None:
        """Adds a field to frames."""
        self.dataset.add_frame_field(name, kind, **kwargs)
        for copy in self._copies():
            if not copy.has_field(name.partition(".")[0]) and "." in name:
                self._catch_up(copy)
            if not copy.has_field(name):
                copy.add_sample_field(name, kind, **kwargs)

    def delete_sample_field(self, name: str) -> None:
        """Deletes a field of frames."""
        self.delete_sample_fields([name])

    def delete_sample_fields(self, names: Iterable[str]) -> None:
        """Deletes fields of frames."""
        for name in names:
            self.dataset.delete_frame_field(name)
            for copy in self._copies():
                if copy.has_field(name):
                    copy.delete_sample_field(name)

    def rename_sample_fields(self, names: Mapping[str, str]) -> None:
        """Renames fields of frames."""
        for old, new in names.items():
            self.dataset.rename_frame_field(old, new)
            for copy in self._copies():
                if copy.has_field(old):
                    copy.rename_sample_field(old, new)

    def set_values(self, name: str, values: Mapping[str, Any], key_field: str) -> None:
        """Sets a field of frames.

        Args:
            name: of the field
            values: by frame id
            key_field: ``"id"``
        """
        field = self.get_field(name)
        operations = [
            UpdateOne({"_id": ObjectId(id)}, {"$set": {name: field.to_mongo(value)}})
            for id, value in values.items()
        ]
        if operations:
            self.write(operations, list(values))

    def set_label_values(self, path: str, values: Mapping[str, Any]) -> None:
        """Sets an attribute of labels of frames.

        Args:
            path: such as ``"ground_truth.detections.mistakenness"``
            values: by label id
        """
        self.dataset.set_label_values(FRAMES + path, values)
        for copy in self._copies():
            self._catch_up(copy)
            copy.set_label_values(path, values)

    def renew(self, field: str) -> None:
        """Shows a field as it is: a person may have added labels to the videos."""
        for copy in self._copies():
            self._catch_up(copy)
            self._show(copy, [field])

    def keep_tags(self, view: fov.DatasetView) -> None:
        """Keeps the tags of frames that a view shows: FiftyOne has them in its copy."""
        if not self.has_field("tags"):
            self.dataset.add_frame_field("tags", fo.ListField, subfield=fo.StringField)
        self.set_values("tags", dict(zip(*view.values(["id", "tags"]))), "id")

    def reload(self) -> None:
        """Reads fields and runs of the dataset again."""
        self.dataset.reload()

    def _copies(self) -> Iterator[fo.Dataset]:
        """The datasets that frames views show."""
        yield from self._given.values()
        for name in _copy_names(self.dataset) - self._given.keys():
            if fo.dataset_exists(name):
                yield fo.load_dataset(name)

    def _catch_up(self, copy: fo.Dataset) -> None:
        """Gives a copy the fields and attributes that frames got after it was made."""
        known = self.get_field_schema(flat=True)
        missing = sorted(known.keys() - copy.get_field_schema(flat=True).keys())
        if not missing:
            return
        for name in missing:  # a field before its attributes, which come with it
            if not copy.has_field(name):
                copy.add_sample_field(name, **foodm.get_field_kwargs(known[name]))
        self._show(copy, {name.partition(".")[0] for name in missing})

    def _show(self, copy: fo.Dataset, fields: Iterable[str]) -> None:
        """Gives a copy the values of fields as they are."""
        self.documents.aggregate([
            {"$project": dict.fromkeys(fields, 1)},
            {"$merge": {
                "into": private_names.sample_documents(copy).name,
                "on": "_id", "whenMatched": "merge", "whenNotMatched": "discard",
            }},
        ])


Home = fo.Dataset | Frames


def home_of(samples: foc.SampleCollection) -> Home:
    """Where the images of a collection are: in its dataset, or in frames of videos."""
    dataset = private_names.dataset_of(samples)
    if private_names.is_frames(samples):
        is_cut = private_names.is_patches(samples)
        return Frames(dataset, [] if is_cut else [samples])
    return Frames(dataset) if dataset.media_type == fom.VIDEO else dataset


def has_frames(dataset: fo.Dataset) -> bool:
    """Whether a dataset has videos."""
    slices = dataset.group_media_types or {}
    return fom.VIDEO in (dataset.media_type, *slices.values())


def dataset_with(home: Home) -> fo.Dataset:
    """The dataset that images, or the videos of frames, are of."""
    return home.dataset if isinstance(home, Frames) else home


def documents_of(home: Home) -> Collection:
    """Images as MongoDB holds them."""
    if isinstance(home, Frames):
        return home.documents
    return private_names.sample_documents(home)


def label_path(
    images: Home | foc.SampleCollection, field: str, attribute: str | None = None
) -> str:
    """The path to the labels of a field, see :func:`.private_names.label_path`."""
    if not isinstance(images, Frames):
        return private_names.label_path(images, field, attribute)
    path = private_names.label_path(images.dataset, FRAMES + field, attribute)
    return path.removeprefix(FRAMES)


def write_images(
    home: Home, operations: Sequence[UpdateOne], ids: Sequence[str]
) -> None:
    """Changes images in one bulk, see :func:`.private_names.write_samples`."""
    if isinstance(home, Frames):
        home.write(operations, ids)
    else:
        private_names.write_samples(home, operations, ids)


def videos_of(dataset: fo.Dataset) -> foc.SampleCollection:
    """The videos of a dataset, or of the groups of one."""
    if dataset.media_type == fom.GROUP:
        return dataset.select_group_slices(media_type=fom.VIDEO)
    return dataset


def is_run_of_frames(dataset: fo.Dataset, brain_key: str) -> bool:
    """Whether a brain run was made on frames of videos."""
    stages = private_names.run_stages(dataset, brain_key)
    return any(stage["_cls"] == _STAGE for stage in stages)


def _is_of_all(stage: Mapping[str, Any]) -> bool:
    """Whether a stage shows all frames that have a file."""
    return stage["_cls"] == _STAGE and not dict(stage["kwargs"]).get("config")


def _known_stages(dataset: fo.Dataset) -> list[list[dict[str, Any]]]:
    """The stages of views of brain runs, of saved ones, and of the last of all."""
    last = _last.get(private_names.dataset_id(dataset), [])
    return [*private_names.stored_stages(dataset), last]


def _copy_names(dataset: fo.Dataset) -> set[str]:
    """The names of the datasets that these show."""
    found = set()
    for stages in _known_stages(dataset):
        for stage in stages:
            if stage["_cls"] == _STAGE:
                found.add((dict(stage["kwargs"]).get("_state") or {}).get("name"))
    return found - {None}


def _plain(stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Stages without what tells one call from another."""
    return [{key: s[key] for key in ("_cls", "kwargs")} for s in stages]
