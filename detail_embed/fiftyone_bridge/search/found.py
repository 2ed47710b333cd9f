"""What a search found, whatever way it was searched."""

from __future__ import annotations

from dataclasses import dataclass, field

import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.samples.app_defaults import SCORE, has_score, prepare
from detail_embed.fiftyone_bridge.samples.collection import with_fields
from detail_embed.fiftyone_bridge.samples.frames import home_of
from detail_embed.fiftyone_bridge.samples.images import clips_of
from detail_embed.fiftyone_bridge.search import match
from detail_embed.fiftyone_bridge.search.places import Places
from detail_embed.texts.score_summary import ScoreHistogram

DRAWN = 5_000  # images, the best, whose scores and places are in a view
EXAMPLE = "like the example"  # what was looked for, where it was no text


@dataclass(frozen=True, eq=False)
class Found:
    """The images that a search found, best first.

    Those that probably show it come before the others; both in the order of their
    scores.

    Attributes:
        samples: what was searched in
        ids: of the ``k`` samples, or fewer; with a threshold of all at or above it
        scores: cosine of the query and the best vector of each; where patches were
            read, and its best patch, None for an image without stored patches; of
            several prompts then :func:`~detail_embed.patch_search.rerank.rerank_parts`
        z_scores: how far the vectors of each stand out, see
            :func:`~detail_embed.texts.score_summary.standardise`, among all images of
            the index
        places: where each prompt matches best, that of the highest weight first, five
            at most: the best stored patch, else what the best of a few vectors stands
            for; prompts that match best at one place have it together. Empty where
            neither is known, and after the best 5,000
        histogram: the z-scores of the images that were searched
        searched: how many these are
        missing: images without a vector: they are not found
        above: images at or above the threshold
        vector: ``(d,)`` float32, the query
        method: one of :data:`.methods.METHODS`
        seconds: that it took
        text: what was looked for, in short
        likely: how many of these images, from the first, probably show it: below them
            runs the line "probably not", and 0 means that nothing here looks like it;
            None where that cannot be told, see :func:`.likely.find_likely`
        hints: what to know of the prompts: cut off, or hardly understood
        clips: the view of clips whose frames were searched; None for no clips
    """

    samples: foc.SampleCollection = field(repr=False)
    ids: list[str]
    scores: list[float | None]
    z_scores: list[float]
    places: list[Places]
    histogram: ScoreHistogram
    searched: int
    missing: int
    above: int
    vector: np.ndarray
    method: str
    seconds: float
    text: str
    likely: int | None = None
    hints: tuple[str, ...] = ()
    clips: fov.DatasetView | None = field(default=None, repr=False)

    @property
    def boxes(self) -> list[list[float] | None]:
        """The first place of each, left, top, width and height as shares of the image.

        None where there is none.
        """
        return [list(places[0].box) if places else None for places in self.places]

    @property
    def shown(self) -> fov.DatasetView:
        """What a grid shows: the images; of clips those, by their best frame."""
        if self.clips is None:
            return self.view
        owners = clips_of(self.clips, self.samples.select(self.ids))
        best = dict.fromkeys(clip for id in self.ids for clip in owners[id])
        return self.clips.select(list(best), ordered=True)

    @property
    def view(self) -> fov.DatasetView:
        """The images in this order, with scores and places.

        The scores are in the field ``detail_score``, the places that matched in
        ``detail_match``, of the best 5,000. They belong to the view: nothing is
        written to the samples. A field of yours with such a name is left as it is, and
        a view that selects fields shows those.
        """
        prepare(home_of(self.samples))
        return self._view(self.samples)

    @property
    def noun(self) -> str:
        """What was found, for a person."""
        return "images"

    @property
    def images(self) -> Found:
        """The images: this itself; see :class:`.found_boxes.FoundBoxes`."""
        return self

    def _view(self, samples: foc.SampleCollection) -> fov.DatasetView:
        ids, scores = self.ids[:DRAWN], self.scores[:DRAWN]
        view = samples.select(self.ids, ordered=True)
        if has_score(view):
            shown = [score if score is None else round(score, 4) for score in scores]
            view = view.set_field(SCORE, match.of_each(ids, match.item(shown)))
        if not any(self.places) or not match.is_known(view):
            return view
        return match.draw(view, ids, self.places[:DRAWN], self.text)

    def patches(self) -> fov.DatasetView:
        """Close-ups: a view of the places that matched, best first.

        Raises:
            ValueError: if no place is known
        """
        prepare(home_of(self.samples))
        view = self._view(with_fields(self.samples, match.MATCH))
        if not any(self.places) or not view.has_field(match.MATCH):
            raise ValueError(
                "nobody knows where these images match: keep patch features, or a few "
                "vectors per image"
            )
        return match.close_ups(view, self.ids[:DRAWN])
