"""What the search tab shows of videos: their clips, and the best frame of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.core.media as fom
import fiftyone.core.view as fov
import fiftyone.operators as foo

from detail_embed.fiftyone_bridge.samples.private_names import (
    dataset_of,
    is_generated,
)

from ..state import search_state
from . import result_words, search_output

if TYPE_CHECKING:
    import numpy as np

    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.video.clips import Clip
    from detail_embed.fiftyone_bridge.video.found_videos import FoundVideos

POOLS = {"best": "Its best frame", "mean": "The mean of its frames"}
_HOW = {"best": "by their best frame", "mean": "by the mean of their frames"}
_SHOWN = 12  # videos, the best, whose best frame is in the panel


def are_videos(samples: foc.SampleCollection) -> bool:
    """Whether a search is for videos; frames and clips are searched as such."""
    return samples.media_type == fom.VIDEO and not is_generated(samples)


def are_searched(index: Index, samples: foc.SampleCollection) -> bool:
    """Whether a search finds videos; one of boxes of their frames finds boxes."""
    from detail_embed.fiftyone_bridge.index import boxes

    return are_videos(samples) and boxes.field_of(index) is None


def search(
    index: Index, samples: foc.SampleCollection, query: str | np.ndarray,
    asked: search_state.Asked, method: str,
) -> FoundVideos:
    """Searches for videos as the form says."""
    from detail_embed.fiftyone_bridge.video.search_videos import search_videos

    return search_videos(
        index, query, samples, asked.k, asked.pool, asked.threshold,
        templates=asked.templates, method=method,
    )


def keep(
    ctx: foo.ExecutionContext, asked: search_state.Asked, answer: FoundVideos,
    view: fov.DatasetView, before: fov.DatasetView,
) -> None:
    """Keeps what the panel shows of a result, and draws its labels alone."""
    from detail_embed.fiftyone_bridge.video.found_videos import HITS

    search_output.keep(
        ctx, asked, answer, view, before, _summarise(asked, answer),
        _hits(answer, view), (HITS,),
    )


def _summarise(asked: search_state.Asked, answer: FoundVideos) -> str:
    clips = sum(map(len, answer.clips))
    text = (
        f"**{len(answer.ids):,}** of {answer.searched:,} videos, best first, "
        f"{_HOW[answer.pool]}, in {1000 * answer.seconds:.0f} ms. Shown are the "
        f"**{clips:,}** clips of them that match; a click opens the video there."
    )
    if asked.threshold is not None:
        text += f" All with a frame that stands out by {asked.threshold:.1f} are shown."
    text += result_words.probably(answer.likely or 0, len(answer.ids))
    if answer.without:
        text += f" {answer.without:,} have no frames in the index."
    return text


def _hits(answer: FoundVideos, view: fov.DatasetView) -> list[dict[str, Any]]:
    """The best frame of the best videos; a click opens the best clip of each."""
    from detail_embed.fiftyone_bridge.samples.images import paths_of

    clips: dict[str, str] = {}
    for id, video in zip(*view.limit(_most(answer)).values(["id", "sample_id"])):
        clips.setdefault(str(video), id)
    frames = answer.frames[:_SHOWN]
    paths = paths_of(dataset_of(answer.samples), frames)
    rows = zip(answer.ids, frames, answer.boxes, answer.clips)
    return [
        {
            "id": clips[video],
            "filepath": paths[frame],
            "box": box,
            "score": _times(best[0]),
            "likely": answer.likely is None or place < answer.likely,
        }
        for place, (video, frame, box, best) in enumerate(rows)
        if video in clips and frame in paths
    ]


def _times(clip: Clip) -> str:
    """When a clip starts and ends, in minutes and seconds."""
    return "\N{EN DASH}".join(
        f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
        for seconds in (clip.start, math.ceil(clip.end))
    )


def _most(answer: FoundVideos) -> int:
    """The number of clips of the videos whose best frame is in the panel."""
    return max(1, sum(map(len, answer.clips[:_SHOWN])))
