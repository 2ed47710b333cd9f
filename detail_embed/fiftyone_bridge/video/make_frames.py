"""Frames of a dataset's videos as image files, so many a second."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.runs.pace import Pace
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.collection import declare
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.fiftyone_bridge.video import ffmpeg
from detail_embed.fiftyone_bridge.video.ffmpeg import BadVideo
from detail_embed.fiftyone_bridge.video.plan_frames import (
    Plan,
    check_request,
    check_total,
    plan_frames,
    videos_of,
)

logger = logging.getLogger(__name__)

FPS = 1.0
MOST = 20_000  # frames of a run, unless it is said otherwise
ERRORS = "frames_error"  # field of the videos that says why one gives no frames
_FILES = "frames.filepath"


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
    samples = videos_of(samples)
    check_request(fps, max_frames)
    ffmpeg.check_ffmpeg()
    folder = None if directory is None else Path(directory).expanduser()
    return Run(_make(samples, float(fps), int(max_frames), folder))


def _make(
    samples: foc.SampleCollection, fps: float, most: int, directory: Path | None
) -> Generator[Progress, None, Made]:
    started = time.monotonic()
    dataset = dataset_of(samples)
    plans, failed = yield from plan_frames(samples, fps, directory)
    total = sum(len(plan.numbers) for plan in plans)
    check_total(total, len(plans), fps, most)
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
            there = _record(samples, plan, there)
        numbers[plan.id] = sorted(there)
        before += len(plan.numbers)
        yield _making(pace, before)
    _note(dataset, samples, failed)
    if not any(numbers.values()):
        raise ValueError(_nothing(samples, failed))
    return Made(numbers, fps, failed, ERRORS, time.monotonic() - started)


def _making(pace: Pace, done: int) -> Progress:
    step = pace.report(done)  # at first it has no speed, and no time left
    text = step.text if done else step.text.partition(",")[0]
    return Progress(f"Making frames: {text}", step.fraction)


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


def _record(
    samples: foc.SampleCollection, plan: Plan, there: dict[int, str]
) -> dict[int, str]:
    """Writes down which images there are; those that are known stay."""
    since, found = os.path.getmtime(plan.path), {}
    for number in plan.numbers:
        image = plan.folder / (ffmpeg.NAMES % number)
        if number not in there and ffmpeg.is_new(image, since):
            found[number] = str(image)
    if found:
        samples.set_values(_FILES, {plan.id: found}, key_field="id")
    return there | found


def _note(
    dataset: fo.Dataset, samples: foc.SampleCollection, failed: dict[str, str]
) -> None:
    """Writes reasons to the samples; videos that are well now lose theirs."""
    if not failed and not dataset.has_field(ERRORS):
        return
    declare(dataset, [ERRORS], fo.StringField)
    reasons = {id: failed.get(id) for id in samples.values("id")}
    samples.set_values(ERRORS, reasons, key_field="id")


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
