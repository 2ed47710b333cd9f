"""Labels for images from prompts alone, by the vectors of an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.index import names
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.collection import with_fields
from detail_embed.fiftyone_bridge.samples.frames import home_of
from detail_embed.fiftyone_bridge.search import prompt_scores
from detail_embed.fiftyone_bridge.search.prompt_scores import PromptScores
from detail_embed.fiftyone_bridge.search.query_vectors import hints_of
from detail_embed.texts import zero_shot
from detail_embed.texts import zero_shot as prompt_labels
from detail_embed.texts.read_query import read_prompt
from detail_embed.texts.score_summary import THRESHOLD
from detail_embed.texts.zero_shot import TEMPERATURE

FIELD = "prompt_label"
NONE = "none"
Z_SCORE = "z_score"
_BATCH = 10_000


@dataclass(frozen=True)
class Classified:
    """What a classification wrote.

    Attributes:
        field: where the labels are
        counts: images of each label, in the order given; "none of these" is the last
        images: that have a vector, and so were classified
        without: images that have none
        hints: what to know of the prompts: cut off, or hardly understood
    """

    field: str
    counts: dict[str, int]
    images: int
    without: int
    hints: tuple[str, ...] = ()


def classify(
    index: Index,
    samples: foc.SampleCollection,
    labels: str | Sequence[str],
    field: str = FIELD,
    temperature: float = TEMPERATURE,
    none_label: str | None = None,
    threshold: float = THRESHOLD,
    multi: bool = False,
    overwrite: bool = False,
) -> Run:
    """Labels images by the prompts that fit them best.

    Each image gets a Classification, whose confidence is the probability of
    :func:`~detail_embed.texts.zero_shot.probabilities`; with ``multi``,
    Classifications of all labels that stand out, with their ``z_score``. Prompts are
    encoded as the index encodes them; several prompts of one label are averaged.
    z-scores are of all images of the index.

    Args:
        index: an index that can be searched by text
        samples: a dataset or view of images
        labels: see :func:`detail_embed.texts.zero_shot.parse`
        field ("prompt_label"): a new field, or one of Classifications
        temperature (TEMPERATURE): of the probabilities, in units of the cosine
        none_label (None): the label for "none of these", None to do without
        threshold (THRESHOLD): the z-score that a label needs, with ``none_label`` or
            ``multi``
        multi (False): whether an image may have several labels, or none
        overwrite (False): whether to replace the labels that the images have

    Returns:
        a :class:`.runs.run.Run`, whose result is a :class:`Classified`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
        TypeError: if a label is no string
    """
    samples = prompt_scores.check_scorable(index, samples)
    check_classification(
        index, samples, labels, field, none_label, threshold, multi, overwrite
    )
    zero_shot.probabilities([[0.0]], temperature)
    return Run(
        _classify(
            index, samples, prompt_labels.parse(labels), field, temperature,
            none_label, threshold, multi,
        )
    )


def check_classification(
    index: Index,
    samples: foc.SampleCollection,
    labels: str | Sequence[str],
    field: str,
    none_label: str | None = None,
    threshold: float = THRESHOLD,
    multi: bool = False,
    overwrite: bool = False,
) -> None:
    """Checks what can be checked before a run; see :func:`classify`."""
    samples = prompt_scores.check_scorable(index, samples)
    prompt_scores.check_threshold(threshold)
    _check_field(samples, field, multi, overwrite)
    names = prompt_labels.parse(labels)
    prompts = [read_prompt(text) for texts in names.values() for text in texts]
    prompt_scores.check_prompts(index, prompts)
    if none_label is None:
        if len(names) == 1 and not multi:
            raise ValueError(
                "with one label, every image gets it: give another, or allow "
                "'none of these'"
            )
    elif multi:
        raise ValueError("none_label and multi exclude each other: give one of them")
    elif not isinstance(none_label, str) or not none_label.strip():
        raise ValueError(f"none_label must be a name, not {none_label!r}")
    elif none_label in names:
        raise ValueError(f"{none_label!r} is one of the labels; choose another "
                         "none_label")


def _check_field(
    samples: foc.SampleCollection, field: str, multi: bool, overwrite: bool
) -> None:
    names.check_brain_key(field, "field")
    samples = with_fields(samples, field)
    if not samples.has_field(field):
        return
    kind = _kind(multi)
    found = samples.get_field(field)
    if getattr(found, "document_type", None) is not kind:
        raise ValueError(
            f"the field {field!r} exists and is not of {kind.__name__}; choose another "
            "field"
        )
    if not overwrite and (count := samples.exists(field).count()):
        raise ValueError(
            f"the field {field!r} has labels for {count} of these images; choose "
            "another field, or overwrite=True"
        )


def _classify(
    index: Index,
    samples: foc.SampleCollection,
    labels: Mapping[str, list[str]],
    field: str,
    temperature: float,
    none_label: str | None,
    threshold: float,
    multi: bool,
) -> Generator[Progress, None, Classified]:
    yield Progress("Reading the vectors", 0.0)
    scorer = PromptScores(index, samples)
    vectors = yield from prompt_scores.encode_labels(index, labels)
    scores = np.stack([scorer.scores(vector) for vector in vectors], axis=1)
    names = [*labels, *([none_label] if none_label is not None else [])]
    if multi:
        table = zero_shot.z_scores(scores)[scorer.rows]
        values = _standing_out(names, table, threshold)
    else:
        none_below = None if none_label is None else threshold
        table = zero_shot.probabilities(scores, temperature, none_below)
        values = _likeliest(names, table[scorer.rows])
    counts = yield from _write(samples, field, scorer.ids, values, multi)
    return Classified(
        field=field,
        counts={name: counts[name] for name in names},
        images=len(scorer.ids),
        without=scorer.without,
        hints=hints_of(index, [text for some in labels.values() for text in some]),
    )


def _likeliest(names: list[str], table: np.ndarray) -> Iterator[fo.Classification]:
    for row in table:
        best = int(row.argmax())
        yield fo.Classification(label=names[best], confidence=float(row[best]))


def _standing_out(
    names: list[str], table: np.ndarray, threshold: float
) -> Iterator[fo.Classifications]:
    for row in table:
        best = [i for i in np.argsort(-row, kind="stable") if row[i] >= threshold]
        yield fo.Classifications(
            classifications=[
                fo.Classification(label=names[i], **{Z_SCORE: float(row[i])})
                for i in best
            ]
        )


def _write(
    samples: foc.SampleCollection,
    field: str,
    ids: list[str],
    values: Iterator[fo.Label],
    multi: bool,
) -> Generator[Progress, None, Counter]:
    """Writes the labels, and nothing to images that have no vector.

    Returns:
        how many images got each label
    """
    home, samples = home_of(samples), with_fields(samples, field)
    if home.has_field(field):
        samples.clear_sample_field(field)
    else:
        home.add_sample_field(
            field, fo.EmbeddedDocumentField, embedded_doc_type=_kind(multi)
        )
        if multi:
            path = f"{field}.classifications.{Z_SCORE}"
            home.add_sample_field(path, fo.FloatField)
    counts = Counter()
    for start in range(0, len(ids), _BATCH):
        yield Progress(f"Writing labels: {start} of {len(ids)}", start / len(ids))
        part = dict(zip(ids[start : start + _BATCH], values))
        for value in part.values():
            some = value.classifications if multi else [value]
            counts.update(label.label for label in some)
        home.set_values(field, part, key_field="id")
    return counts


def _kind(multi: bool) -> type[fo.Label]:
    return fo.Classifications if multi else fo.Classification
