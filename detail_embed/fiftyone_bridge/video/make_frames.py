"""Frames of a dataset's videos as image files, so many a second."""

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

from detail_embed.fiftyone_bridge.runs.pace import Pace
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.collection import declare
from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    is_generated,
)
from detail_embed.fiftyone_bridge.video import ffmpeg
from detail_embed.fiftyone_bridge.video.ffmpeg import BadVideo

logger = logging.getLogger(__name__)

FPS = 1.0
MOST = 20_000  # frames of a run, unless it is said otherwise
ERRORS = "frames_error"  # field of the videos that says why one gives no frames
_FILES = "frames.filepath"


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


@dataclass(frozen=True)
class Made:
    """What :func:`make_frames` did.

    Attributes:
        numbers: by the id of each video: the frames, from 1, that have an image now
        fps: frames per second that were asked for
        failed: by the id of a video: why it gives no frames, or only some
        error_field: field of the videos with these reasons; only there if one failed
        seconds: duration
    """

    numbers: dict[str, list[int]] = field(repr=False)
    fps: float
    failed: dict[str, str]
    error_field: str
    seconds: float

    @property
    def frames(self) -> int:
        """How many frames have an image."""
        return sum(map(len, self.numbers.values()))


def check_videos(samples: foc.SampleCollection) -> None:
    """Checks that a collection holds videos.

    Raises:
        ValueError: naming it, and what to do
        TypeError: if it is no collection
    """
    dataset = dataset_of(samples)
    if is_generated(samples):
        raise ValueError(
            "this is a view of patches, clips or frames: give the dataset of videos "
            f"{dataset.name!r}, or a view of its samples"
        )
    if samples.media_type == fom.GROUP:
        media = samples.group_media_types or {}
        slices = sorted(name for name, kind in media.items() if kind == fom.VIDEO)
        raise ValueError(
            f"{dataset.name!r} is grouped: choose one of its slices of videos {slices}, "
            "for example dataset.select_group_slices('<slice>')"
        )
    if not len(samples.limit(1)):
        raise ValueError(f"{dataset.name!r} has no samples here: add videos first")
    if samples.media_type != fom.VIDEO:
        raise ValueError(
            f"{dataset.name!r} holds media of type {samples.media_type!r}, not videos: "
            "for images use compute_detail_embeddings"
        )


def check_request(fps: float, max_frames: int) -> None:
    """Checks how many frames are asked for.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    is_number = isinstance(fps, Real) and not isinstance(fps, bool)
    if not is_number or not 0 < fps <= 1000:
        raise ValueError(
            f"fps={fps!r:.80}: give the frames per second, such as 1, or 0.2 for one "
            "every five seconds"
        )
    is_count = isinstance(max_frames, Integral) and not isinstance(max_frames, bool)
    if not is_count or max_frames < 1:
        raise ValueError(
            f"max_frames={max_frames!r:.80}: give a whole number of frames, at least 1"
        )


def make_frames(
    samples: foc.SampleCollection,
    fps: float = FPS,
    max_frames: int = MOST,
    directory: str | Path | None = None,
) -> Run:
    """Makes the frames of videos as image files, so many a second.

    The paths are written to the field ``filepath`` of the frames, so that FiftyOne's
    ``to_frames()`` shows them. Frames that have an image are kept, and a run that was
    cut short goes on. Videos that cannot be read are left out; why is said in the field
    ``frames_error`` of the sample. How many frames there will be is said, and checked,
    before the first one is made.

    Args:
        samples: a dataset or view of videos
        fps (1.0): frames per second of video
        max_frames (20000): frames of all these videos, at most
        directory (None): where the images go, a folder a video; by default beside each
            video, in a folder of its name, as FiftyOne does

    Returns:
        a :class:`Run`, whose result is a :class:`Made`

    Raises:
        ValueError: if ffmpeg is missing, or an argument cannot be used; while
            iterating, if there were too many frames, or no video could be read
    """
    check_videos(samples)
    check_request(fps, max_frames)
    ffmpeg.check_ffmpeg()
    folder = None if directory is None else Path(directory).expanduser()
    return Run(_make(samples, float(fps), int(max_frames), folder))


def _make(
    samples: foc.SampleCollection, fps: float, most: int, directory: Path | None
) -> Generator[Progress, None, Made]:
    started = time.monotonic()
    dataset = dataset_of(samples)
    plans, failed = yield from _plan(samples, fps, directory)
    total = sum(len(plan.numbers) for plan in plans)
    _check_total(total, len(plans), fps, most)
    text = f"{total:,} frames of {len(plans):,} videos, {fps:g} a second"
    yield Progress(text, 0.0)
    if not dataset.has_frame_field("filepath"):
        dataset.add_frame_field("filepath", fo.StringField)
    pace, before, numbers = Pace(max(total, 1)), 0, {}
    for plan in plans:
        there = _files(samples, plan)
        if len(there) < len(plan.numbers):
            steps = ffmpeg.make_images(
                plan.path, plan.folder, plan.numbers, plan.rate, fps
            )
            try:
                for done in steps:
                    yield _making(pace, before + done)
            except (BadVideo, OSError) as error:
                failed[plan.id] = _reason(error)
                logger.warning("%s: %s", plan.path, failed[plan.id])
            there = _record(dataset, plan, there)
        numbers[plan.id] = sorted(there)
        before += len(plan.numbers)
        yield _making(pace, before)
    _note(dataset, samples, failed)
    if not any(numbers.values()):
        raise ValueError(_nothing(samples, failed))
    return Made(numbers, fps, failed, ERRORS, time.monotonic() - started)


def _making(pace: Pace, done: int) -> Progress:
    step = pace.report(done)
    return Progress(f"Making frames: {step.text}", step.fraction)


def _plan(
    samples: foc.SampleCollection, fps: float, directory: Path | None
) -> Generator[Progress, None, tuple[list[Plan], dict[str, str]]]:
    """Looks at each video; FiftyOne's metadata are added where they are missing."""
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
        dataset_of(samples).set_values("metadata", found, key_field="id")
    return plans, failed


def _is_current(metadata: fo.Metadata | None, path: str) -> bool:
    """Whether FiftyOne's metadata are those of the file that is there."""
    if not isinstance(metadata, fo.VideoMetadata) or not metadata.frame_rate:
        return False
    if (metadata.total_frame_count or 0) < 1:
        return False
    return os.path.isfile(path) and os.path.getsize(path) == metadata.size_bytes


def _check_total(total: int, videos: int, fps: float, most: int) -> None:
    if total <= most:
        return
    fitting = fps * most / total
    raise ValueError(
        f"{videos:,} videos at fps={fps:g} give {total:,} frames, more than "
        f"max_frames={most:,}: choose fewer a second (fps={fitting:.2g} fits), a view "
        f"with fewer videos, or max_frames={total}"
    )


def _files(samples: foc.SampleCollection, plan: Plan) -> dict[int, str]:
    """The frames of a plan that have an image file, newer than the video."""
    since = os.path.getmtime(plan.path)
    numbers, paths = samples.select(plan.id).values(
        ["frames.frame_number", "frames.filepath"], unwind=True
    )
    wanted = set(plan.numbers)
    return {
        number: path
        for number, path in zip(numbers, paths)
        if number in wanted and path and ffmpeg.is_new(Path(path), since)
    }


def _record(dataset: fo.Dataset, plan: Plan, there: dict[int, str]) -> dict[int, str]:
    """Writes down which images there are; those that are known stay."""
    since, found = os.path.getmtime(plan.path), {}
    for number in plan.numbers:
        image = plan.folder / (ffmpeg.NAMES % number)
        if number not in there and ffmpeg.is_new(image, since):
            found[number] = str(image)
    if found:
        dataset.set_values(_FILES, {plan.id: found}, key_field="id")
    return there | found


def _note(
    dataset: fo.Dataset, samples: foc.SampleCollection, failed: dict[str, str]
) -> None:
    """Writes reasons to the samples; videos that are well now lose theirs."""
    if not failed and not dataset.has_field(ERRORS):
        return
    declare(dataset, [ERRORS], fo.StringField)
    reasons = {id: failed.get(id) for id in samples.values("id")}
    dataset.set_values(ERRORS, reasons, key_field="id")


def _reason(error: Exception) -> str:
    if isinstance(error, BadVideo):
        return str(error)
    return (
        f"its frames cannot be written ({error.strerror or error}): choose another "
        "directory"
    )


def _nothing(samples: foc.SampleCollection, failed: dict[str, str]) -> str:
    id, reason = next(iter(failed.items()))
    path = samples.select(id).first().filepath
    return (
        f"none of these {len(failed)} videos gives a frame; the field {ERRORS!r} says "
        f"why, for example {path}: {reason}"
    )
