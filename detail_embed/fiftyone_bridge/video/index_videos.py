"""An index of the frames of videos: the frames are made, then embedded."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, fields
from pathlib import Path

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.compute.compute_index import compute
from detail_embed.fiftyone_bridge.index import brain_runs, checks
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.run import Progress, Result, Run
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.fiftyone_bridge.video.found_videos import HITS, declare
from detail_embed.fiftyone_bridge.video.make_frames import FPS, MOST, Made, make_frames
from detail_embed.fiftyone_bridge.video.plan_frames import videos_of


@dataclass(frozen=True, kw_only=True)
class VideosResult(Result):
    """What a run on videos did; the images of a :class:`Result` are frames.

    Attributes:
        videos: that have frames
        frames: of these, that were to be embedded
        fps: frames per second of video that were asked for
        failed_videos: videos that give no frames, or only some
        frames_error_field: field of the videos that says why; only there if one failed
    """

    videos: int
    frames: int
    fps: float
    failed_videos: int
    frames_error_field: str


def index_videos(
    index: Index,
    samples: foc.SampleCollection,
    settings: Settings,
    fps: float = FPS,
    max_frames: int = MOST,
    directory: str | Path | None = None,
    backend: str | None = None,
    also_global: bool = True,
    overwrite: bool = False,
) -> Run:
    """Makes frames of videos, and the index of them.

    Run again, it goes on where it was cut short, takes new videos in, and tries those
    that failed once more.

    Args:
        index: the index; it need not exist
        samples: a dataset or view of videos
        settings: the embedding space asked for
        fps (1.0): frames per second of video; what is shorter than the time between two
            frames may be missed
        max_frames (20000): frames of all these videos, at most
        directory (None): where the images of the frames go, see :func:`make_frames`
        backend (None): a FiftyOne similarity backend
        also_global (True): whether to index the whole-image vectors of frames, too
        overwrite (False): whether to delete what is under the brain key first; frames
            that were made are kept

    Returns:
        a :class:`Run`, whose result is a :class:`VideosResult`

    Raises:
        ValueError: if ffmpeg is missing, or an argument cannot be used; while
            iterating, if there were too many frames, or nothing could be read
    """
    samples = videos_of(samples)
    frames = make_frames(samples, fps, max_frames, directory)
    lock.check_free(index.dataset, index.key)
    record = None if overwrite else index.record
    settings.check(fitted=record and record.identity["fuser"])
    checks.check_computable(index, settings.identity(), overwrite, also_global)
    brain_runs.check_backend(None if overwrite else index, backend)
    steps = _index(index, samples, frames, settings, backend, also_global, overwrite)
    return Run(steps)


def _index(
    index: Index,
    samples: foc.SampleCollection,
    frames: Run,
    settings: Settings,
    backend: str | None,
    also_global: bool,
    overwrite: bool,
) -> Generator[Progress, None, VideosResult]:
    yield from frames
    made: Made = frames.result
    chosen = frames_of(samples, made)
    of_frames = Index.of(chosen, index.key)
    run = compute(of_frames, chosen, settings, backend, also_global, overwrite)
    yield from run
    if not index.dataset.has_field(HITS):
        declare(index.dataset)
    embedded = {f.name: getattr(run.result, f.name) for f in fields(Result)}
    embedded["seconds"] += made.seconds
    return VideosResult(
        **embedded,
        videos=sum(map(bool, made.numbers.values())),
        frames=made.frames,
        fps=made.fps,
        failed_videos=len(made.failed),
        frames_error_field=made.error_field,
    )


def frames_of(samples: foc.SampleCollection, made: Made) -> foc.SampleCollection:
    """The frames that were made, as images; others that have a file are left out."""
    frames = images_of(samples, of_frames=True)
    columns = frames.values(["id", "sample_id", "frame_number"])
    wanted = {id: set(numbers) for id, numbers in made.numbers.items()}
    ids = [
        id for id, video, number in zip(*columns) if number in wanted.get(video, ())
    ]
    return frames if len(ids) == len(columns[0]) else frames.select(ids)
