"""The images that a dataset or view means, each by itself.

==================  ==================================================================
groups              those of the active slice, which FiftyOne's App shows
``group_by(...)``   every image of the groups
patches             the images that they are cut from
frames              each is an image, see :mod:`.frames`
videos, clips       of an index of frames: their frames that have an image file
==================  ==================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom
from bson import ObjectId

from detail_embed.fiftyone_bridge.samples.collection import check_images
from detail_embed.fiftyone_bridge.samples.frames import Frames, documents_of, has_frames
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    is_clips,
    is_frames,
    is_patches,
    serialized,
    source_of,
)

_SLICES = "fiftyone.core.stages.SelectGroupSlices"

logger = logging.getLogger(__name__)


def images_of(
    samples: foc.SampleCollection, of_frames: bool | None = None
) -> foc.SampleCollection:
    """The images that a dataset or view means.

    Args:
        samples: a dataset or view, of whatever kind
        of_frames (None): whether an index is of frames of videos; None where there
            is no index: then videos mean their frames, too

    Raises:
        ValueError: if it has no images; the message says what to do
        TypeError: if it is no collection
    """
    samples = meant_by(samples, of_frames)
    check_images(samples)
    if of_frames and not is_frames(samples):
        raise ValueError(
            "this index is of the frames of videos, and these are other images: give "
            "a view of frames, such as dataset.to_frames(), or another brain key"
        )
    if of_frames is False and is_frames(samples):
        raise ValueError(
            "this index is of images, and this is a view of the frames of videos: give "
            "the dataset or a view of its images, or another brain key"
        )
    return samples


def meant_by(
    samples: foc.SampleCollection, of_frames: bool | None = None
) -> foc.SampleCollection:
    """As :func:`images_of`, but there may be none, or others than the index is of."""
    dataset_of(samples)
    if is_patches(samples):
        return meant_by(_under(samples), of_frames)
    if samples.media_type == fom.GROUP:
        samples = _ungrouped(samples, of_frames)
    if is_clips(samples) and of_frames is False:
        raise ValueError(
            "this is a view of clips, and images are needed: give their frames, such "
            "as view.to_frames(sample_frames=True)"
        )
    if of_frames is not False and samples.media_type == fom.VIDEO:
        samples = _frames_of(samples)
    return samples


def check_dataset(dataset: fo.Dataset) -> None:
    """Checks that a dataset has images, or frames with an image file.

    Raises:
        ValueError: if it has none; the message says what to do
    """
    if dataset.media_type == fom.VIDEO and Frames(dataset).count():
        return
    images_of(dataset)


def label_field_of(patches: foc.SampleCollection) -> str:
    """The field of labels that patches are of; of an evaluation, the true ones."""
    field = getattr(patches, "patches_field", None) or patches.gt_field
    return field.split(".")[0]


def slice_of(images: foc.SampleCollection) -> str | list[str] | None:
    """The slice, or slices, of groups that a view selects; None for no groups."""
    if isinstance(images, fo.Dataset):
        return None
    found = [
        dict(stage["kwargs"]).get("slices")
        for stage in serialized(images) if stage["_cls"] == _SLICES
    ]
    return found[-1] if found else None


def active_slice(samples: foc.SampleCollection) -> str | None:
    """The slice that a dataset or view of groups means; None for any other."""
    is_grouped = samples.media_type == fom.GROUP and samples.group_media_types
    return samples.group_slice if is_grouped else None


def paths_of(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, str]:
    """The files of images, or of frames of videos, by id; without those that are gone.

    Args:
        dataset: the dataset
        ids: of its samples, of whatever slice, or of frames
    """
    query = {"_id": {"$in": [ObjectId(id) for id in ids]}}
    homes = [dataset, *([Frames(dataset)] if has_frames(dataset) else [])]
    return {
        str(document["_id"]): document["filepath"]
        for home in homes
        for document in documents_of(home).find(query, {"filepath": 1})
        if document.get("filepath")
    }


def _ungrouped(
    samples: foc.SampleCollection, of_frames: bool | None
) -> foc.SampleCollection:
    """The images of groups: those of the active slice; all that a view has grouped."""
    chosen = active_slice(samples)
    if chosen is None:  # grouped by a view
        return samples.flatten()
    media = samples.group_media_types
    if media.get(chosen) == fom.IMAGE or (of_frames and media[chosen] == fom.VIDEO):
        logger.info("The active slice %r of %r is taken", chosen, samples.name)
        return samples.select_group_slices(chosen)
    images = sorted(name for name, kind in media.items() if kind == fom.IMAGE)
    advice = "this dataset has no slice of images"
    if images:
        advice = (
            f"choose one of its image slices {images}, by dataset.group_slice = "
            f"{images[0]!r}, or give dataset.select_group_slices({images[0]!r})"
        )
    if media.get(chosen) == fom.VIDEO:
        advice += (
            "; or take the frames of its videos: use the operator index_videos, or "
            f"give dataset.select_group_slices({chosen!r}).to_frames("
            "sample_frames=True, fps=1)"
        )
    raise ValueError(
        f"the active slice {chosen!r} of {samples.name!r} holds media of type "
        f"{media.get(chosen)!r}, and images are needed: {advice}"
    )


def _under(patches: foc.SampleCollection) -> foc.SampleCollection:
    """The images that patches are cut from, in their order."""
    source = source_of(patches)
    owner = "frame_id" if is_frames(source) else "sample_id"
    ids = list(dict.fromkeys(patches.values(owner)))
    return source.select(ids, ordered=True)


def _frames_of(videos: foc.SampleCollection) -> foc.SampleCollection:
    """The frames of videos, or of clips of these, that have an image file."""
    dataset = dataset_of(videos)
    home = Frames(dataset)
    if not home.count():
        raise ValueError(
            f"no frame of the videos of {dataset.name!r} has an image file: make them, "
            "such as one a second, and give that view: "
            "dataset.to_frames(sample_frames=True, fps=1)"
        )
    frames = home.view()
    if is_clips(videos):
        return frames.select(_within(videos, frames))
    if isinstance(videos, fo.Dataset):
        return frames
    return frames.select_by("sample_id", videos.values("id"))


def _within(clips: foc.SampleCollection, frames: foc.SampleCollection) -> list[str]:
    """The ids of the frames that are in one of some clips."""
    return [id for id, own in clips_of(clips, frames).items() if own]


def clips_of(
    clips: foc.SampleCollection, frames: foc.SampleCollection
) -> dict[str, list[str]]:
    """The ids of the clips that each of some frames is in, by id of the frame."""
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for id, video, (first, last) in zip(*clips.values(["id", "sample_id", "support"])):
        spans.setdefault(video, []).append((first, last, id))
    paths = ["id", "sample_id", "frame_number"]
    return {
        id: [clip for a, b, clip in spans.get(video, ()) if a <= number <= b]
        for id, video, number in zip(*frames.values(paths))
    }
