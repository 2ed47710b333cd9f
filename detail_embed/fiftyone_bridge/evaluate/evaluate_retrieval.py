"""How well the indexes of a dataset find what its labels say."""

from __future__ import annotations

import platform
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import pairwise
from numbers import Integral

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed import __version__
from detail_embed.evaluation import (
    ALL,
    BINS,
    Evaluation,
    LabelQuery,
    bin_names,
    measure_by_scale,
)
from detail_embed.fiftyone_bridge.evaluate import labels, runs
from detail_embed.fiftyone_bridge.evaluate import prompts as class_prompts
from detail_embed.fiftyone_bridge.evaluate.ranking import Ranking
from detail_embed.fiftyone_bridge.index.brain_runs import check_promptable
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.collection import with_fields
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.texts.query import Prompt
from detail_embed.texts.read_query import line_of

KS = (10, 50, 100)
_SECONDS = 0.3


def evaluate(
    samples: foc.SampleCollection,
    brain_keys: str | Sequence[str],
    label_field: str,
    name: str | None = None,
    ks: Sequence[int] | None = None,
    bins: Sequence[float] = BINS,
    confidence: float = 0.95,
    prompts: Mapping[str, str] | None = None,
) -> Run:
    """Searches for every class of a label field and measures what is found.

    The classes are typed as they are, with spaces for underscores, into FiftyOne's
    own search; an image is relevant if it has the label. With boxes there are bins by
    the side of the box (square root of its area, as a fraction of the image): in
    each, only images count whose largest such object falls in it, and images with
    that object at other sizes are left out.

    The result is kept as a custom run of the dataset.

    Args:
        samples: a dataset or view of images
        brain_keys: indexes that can be searched by text, ours or not
        label_field: a field of Detections or Classifications (or of one each)
        name (None): key of the custom run; by default ``"retrieval"``, with a number
            if that is taken
        ks (None): depths of recall; by default those of 10, 50 and 100 that are no
            larger than the number of images
        bins (BINS): increasing edges between 0 and 1; none for no bins
        confidence (0.95): of the bootstrap intervals
        prompts (None): what is asked for some classes instead of their names, such as
            the concept of ``{"helmet": "#helmet"}``

    Returns:
        a :class:`.runs.run.Run` whose result is an :class:`Evaluation`

    Raises:
        ValueError: if an argument cannot be used; while iterating, also if an index
            is empty or every image shows every class
    """
    brain_keys = _unique(brain_keys)
    samples = _images(samples, brain_keys)
    check_evaluation(
        samples, brain_keys, label_field, name, ks, bins, confidence, prompts
    )
    ks = [k for k in KS if k <= len(samples)] if ks is None else list(ks)
    name = name or runs.free_name(dataset_of(samples))
    return Run(
        _evaluate(
            samples, brain_keys, label_field, name, ks, list(bins), confidence, prompts
        )
    )


def check_evaluation(
    samples: foc.SampleCollection,
    brain_keys: str | Sequence[str],
    label_field: str,
    name: str | None = None,
    ks: Sequence[int] | None = None,
    bins: Sequence[float] = BINS,
    confidence: float = 0.95,
    prompts: Mapping[str, str] | None = None,
) -> None:
    """Checks all that can be checked before an evaluation; see :func:`evaluate`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    samples = _images(samples, _unique(brain_keys))
    samples = with_fields(samples, label_field)
    dataset = dataset_of(samples)
    brain_keys = _unique(brain_keys)
    if not brain_keys:
        raise ValueError("choose at least one brain key")
    for brain_key in brain_keys:
        check_promptable(Index(dataset, brain_key))
    labels.check_field(samples, label_field)
    indexes = [Index(dataset, key) for key in brain_keys]
    class_prompts.check_given(indexes, samples, label_field, prompts)
    if name is not None:
        runs.check_name(dataset, name)
    for k in ks or ():
        if not isinstance(k, Integral) or not 1 <= k <= len(samples):
            raise ValueError(
                f"a depth of recall must be a whole number from 1 to {len(samples)}, "
                f"the number of images, not {k!r}"
            )
    edges = list(bins)
    if edges and (
        len(edges) < 2
        or not 0 <= edges[0] <= edges[-1] <= 1
        or any(low >= high for low, high in pairwise(edges))
    ):
        raise ValueError(f"bins must be increasing edges from 0 to 1, not {edges}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence!r}")


def _images(
    samples: foc.SampleCollection, brain_keys: Sequence[str]
) -> foc.SampleCollection:
    """The images that samples mean, which all indexes can be of."""
    dataset = dataset_of(samples)
    for key in brain_keys:
        samples = Index(dataset, key).images_of(samples)
    return images_of(samples)


@dataclass(frozen=True)
class _Task:
    """What every index is asked."""

    shown: labels.Labels
    prompts: list[Prompt]
    bins: list[float]
    metrics: list[str]


def _evaluate(
    samples: foc.SampleCollection,
    brain_keys: list[str],
    label_field: str,
    name: str,
    ks: list[int],
    bins: list[float],
    confidence: float,
    given: Mapping[str, str] | None,
) -> Generator[Progress, None, Evaluation]:
    started = time.monotonic()
    yield Progress("Reading the labels", 0.0)
    indexes = [Index.of(samples, key) for key in brain_keys]
    shown = labels.read(with_fields(samples, label_field), label_field)
    task = _Task(
        shown=shown,
        prompts=class_prompts.of_classes(shown.classes, given),
        bins=bins if shown.has_boxes else [],
        metrics=_metrics(ks),
    )
    values, missing = [], {}
    for number, index in enumerate(indexes):
        for progress in (steps := Run(_measure(index, task))):
            fraction = (number + progress.fraction) / len(indexes)
            yield Progress(f"{index.key}: {progress.text}", fraction)
        measured, missing[index.key] = steps.result
        values.append(measured)
    yield Progress("Saving", 1.0)
    groups = labels.word_groups(indexes, shown.classes)
    lines = map(line_of, task.prompts)
    evaluation = Evaluation(
        methods=brain_keys,
        bank=label_field,
        queries=list(map(LabelQuery, shown.classes, lines, groups)),
        metrics=task.metrics,
        scales=[ALL, *bin_names(task.bins)],
        values=np.array(values),
        targets=_count_targets(shown, task.bins),
        images=len(shown.ids),
        missing=missing,
        confidence=confidence,
        facts=_facts(indexes, name, started) | {"left_out": shown.left_out},
    )
    runs.save(samples, evaluation, name)
    return evaluation


def _metrics(ks: list[int]) -> list[str]:
    depths = dict.fromkeys([10, *ks])
    recalls = (f"recall_{k}" for k in depths)
    return ["map", "map_50", *recalls, "r_precision", "ndcg_10"]


def _measure(
    index: Index, task: _Task
) -> Generator[Progress, None, tuple[np.ndarray, int]]:
    """``(q, s, k)`` values of an index, and how many images it did not rank."""
    total = len(task.prompts)
    yield Progress(f"encoding {total} classes", 0.0)
    ranking = Ranking(index)
    vectors = ranking.encode(task.prompts)
    columns = {sample_id: i for i, sample_id in enumerate(task.shown.ids)}
    values, missing = [], 0
    last = time.monotonic()
    for number, (scores, left) in enumerate(ranking.scores(vectors, columns)):
        scale = task.shown.scale(number)[np.newaxis]
        by_scale = measure_by_scale(scores[None], scale, task.bins, task.metrics)
        values.append(np.concatenate(list(by_scale.values())))
        missing = max(missing, left)
        if time.monotonic() - last > _SECONDS:
            last = time.monotonic()
            yield Progress(f"{number + 1} of {total} classes", (number + 1) / total)
    return np.array(values), missing


def _count_targets(shown: labels.Labels, bins: list[float]) -> np.ndarray:
    edges = list(pairwise(bins))
    return np.array(
        [
            [len(sides), *(sum(a < s <= b for s in sides.values()) for a, b in edges)]
            for sides in shown.sides
        ]
    )


def _facts(indexes: list[Index], name: str, started: float) -> dict:
    return {
        "name": name,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 3),
        "models": {index.key: index.config.model for index in indexes},
        "versions": {
            "detail-embed": __version__,
            "fiftyone": fo.__version__,
            "fiftyone-brain": version("fiftyone-brain"),
            "python": platform.python_version(),
        },
    }


def _unique(brain_keys: str | Sequence[str]) -> list[str]:
    given = [brain_keys] if isinstance(brain_keys, str) else brain_keys
    return list(dict.fromkeys(given))
