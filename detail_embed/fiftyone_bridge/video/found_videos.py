"""What a search of videos found: videos best first, and the clips that match."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.samples.app_defaults import (
    HITS_MAKER,
    declare_labels,
    is_made_by,
)
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.fiftyone_bridge.video.clips import Clip
from detail_embed.texts.score_summary import ScoreHistogram

HITS = "detail_hits"


@dataclass(frozen=True, eq=False)
class FoundVideos:
    """The videos that a search found, best first.

    Attributes:
        samples: what was searched in
        ids: of the videos
        scores: cosine of the query and the best frame of each; of ``pool="mean"``, of
            the mean of its frames
        z_scores: how far that stands out: the best frame among all frames of the index;
            the mean among the videos that were searched
        clips: of each video, the clips that match, best first
        frames: the id of the best frame of each video
        boxes: the place in it that matched best, as of :class:`.found.Found`
        pool: ``"best"`` or ``"mean"``
        searched: how many videos these were
        frames_searched: and how many frames
        without: videos that have no frame in the index: they are not found
        vector: ``(d,)`` float32, the query
        method: how the frames were searched, one of :data:`.methods.METHODS`
        seconds: that it took
        text: what was looked for, in short
        histogram: the z-scores of the frames
        likely: how many of these videos, from the first, probably show it; None where
            that cannot be told
        hints: what to know of the prompts
    """

    noun: ClassVar[str] = "frames"  # what was scored

    samples: foc.SampleCollection = field(repr=False)
    ids: list[str]
    scores: list[float]
    z_scores: list[float]
    clips: list[list[Clip]]
    frames: list[str]
    boxes: list[list[float] | None]
    pool: str
    searched: int
    frames_searched: int
    without: int
    vector: np.ndarray = field(repr=False)
    method: str
    seconds: float
    text: str
    histogram: ScoreHistogram = field(repr=False)
    likely: int | None = None
    hints: tuple[str, ...] = ()

    @property
    def view(self) -> fov.DatasetView:
        """The videos, in this order."""
        return self.samples.select(self.ids, ordered=True)

    def write(self, field: str = HITS) -> None:
        """Writes the clips as TemporalDetections, in place of those of the last search.

        Args:
            field ("detail_hits"): of the videos; each label says what was looked for,
                with ``score``, ``z_score`` and ``best_frame``

        Raises:
            ValueError: if the field holds something else
        """
        dataset = dataset_of(self.samples)
        declare(dataset, field)
        old = dataset.exists(field).values("id")
        dataset.set_values(field, dict.fromkeys(old), key_field="id")
        values = {id: self._labels(clips) for id, clips in zip(self.ids, self.clips)}
        dataset.set_values(field, values, key_field="id", dynamic=True)

    def clips_view(self, field: str = HITS) -> fov.DatasetView:
        """Writes the clips, and shows each as a sample, those of the best video first.

        In the App a click opens the video there.

        Args, Raises: as of :meth:`write`
        """
        self.write(field)
        return self.view.to_clips(field)

    @property
    def shown(self) -> fov.DatasetView:
        """What the App shows: the clips."""
        return self.clips_view()

    def _labels(self, clips: list[Clip]) -> fo.TemporalDetections:
        return fo.TemporalDetections(
            detections=[
                fo.TemporalDetection(
                    label=self.text,
                    support=[clip.first, clip.last],
                    score=round(clip.score, 4),
                    z_score=round(clip.z_score, 2),
                    best_frame=clip.best,
                )
                for clip in clips
            ]
        )


def declare(dataset: fo.Dataset, name: str = HITS) -> None:
    """Adds the field of hits where it is not there yet: the App reads fields early.

    Raises:
        ValueError: if the field holds something else, such as labels of somebody
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"field={name!r}: give the name of a field, such as {HITS!r}")
    found = dataset.get_field(name)
    if found is None:
        declare_labels(dataset, name, fo.TemporalDetections, HITS_MAKER)
    elif not _is_ours(dataset, found):
        raise ValueError(
            f"the field {name!r} of {dataset.name!r} holds something else: give the "
            "name of another field"
        )


def _is_ours(dataset: fo.Dataset, field: fo.Field) -> bool:
    """Whether a field has hits of a search, or nothing yet."""
    if getattr(field, "document_type", None) is not fo.TemporalDetections:
        return False
    is_known = is_made_by(field, HITS_MAKER) or field.name == HITS
    return is_known or not len(dataset.exists(field.name).limit(1))
