"""Few images that stand for all: none is far from the nearest chosen one.

FiftyOne's own ``find_unique()`` halves a threshold until as many images are left as are
wanted, comparing all with all each time; that takes longer, and leaves a larger radius,
see ``docs/performance.md``.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.concepts import resolve
from detail_embed.fiftyone_bridge.curate.k_centre import SAME, Cover
from detail_embed.fiftyone_bridge.curate.labelled import Labelled
from detail_embed.fiftyone_bridge.curate.long_tail import list_prompts
from detail_embed.fiftyone_bridge.curate.optional_tag import read_tag
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.image_vectors import (
    check_images_of_index,
    read_vectors,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fiftyone_bridge.samples.tags import had_before, tag_images
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts.read_query import read_query

N = 100
_AMONG = 3  # times the share of a prompt: the best ones of which the farthest is taken


@dataclass(frozen=True)
class DiverseSubset:
    """The chosen images.

    Attributes:
        ids: of the samples, in the order in which they were chosen: the first ``m`` of
            them are the choice of ``m``
        view: the chosen samples in this order
        radius: every image is within this cosine distance of a chosen or a labelled one
        images: that could be chosen
        labelled: images that were labelled already, and so not to be chosen
        elsewhere: labelled images with a vector that are not among the samples
        without: images that have no vector, and so were left out
        copies: how many of the last ones are like a chosen one, as no others were left
        tag: that the chosen samples got, None for none
        hints: what to know: of prompts that are hardly understood, of labels that can
            be read in two ways, and of images that had the tag before
    """

    ids: list[str]
    view: fov.DatasetView
    radius: float
    images: int
    labelled: int
    elsewhere: int
    without: int
    copies: int
    tag: str | None = None
    hints: tuple[str, ...] = ()


def select_diverse_subset(
    index: Index,
    samples: foc.SampleCollection,
    n: int | None = None,
    distance: float | None = None,
    prompts: str | Sequence[str] | None = None,
    labelled: Labelled | None = None,
    tag: str | None = None,
) -> Run:
    """Chooses images that stand for all others, by k-centre greedy.

    Each next image is the one that is farthest from all that were chosen or are
    labelled already. It ends with ``n`` images, or as soon as every image is within
    ``distance`` of one, whichever comes first.

    With prompts, each gets an equal share of ``n``, in turn: the farthest of the best
    matches that are left, three times as many as the share.

    Args:
        index: a similarity index; with prompts, one that can be searched by text. Of
            several vectors per image, the one beside these stands for the image; of
            an index of boxes, the mean of its boxes
        samples: a dataset or view of images
        n (None): images to choose
        distance (None): a cosine distance, 0 to 2
        prompts (None): queries, a list or a text with one a line
        labelled (None): what is labelled already, among the samples or not
        tag (None): that the chosen samples get

    Returns:
        a :class:`.runs.run.Run`, whose result is a :class:`DiverseSubset`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
        TypeError: if a prompt is no text
    """
    check_images_of_index(index, samples)
    samples = index.images_of(samples)
    _check_amount(n, distance, len(samples))
    lines = [] if prompts is None else _read_lines(index, prompts, n, distance)
    tag = read_tag(tag)
    known, hints = (labelled or Labelled()).read(index)
    return Run(_select(index, samples, n, distance, lines, known, hints, tag))


def _check_amount(n: int | None, distance: float | None, images: int) -> None:
    if n is None and distance is None:
        raise ValueError(
            "say how many images to choose, such as n=100, or how near every image "
            "shall be to a chosen one, such as distance=0.2"
        )
    is_whole = is_a(Integral, n)
    if n is not None and (not is_whole or n < 1):
        raise ValueError(f"n must be a whole number of at least 1, not {n!r}")
    if n is not None and n > images:
        raise ValueError(f"n={n}: there are only {images} images, choose fewer of them")
    is_number = is_a(Real, distance)
    if distance is not None and (not is_number or not 0 <= distance <= 2):
        raise ValueError(
            f"distance must be a cosine distance from 0 to 2, not {distance!r}"
        )


def _read_lines(
    index: Index, prompts: str | Sequence[str], n: int | None, distance: float | None
) -> list[str]:
    brain_runs.check_promptable(index)
    lines = [line for line in list_prompts(prompts) if str(line).strip()]
    concepts = dict.fromkeys(
        name for line in lines for name in read_query(line).concepts
    )
    resolve.vectors(index, concepts)
    if not lines:
        raise ValueError(
            f"prompts={prompts!r:.80}: there is no prompt, give one a line, or leave "
            "them out"
        )
    if distance is not None or n is None:
        raise ValueError(
            "prompts share out a number of images: give n, and no distance"
        )
    if n < len(lines):
        raise ValueError(f"n={n}: there are {len(lines)} prompts, choose more images")
    return lines


def _select(
    index: Index,
    samples: foc.SampleCollection,
    n: int | None,
    distance: float | None,
    lines: Sequence[str],
    known: list[str],
    hints: tuple[str, ...],
    tag: str | None,
) -> Generator[Progress, None, DiverseSubset]:
    yield Progress("Reading the vectors", 0.0)
    images, matrix, without = read_vectors(index, samples, 1)
    ids, is_known = images.values("id"), set(known)
    kept = [place for place, id in enumerate(ids) if id not in is_known]
    labelled = len(ids) - len(kept)
    _check_left(index, n, len(kept), labelled, len(samples))
    if labelled:
        ids, matrix = [ids[place] for place in kept], matrix[kept]
    cover = Cover(matrix)
    away = yield from _keep_away(index, cover, known)
    unseen = len(known) - away
    if unseen:
        hints += (f"{unseen} labelled images have no vector: nothing is kept away from "
                  "them.",)
    if lines:
        yield Progress(f"Comparing with {len(lines)} prompts", 0.3)
        rankings = [_rank(index, line, ids) for line in lines]
        cover.in_turn(rankings, n, _AMONG * -(-n // len(lines)))
        copies = 0
        for line in lines:
            hints += tuple(query_vectors.hints(index, line))
    else:
        copies = yield from _choose(cover, n, distance, len(ids))
    chosen = [ids[place] for place in cover.chosen]
    view = samples.select(chosen, ordered=True)
    if tag is not None:
        hints += had_before(index.images(), chosen, tag)
        tag_images(view, tag)
    return DiverseSubset(
        ids=chosen, view=view, radius=cover.radius, images=len(ids), labelled=labelled,
        elsewhere=away - labelled, without=without, copies=copies, tag=tag, hints=hints,
    )


def _check_left(
    index: Index, n: int | None, images: int, labelled: int, asked: int
) -> None:
    """Checks that as many images as are wanted can be chosen."""
    if not images:
        raise ValueError(
            f"all {labelled} images with a vector in the index {index.key!r} are "
            "labelled already, so there is nothing to choose: add images, or take "
            "another field, tag or view for what is labelled"
        )
    if n is not None and n > images:
        raise ValueError(
            f"n={n}: of these {asked} images, {images} have a vector in the index "
            f"{index.key!r} and are not labelled yet; choose fewer, or compute it for "
            "more"
        )


def _keep_away(
    index: Index, cover: Cover, known: list[str]
) -> Generator[Progress, None, int]:
    """Starts the cover with the labelled images that have a vector; counts them."""
    if not known:
        return 0
    images = flat_images(index.home).select(known)
    _, matrix, _ = read_vectors(index, images, 0)
    for done in cover.add(matrix):
        text = f"Comparing with {len(matrix):,} labelled images"
        yield Progress(text, 0.1 + 0.2 * done / len(matrix))
    return len(matrix)


def _rank(index: Index, line: str, ids: Sequence[str]) -> np.ndarray:
    """The places of images by how well they fit a query, best first."""
    vectors = index_vectors.load(index)
    places = {id: place for place, id in enumerate(vectors.ids)}
    scores = vectors.scores(query_vectors.encode(index, line))
    scores = scores[[places[id] for id in ids]]
    return np.argsort(-scores, kind="stable")


def _choose(
    cover: Cover, n: int | None, distance: float | None, images: int
) -> Generator[Progress, None, int]:
    """Chooses the farthest; returns how many are copies of others."""
    near = SAME if distance is None else max(distance, SAME)
    for chosen in cover.farthest_first(images if n is None else n, near):
        text = f"{chosen:,} images chosen; every image is within {cover.radius:.3f}"
        yield Progress(text, 0.3 + 0.7 * chosen / (n or images))
    if distance is not None:
        return 0
    copies = n - len(cover.chosen)
    for _ in cover.farthest_first(n, -1):
        pass
    return copies
