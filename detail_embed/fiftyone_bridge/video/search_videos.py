"""Search for videos, and where in them: frames are found, and merged into clips."""

from __future__ import annotations

import time
from numbers import Real

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.index import boxes as box_index
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.found import Found
from detail_embed.fiftyone_bridge.search.methods import AUTO, VECTORS
from detail_embed.fiftyone_bridge.search.search import check_request, search
from detail_embed.fiftyone_bridge.video.clips import Clip, Frames, merge
from detail_embed.fiftyone_bridge.video.found_videos import FoundVideos
from detail_embed.fiftyone_bridge.video.plan_frames import videos_of
from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts.query import Query
from detail_embed.texts.score_summary import THRESHOLD, standardise

BEST, MEAN = "best", "mean"
POOLS = {
    BEST: "by its best frame",
    MEAN: "by the mean of its frames' vectors",
}
GAP = 1.0  # seconds
_FIRST = 250  # frames whose exact order is looked for, at least
_TIMES = 10  # of the videos that are returned, likewise


def search_videos(
    index: Index,
    query: str | Query | np.ndarray,
    samples: foc.SampleCollection | None = None,
    k: int = 25,
    pool: str = BEST,
    threshold: float | None = None,
    gap: float = GAP,
    templates: str = "own",
    method: str = AUTO,
) -> FoundVideos:
    """Finds the videos that fit a query best, and the clips of them that do.

    The frames are searched as images are. A video is as good as its best frame, or,
    where ``pool="mean"``, as the mean of the vectors of its frames, which needs no
    moment to stand out (CLIP4Clip's way without parameters, arXiv 2104.08860). Frames
    that stand out by the threshold are hits; hits that are close in time are one clip.

    Args:
        index: an index of the frames of videos that can be searched by text
        query: prompts in one line, such as ``"a red helmet, -a bicycle"``; or a vector
            ``(d,)`` in the space of the index
        samples (None): a dataset or view of videos to search in, by default all
        k (25): videos to return, at most; with a threshold all with a hit are
        pool ("best"): ``"best"`` or ``"mean"``
        threshold (None): z-score among all frames of the index that a hit must reach,
            and a video to be returned; by default 3 makes a hit, and the best frame of
            a video always is one
        gap (1.0): seconds between two hits of a clip, at most
        templates ("own"): sentences around the prompts
        method ("auto"): how the frames are searched, see :func:`.search.search.search`

    Raises:
        TypeError: if the samples or the query are something else
        ValueError: if nothing can be searched so; the message says what to do
    """
    started = time.monotonic()
    samples = videos_of(index.dataset if samples is None else samples)
    _check(k, threshold, method, pool, gap)
    _check_of_frames(index)
    frames = index.images_of(samples)
    total = len(frames)
    first = search(
        index, frames, query, min(total, max(_FIRST, _TIMES * k)), None, templates,
        method,
    )
    every = first
    if len(first.ids) < first.searched:
        every = search(index, frames, first.vector, total, method=VECTORS)
    videos, numbers = _places(frames)
    timelines = _timelines(samples, videos, numbers, first, every)
    best: dict[str, str] = {}
    for id in (*first.ids, *every.ids):
        best.setdefault(videos[id], id)
    ranked, boxes = list(best), dict(zip(first.ids, first.boxes))
    scores, z_scores = _by_frame(timelines)
    likely = None
    if pool == MEAN:
        scores, z_scores = _by_mean(index, frames, videos, first.vector)
        ranked = sorted(ranked, key=lambda video: -scores[video])
    elif first.likely is not None:
        likely = len({videos[id] for id in first.ids[: first.likely]})
    clips = {
        video: _clips(timelines[video], threshold, gap) for video in ranked
    }
    shown = [video for video in ranked if clips[video]]
    if threshold is None:
        shown = shown[:k]
    return FoundVideos(
        samples=samples,
        ids=shown,
        scores=[scores[video] for video in shown],
        z_scores=[z_scores[video] for video in shown],
        clips=[clips[video] for video in shown],
        frames=[best[video] for video in shown],
        boxes=[boxes.get(best[video]) for video in shown],
        pool=pool,
        searched=len(ranked),
        frames_searched=first.searched,
        without=len(samples) - len(ranked),
        vector=first.vector,
        method=first.method,
        seconds=time.monotonic() - started,
        text=first.text,
        histogram=every.histogram,
        likely=likely if likely is None else min(likely, len(shown)),
        hints=first.hints,
    )


def _places(frames: foc.SampleCollection) -> tuple[dict[str, str], dict[str, int]]:
    """The video of each frame, and its number there."""
    ids, videos, numbers = frames.values(["id", "sample_id", "frame_number"])
    return dict(zip(ids, map(str, videos))), dict(zip(ids, numbers))


def _timelines(
    samples: foc.SampleCollection,
    videos: dict[str, str],
    numbers: dict[str, int],
    first: Found,
    every: Found,
) -> dict[str, Frames]:
    """The frames of each video in the order of time, with their scores.

    Where some frames were searched by their patches, these scores count, which are not
    below those of vectors; None where no patches are stored.
    """
    z_scores = dict(zip(every.ids, every.z_scores))
    scores = dict(zip(every.ids, every.scores))
    scores |= {id: s for id, s in zip(first.ids, first.scores) if s is not None}
    found: dict[str, list[tuple[int, float, float]]] = {}
    for id, z_score in z_scores.items():
        row = numbers[id], scores[id], z_score
        found.setdefault(videos[id], []).append(row)
    ids, metadata = samples.select(list(found)).values(["id", "metadata"])
    known = dict(zip(ids, metadata))
    return {video: _timeline(rows, known[video]) for video, rows in found.items()}


def _timeline(rows: list[tuple[int, float, float]], metadata) -> Frames:
    numbers, scores, z_scores = (np.array(c) for c in zip(*sorted(rows)))
    rate = getattr(metadata, "frame_rate", None) or 1.0
    total = getattr(metadata, "total_frame_count", None) or 0
    return Frames(numbers, scores.astype(float), z_scores, rate, total)


def _by_frame(
    timelines: dict[str, Frames],
) -> tuple[dict[str, float], dict[str, float]]:
    """The score, and the z-score, of the best frame of each video."""
    best = {video: int(line.scores.argmax()) for video, line in timelines.items()}
    return (
        {video: float(timelines[video].scores[i]) for video, i in best.items()},
        {video: float(timelines[video].z_scores[i]) for video, i in best.items()},
    )


def _by_mean(
    index: Index,
    frames: foc.SampleCollection,
    videos: dict[str, str],
    vector: np.ndarray,
) -> tuple[dict[str, float], dict[str, float]]:
    """The score of the mean of each video's vectors, and its z-score among videos."""
    vectors = index_vectors.load(index.single if index.owns_single else index)
    rows = vectors.members(frames).rows
    of_row = np.array([videos[vectors.ids[row]] for row in rows.tolist()])
    names, places = np.unique(of_row, return_inverse=True)
    means = np.zeros((len(names), vectors.matrix.shape[1]))
    for row, place in zip(rows.tolist(), places.tolist()):
        means[place] += vectors.matrix[vectors.rows(row)].mean(0)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    scores = means @ (vector / np.linalg.norm(vector))
    z_scores = standardise(scores).tolist()
    return dict(zip(names, scores.tolist())), dict(zip(names, z_scores))


def _clips(line: Frames, threshold: float | None, gap: float) -> list[Clip]:
    hits = line.z_scores >= (THRESHOLD if threshold is None else threshold)
    if threshold is None:
        hits[line.scores.argmax()] = True
    return merge(line, np.flatnonzero(hits).tolist(), gap)


def _check(
    k: int, threshold: float | None, method: str, pool: str, gap: float
) -> None:
    check_request(k, threshold, method)
    if pool not in POOLS:
        raise ValueError(f"pool={pool!r}: give one of {', '.join(POOLS)}")
    is_number = is_a(Real, gap)
    if not is_number or not 0 <= gap < float("inf"):
        raise ValueError(f"gap={gap!r}: give seconds between hits, such as 1")


def _check_of_frames(index: Index) -> None:
    if (field := box_index.field_of(index)) is not None:
        raise ValueError(
            f"the index {index.key!r} is of the boxes of {field!r}: search it with "
            "index.search(), which finds boxes, or give an index of frames"
        )
    if index.has_brain_run and not index.is_of_frames:
        raise ValueError(
            f"the index {index.key!r} is of images, not of frames of videos: index the "
            "videos first"
        )
