"""How often each prompt of a bank stands out: the rare things of a dataset."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import fiftyone.operators as foo

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.private_names import dataset_id
from detail_embed.fiftyone_bridge.search import prompt_scores
from detail_embed.fiftyone_bridge.search.prompt_scores import PromptScores
from detail_embed.fiftyone_bridge.search.query_vectors import hints_of
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.fiftyone_bridge.where.stored import best_boxes
from detail_embed.texts.query import Query
from detail_embed.texts.read_query import line_of, read_prompt
from detail_embed.texts.score_summary import THRESHOLD, standardise


@dataclass(frozen=True)
class PromptRow:
    """One prompt.

    Attributes:
        prompt: as it was given
        count: images whose z-score is at or above the threshold
        best_score: cosine of the image that fits best
        best_z: its z-score
        best_id: its sample id
        best_box: where it is most like the prompt, as left, top, width and height in
            shares of the image; None where that is not known
    """

    prompt: str
    count: int
    best_score: float
    best_z: float
    best_id: str
    best_box: list[float] | None


@dataclass(frozen=True)
class LongTail:
    """A prompt bank, rarest first; of equally rare ones, the worst fit first.

    Attributes:
        rows: one for each prompt
        threshold: the z-score that counts
        images: that have a vector
        without: images that have none
        hints: what to know of the prompts: cut off, or hardly understood
    """

    rows: list[PromptRow]
    threshold: float
    images: int
    without: int
    hints: tuple[str, ...] = ()


def long_tail(
    index: Index,
    samples: foc.SampleCollection,
    prompts: str | Sequence[str],
    threshold: float = THRESHOLD,
) -> Run:
    """Counts the images in which each prompt stands out.

    z-scores are of all images of the index. What most images show stands out in none
    of them, so a count is of what is rare, not of what is there.

    Args:
        index: an index that can be searched by text
        samples: a dataset or view of images
        prompts: a list, or a text with one prompt a line; ``#name`` is a concept
        threshold (THRESHOLD): the z-score that counts

    Returns:
        a :class:`.runs.run.Run`, whose result is a :class:`LongTail`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
        TypeError: if a prompt is no string
    """
    samples = index.images_of(samples)
    bank = check_prompt_bank(index, samples, prompts, threshold)
    return Run(_long_tail(index, samples, bank, threshold))


def check_prompt_bank(
    index: Index,
    samples: foc.SampleCollection,
    prompts: str | Sequence[str],
    threshold: float,
) -> list[str]:
    """Checks what can be checked before a run; see :func:`long_tail`.

    Returns:
        the prompts, each once
    """
    samples = prompt_scores.check_scorable(index, samples)
    prompt_scores.check_threshold(threshold)
    lines = list_prompts(prompts)
    bank = [read_prompt(line) for line in lines if not _is_blank(line)]
    if not bank:
        raise ValueError("there is no prompt: give prompts, one a line")
    prompt_scores.check_prompts(index, bank)
    return list(dict.fromkeys(map(line_of, bank)))


def list_prompts(prompts: str | Iterable[str]) -> list[str]:
    """Prompts as a list.

    Raises:
        TypeError: if they are no text or list
    """
    if isinstance(prompts, str):
        return prompts.splitlines()
    if not isinstance(prompts, Iterable):
        raise TypeError(f"prompts={prompts!r:.80}: give a list of prompts, or a text")
    return list(prompts)


def view(
    index: Index,
    samples: foc.SampleCollection,
    prompt: str,
    threshold: float = THRESHOLD,
) -> fov.DatasetView:
    """The images in which a prompt stands out, best first.

    Args:
        index: an index that can be searched by text
        samples: a dataset or view of images
        prompt: what is looked for
        threshold (THRESHOLD): the least z-score

    Raises:
        ValueError: if an argument cannot be used
    """
    query = Query((read_prompt(prompt),))
    samples = prompt_scores.check_scorable(index, samples)
    prompt_scores.check_threshold(threshold)
    found = search(index, samples, query, len(samples), threshold)
    return samples.select(found.ids, ordered=True)


def _is_blank(line: object) -> bool:
    return isinstance(line, str) and not line.strip()


def _long_tail(
    index: Index, samples: foc.SampleCollection, bank: list[str], threshold: float
) -> Generator[Progress, None, LongTail]:
    yield Progress("Reading the vectors", 0.0)
    scorer = PromptScores(index, samples)
    features = yield from scorer.encode(bank)
    rows = []
    for done, (prompt, vector) in enumerate(zip(bank, features)):
        yield Progress(f"Prompt {done + 1} of {len(bank)}", done / len(bank))
        scores = scorer.scores(vector)
        z = standardise(scores)[scorer.rows]
        best = int(z.argmax())
        best_id = scorer.ids[best]
        rows.append(
            PromptRow(
                prompt=prompt,
                count=int((z >= threshold).sum()),
                best_score=float(scores[scorer.rows[best]]),
                best_z=float(z[best]),
                best_id=best_id,
                best_box=best_boxes(index, vector.numpy(), [best_id]).get(best_id),
            )
        )
    rows.sort(key=lambda row: (row.count, row.best_z))
    hints = hints_of(index, bank)
    return LongTail(rows, threshold, len(scorer.ids), scorer.without, hints)


STORE = "detail_embed_reports"
_NEWEST = "long_tail"


def keep(index: Index, report: LongTail) -> None:
    """Keeps a report instead of the one before."""
    _store(index.dataset).set(_NEWEST, {"brain_key": index.key} | asdict(report))


def read(dataset: fo.Dataset) -> dict[str, Any] | None:
    """Reads the report: the fields of a LongTail, and brain_key; None for none."""
    return _store(dataset).get(_NEWEST)


def _store(dataset: fo.Dataset) -> foo.ExecutionStore:
    return foo.ExecutionStore.create(STORE, dataset_id(dataset))
