"""Samples of a FiftyOne collection as items to embed, and vectors back to them."""

from __future__ import annotations

from collections.abc import Iterable

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom
import fiftyone.core.view as fov

from detail_embed.fiftyone_bridge.samples.frames import Frames, Home
from detail_embed.fiftyone_bridge.samples.private_names import (
    base_of,
    dataset_of,
    frames_config,
    is_frames,
    stored_fields,
)

_FRAMES = "such as dataset.to_frames(sample_frames=True, fps=1)"


def check_images(samples: foc.SampleCollection) -> None:
    """Checks that a collection holds images to embed, each by itself.

    What is made of images, see :mod:`.images`.

    Raises:
        ValueError: if it is empty, or of another medium
    """
    if is_frames(samples):
        _check_files(samples)
    if not len(samples.limit(1)):  # a view counts all that it holds
        if isinstance(samples, fov.DatasetView) and len(dataset_of(samples).limit(1)):
            raise ValueError(
                f"this view of {dataset_of(samples).name!r} has no samples: take the "
                "dataset or another view"
            )
        raise ValueError(
            f"{samples.name!r} has no samples, so there is nothing to embed: add "
            "images first"
        )
    if samples.media_type == "unknown":
        raise ValueError(
            f"FiftyOne does not know by the names of the files of {samples.name!r} "
            "(no extension, or a rare one) that they are images. Make the samples "
            'anew with fo.Sample(filepath, media_type="image")'
        )
    if samples.media_type == fom.VIDEO:
        raise ValueError(
            f"{samples.name!r} holds videos, and images are needed: give their frames, "
            f"{_FRAMES}"
        )
    if samples.media_type != fom.IMAGE:
        raise ValueError(
            f"{samples.name!r} holds media of type {samples.media_type!r}; only images "
            "and frames of videos are supported, open one of these"
        )


def flat_images(dataset: foc.SampleCollection | Frames) -> foc.SampleCollection:
    """All images of a dataset or view, whatever slice they are in.

    Of a dataset of videos, and of frames, these are all frames that have a file.
    """
    if isinstance(dataset, Frames):
        return dataset.view()
    if isinstance(dataset, fo.Dataset) and dataset.media_type == fom.VIDEO:
        frames = Frames(dataset)
        return frames.view() if frames.count() else dataset
    if dataset.media_type == fom.GROUP:
        return dataset.select_group_slices(media_type=fom.IMAGE)
    return dataset


def with_fields(samples: foc.SampleCollection, *fields: str) -> foc.SampleCollection:
    """The samples, in their order, with fields of the dataset that a view leaves out.

    Such a view would say that no sample has a value there.
    """
    dataset = dataset_of(samples)
    home = Frames(dataset) if is_frames(samples) else dataset
    if all(samples.has_field(f) or not home.has_field(f) for f in fields):
        return samples
    if is_frames(samples):
        return base_of(samples).select(samples.values("id"), ordered=True)
    if samples.media_type == fom.VIDEO:
        return dataset.select(samples.values("id"), ordered=True)
    return flat_images(dataset).select(samples.values("id"), ordered=True)


def refresh(home: Home) -> None:
    """Reads fields and runs of a dataset again: other processes may add some.

    Samples in memory are only read again where the fields are others.
    """
    of_frames = isinstance(home, Frames)
    stored = stored_fields(home.dataset if of_frames else home, of_frames)
    if stored != set(home.get_field_schema(include_private=True)):
        home.reload()


def declare(home: Home, fields: Iterable[str], kind: type[fo.Field]) -> None:
    """Adds fields that are not there yet."""
    for field in fields:
        if not home.has_field(field):
            home.add_sample_field(field, kind)


def ids_with(dataset: Home, field: str) -> set[str]:
    """The ids of the images that have a value in a field; none where it is missing."""
    if not dataset.has_field(field):
        return set()
    if isinstance(dataset, Frames):
        return dataset.ids_with(field)
    return set(flat_images(dataset).exists(field).values("id"))


def without(items: list[tuple[str, str]], ids: set[str]) -> list[tuple[str, str]]:
    """The ``(id, path)`` pairs whose ids are not among those given."""
    return [item for item in items if item[0] not in ids]


def _check_files(frames: foc.SampleCollection) -> None:
    """Checks that frames have image files of their own."""
    if frames_config(frames).get("sample_frames") == "dynamic":
        raise ValueError(
            "the frames of this view have no image files, FiftyOne takes them from the "
            "videos when it shows them: make them with to_frames(sample_frames=True)"
        )
