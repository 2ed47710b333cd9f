"""Hits in the frames of a video, merged into clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clip:
    """A part of a video in which frames match.

    Attributes:
        first: its first frame, from 1
        last: its last frame
        start: seconds from the begin of the video
        end: likewise, where its last frame ends
        best: the frame that matches best
        score: of that frame
        z_score: likewise
    """

    first: int
    last: int
    start: float
    end: float
    best: int
    score: float
    z_score: float


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a video that were searched, in the order of time.

    Attributes:
        numbers: ``(n,)`` int64, from 1
        scores: ``(n,)`` float64
        z_scores: ``(n,)`` float64
        rate: frames per second of the video
        total: frames of the video
    """

    numbers: np.ndarray
    scores: np.ndarray
    z_scores: np.ndarray
    rate: float
    total: int


def merge(frames: Frames, hits: Sequence[int], gap: float) -> list[Clip]:
    """Merges hits that are close in time; a hit lasts until the next frame there is.

    Args:
        frames: those of a video
        hits: places of the hits among these, rising
        gap: seconds between the end of a hit and the next one, at most, that are
            bridged

    Returns:
        the clips, best first
    """
    ends = np.append(frames.numbers[1:] - 1, max(frames.total, frames.numbers[-1]))
    groups: list[list[int]] = []
    for place in hits:
        if groups:
            pause = frames.numbers[place] - 1 - ends[groups[-1][-1]]
            if pause <= gap * frames.rate:
                groups[-1].append(place)
                continue
        groups.append([place])
    clips = [_clip(frames, ends, group) for group in groups]
    return sorted(clips, key=lambda clip: -clip.score)


def _clip(frames: Frames, ends: np.ndarray, group: list[int]) -> Clip:
    first, last = int(frames.numbers[group[0]]), int(ends[group[-1]])
    best = group[int(np.argmax(frames.scores[group]))]
    return Clip(
        first=first,
        last=last,
        start=(first - 1) / frames.rate,
        end=last / frames.rate,
        best=int(frames.numbers[best]),
        score=float(frames.scores[best]),
        z_score=float(frames.z_scores[best]),
    )
