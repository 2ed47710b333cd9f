"""Which frames of which videos are to be made, and whether they are too many."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom

from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples.images import active_slice
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    is_generated,
)
from detail_embed.fiftyone_bridge.video import ffmpeg
from detail_embed.fiftyone_bridge.video.ffmpeg import BadVideo
from detail_embed.storage.plain_numbers import is_a

logger = logging.getLogger(__name__)

_PATIENCE = 3.0  # seconds for which a form waits


@dataclass(frozen=True)
class Plan:
    """What is to be made of a video.

    Attributes:
        id: of the sample
        path: of the video
        rate: its frames per second
        numbers: the frames, from 1
        folder: where their images go
    """

    id: str
    path: str
    rate: float
    numbers: list[int] = field(repr=False)
    folder: Path


def videos_of(samples: foc.SampleCollection) -> foc.SampleCollection:
    """The videos that a dataset or view means: of groups, those of the active slice.

    Raises:
        ValueError: if it has none; the message names it, and says what to do
        TypeError: if it is no collection
    """
    dataset = dataset_of(samples)
    if is_generated(samples):
        raise ValueError(
            "this is a view of patches, clips or frames: give the dataset of videos "
            f"{dataset.name!r}, or a view of its samples"
        )
    if samples.media_type == fom.GROUP:
        samples = _slice_of(samples, dataset.name)
    if not len(samples.limit(1)):
        raise ValueError(f"{dataset.name!r} has no samples here: add videos first")
    if samples.media_type != fom.VIDEO:
        raise ValueError(
            f"{dataset.name!r} holds media of type {samples.media_type!r}, not videos: "
            "for images use compute_detail_embeddings"
        )
    return samples


def _slice_of(samples: foc.SampleCollection, name: str) -> foc.SampleCollection:
    chosen, media = active_slice(samples), samples.group_media_types or {}
    if media.get(chosen) == fom.VIDEO:
        return samples.select_group_slices(chosen)
    videos = sorted(name for name, kind in media.items() if kind == fom.VIDEO)
    advice = "it has no slice of videos: for images use compute_detail_embeddings"
    if videos:
        advice = (
            f"choose one of its slices of videos {videos}, by dataset.group_slice = "
            f"{videos[0]!r}"
        )
    raise ValueError(f"the active slice {chosen!r} of {name!r} has no videos: {advice}")


def check_request(fps: float, max_frames: int) -> None:
    """Checks how many frames are asked for.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    is_number = is_a(Real, fps)
    if not is_number or not 0 < fps <= 1000:
        raise ValueError(
            f"fps={fps!r:.80}: give the frames per second, such as 1, or 0.2 for one "
            "every five seconds"
        )
    is_count = is_a(Integral, max_frames)
    if not is_count or max_frames < 1:
        raise ValueError(
            f"max_frames={max_frames!r:.80}: give a whole number of frames, at least 1"
        )


@dataclass(frozen=True)
class Foreseen:
    """What videos will give, as far as a look can tell.

    Attributes:
        videos: that were looked at and have frames
        frames: of these
        unknown: videos that were not looked at, for want of time
        bad: videos that give no frames
        size: width and height of the first one in pixels; None where it is not known
    """

    videos: int
    frames: int
    unknown: int
    bad: int
    size: tuple[int, int] | None


def foresee(samples: foc.SampleCollection, fps: float) -> Foreseen:
    """Counts the frames that videos will give; nothing is written.

    Those without FiftyOne's metadata are opened, for a few seconds at most.
    """
    end = time.monotonic() + _PATIENCE
    counts, unknown, bad, size = [], 0, 0, None
    for path, metadata in zip(*samples.values(["filepath", "metadata"])):
        if not _is_current(metadata, path):
            if time.monotonic() > end:
                unknown += 1
                continue
            try:
                metadata = ffmpeg.look(path)
            except BadVideo:
                bad += 1
                continue
        total, rate = metadata.total_frame_count, metadata.frame_rate
        counts.append(len(ffmpeg.frame_numbers(total, rate, fps)))
        size = size or (metadata.frame_width, metadata.frame_height)
    return Foreseen(len(counts), sum(counts), unknown, bad, size)


def plan_frames(
    samples: foc.SampleCollection, fps: float, directory: Path | None
) -> Generator[Progress, None, tuple[list[Plan], dict[str, str]]]:
    """Looks at each video; FiftyOne's metadata are added where they are missing.

    Args:
        samples: a dataset or view of videos
        fps: frames per second that are wanted
        directory: where images go, None for beside each video

    Returns:
        what is to be made, and by the id of a video why it gives nothing
    """
    plans, failed, found = [], {}, {}
    ids, paths, known = samples.values(["id", "filepath", "metadata"])
    stems = Counter(os.path.splitext(path)[0] for path in paths)
    for i, (id, path, metadata) in enumerate(zip(ids, paths, known)):
        yield Progress(f"Looking at {len(ids):,} videos: {i:,} done", 0.0)
        try:
            if not _is_current(metadata, path):
                metadata = found[id] = ffmpeg.probe(path)
        except BadVideo as error:
            failed[id] = str(error)
            logger.warning("%s: %s", path, error)
            continue
        total, rate = metadata.total_frame_count, metadata.frame_rate
        stem, ending = os.path.splitext(path)
        if stems[stem] > 1:  # a.mp4 beside a.mov
            stem += ending.replace(".", "_")
        folder = Path(stem)
        if directory is not None:
            folder = directory / f"{folder.name}_{id}"
        numbers = ffmpeg.frame_numbers(total, rate, fps)
        plans.append(Plan(id, path, rate, numbers, folder))
    if found:
        samples.set_values("metadata", found, key_field="id")
    return plans, failed


def _is_current(metadata: fo.Metadata | None, path: str) -> bool:
    """Whether FiftyOne's metadata are those of the file that is there."""
    if not isinstance(metadata, fo.VideoMetadata) or not metadata.frame_rate:
        return False
    if (metadata.total_frame_count or 0) < 1:
        return False
    if "%" in path or not os.path.isfile(path):
        return False
    return os.path.getsize(path) == metadata.size_bytes


def check_total(total: int, videos: int, fps: float, most: int) -> None:
    """Checks that frames are not too many.

    Raises:
        ValueError: saying how many they are, and what to do
    """
    if total <= most:
        return
    fitting = fps * most / total
    raise ValueError(
        f"{videos:,} videos at fps={fps:g} give {total:,} frames, more than "
        f"max_frames={most:,}: choose fewer a second (fps={fitting:.2g} fits), a view "
        f"with fewer videos, or max_frames={total}"
    )
