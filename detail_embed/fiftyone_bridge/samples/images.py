"""The images that a dataset or view means, each by itself."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom

from detail_embed.fiftyone_bridge.samples.collection import check_images
from detail_embed.fiftyone_bridge.samples.frames import Frames
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of, is_frames


def images_of(
    samples: foc.SampleCollection, of_frames: bool | None = None
) -> foc.SampleCollection:
    """The images that a dataset or view means.

    Args:
        samples: a dataset or view, of whatever kind
        of_frames (None): whether an index is of frames of videos; then videos mean
            their frames that have an image file. None where there is no index

    Raises:
        ValueError: if it has no images; the message says what to do
        TypeError: if it is no collection
    """
    if of_frames and not is_frames(samples) and samples.media_type == fom.VIDEO:
        samples = _frames_of(samples)
    check_images(samples)
    if of_frames and not is_frames(samples):
        raise ValueError(
            "this index is of the frames of videos, and these are other images: give "
            "a view of frames, such as dataset.to_frames()"
        )
    if of_frames is False and is_frames(samples):
        raise ValueError(
            "this index is of images, and this is a view of the frames of videos: give "
            "the dataset or a view of its images, or another brain key"
        )
    return samples


def _frames_of(videos: foc.SampleCollection) -> foc.SampleCollection:
    """The frames of videos that have an image file."""
    frames = Frames(dataset_of(videos)).view()
    if isinstance(videos, fo.Dataset):
        return frames
    return frames.select_by("sample_id", videos.values("id"))
