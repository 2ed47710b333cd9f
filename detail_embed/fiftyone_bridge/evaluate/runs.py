"""Evaluations that a dataset keeps, as FiftyOne custom runs."""

from __future__ import annotations

from itertools import count

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.evaluation import Evaluation
from detail_embed.fiftyone_bridge.index.names import check_brain_key

METHOD = "detail_embed_evaluation"


def names(dataset: fo.Dataset) -> list[str]:
    """Names of the evaluations that a dataset keeps."""
    return dataset.list_runs(method=METHOD)


def free_name(dataset: fo.Dataset) -> str:
    """A name for an evaluation that no other run has."""
    candidates = ("retrieval" if i == 1 else f"retrieval_{i}" for i in count(1))
    return next(name for name in candidates if name not in dataset.list_runs())


def check_name(dataset: fo.Dataset, name: str) -> None:
    """Checks that a new evaluation can have a name.

    Raises:
        ValueError: if it is no name or taken
    """
    check_brain_key(name, "name")
    if name in dataset.list_runs():
        raise ValueError(
            f"name {name!r} belongs to another run of this dataset; choose another, "
            f"for example {free_name(dataset)!r}"
        )


def save(samples: foc.SampleCollection, evaluation: Evaluation, name: str) -> None:
    """Keeps an evaluation of samples under a name that is free.

    Its configuration is for whoever lists runs; the results hold the table, the
    classes and the facts as JSON.
    """
    config = samples.init_run(
        method=METHOD,
        brain_keys=list(evaluation.methods),
        label_field=evaluation.bank,
        metrics=list(evaluation.metrics),
        scales=list(evaluation.scales),
        confidence=evaluation.confidence,
    )
    samples.register_run(name, config, overwrite=False)
    results = samples.init_run_results(name, evaluation=evaluation.to_dict())
    samples.save_run_results(name, results)


def load(dataset: fo.Dataset, name: str) -> Evaluation:
    """Loads an evaluation.

    Raises:
        ValueError: if there is none of that name
    """
    _check_known(dataset, name)
    return Evaluation.from_dict(dataset.load_run_results(name, cache=False).evaluation)


def delete(dataset: fo.Dataset, name: str) -> None:
    """Deletes an evaluation, and nothing else.

    Raises:
        ValueError: if there is none of that name
    """
    _check_known(dataset, name)
    dataset.delete_run(name)


def _check_known(dataset: fo.Dataset, name: str) -> None:
    known = names(dataset)
    if name not in known:
        choice = f"choose one of {known}" if known else "evaluate first"
        raise ValueError(f"no evaluation {name!r} in this dataset; {choice}")
