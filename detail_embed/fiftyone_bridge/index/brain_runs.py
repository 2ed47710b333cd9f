"""Similarity indexes of FiftyOne's brain on fields of vectors."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np

from detail_embed.fiftyone_bridge.samples import patch_detections
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fusers.few_vectors import MAX_VECTORS

_CHUNK = 10_000


def check_backend(
    dataset: fo.Dataset, brain_key: str | None, backend: str | None
) -> None:
    """Checks that a backend exists, and that an index does not have another.

    Args:
        dataset: the data set
        brain_key: key of the index, None if there will be a new one
        backend: the backend asked for, None for any

    Raises:
        ValueError: otherwise
    """
    backends = fob.brain_config.similarity_backends
    if backend is not None and backend not in backends:
        raise ValueError(
            f"unknown similarity backend {backend!r}; choose one of {sorted(backends)}"
        )
    if backend is None or brain_key not in dataset.list_brain_runs():
        return
    existing = dataset.get_brain_info(brain_key).config.method
    if existing != backend:
        raise ValueError(
            f"the index {brain_key!r} is kept by the backend {existing!r}, not "
            f"{backend!r}; choose {existing!r}, another brain key, or start over with "
            "overwrite=True"
        )


def build(
    dataset: fo.Dataset,
    brain_key: str,
    field: str,
    model: str,
    backend: str | None,
    patches: bool = False,
) -> None:
    """Makes the brain run of a field, or adds to it the vectors that it lacks.

    FiftyOne's default backend reads the field itself. Others have a store of their
    own, which is filled in chunks: no more than 10,000 vectors are in memory.

    Args:
        dataset: the data set
        brain_key: key of the run
        field: the field of vectors, or of Detections
        model: name of the zoo model that encodes queries
        backend: a similarity backend, None for the default; a run that exists keeps
            the one it has
        patches (False): whether the field holds Detections, with their vectors in
            the attribute ``few_index.VECTOR``
    """
    index = None
    if brain_key in dataset.list_brain_runs():
        index = dataset.load_brain_results(brain_key)
        if index is None:  # cut short while it was made
            dataset.delete_brain_run(brain_key)
    if index is not None:
        index.reload()
    else:
        index = fob.compute_similarity(
            dataset,
            patches_field=field if patches else None,
            embeddings=False,
            embeddings_field=patch_detections.VECTOR if patches else field,
            model=model,
            brain_key=brain_key,
            backend=backend,
        )
    if index.is_external:
        _fill(index, dataset, field, patches)


def _fill(
    index: fob.SimilarityIndex, dataset: fo.Dataset, field: str, patches: bool
) -> None:
    """Gives a store of its own the images that it lacks."""
    known = set(index.sample_ids if index.sample_ids is not None else ())
    images = flat_images(dataset).exists(field)
    ids = [sample_id for sample_id in images.values("id") if sample_id not in known]
    step = _CHUNK // MAX_VECTORS if patches else _CHUNK
    for start in range(0, len(ids), step):
        part = images.select(ids[start : start + step], ordered=True)
        if patches:
            index.add_to_index(*patch_detections.read(part, field))
        else:
            index.add_to_index(np.stack(part.values(field)), part.values("id"))
    index.save()


def promptable(dataset: fo.Dataset) -> list[str]:
    """The brain keys that can be searched by text."""
    return dataset.list_brain_runs(type=fob.Similarity, supports_prompts=True)


def similarities(dataset: fo.Dataset) -> list[str]:
    """The brain keys of similarity indexes, searchable by text or not."""
    return dataset.list_brain_runs(type=fob.Similarity)


def check_promptable(dataset: fo.Dataset, brain_key: str) -> None:
    """Checks that an index can be searched by text.

    Raises:
        ValueError: saying which can
    """
    known = promptable(dataset)
    choice = f"choose one of {known}" if known else "compute an index first"
    if brain_key not in dataset.list_brain_runs():
        raise ValueError(f"unknown brain key {brain_key!r}; {choice}")
    if brain_key not in known:
        raise ValueError(
            f"brain key {brain_key!r} cannot be searched by text: it is no similarity "
            f"index, or has no model for texts; {choice}"
        )


def check_similarity(dataset: fo.Dataset, brain_key: str) -> None:
    """Checks that there is a similarity index, searchable by text or not.

    Raises:
        ValueError: saying which there are
    """
    known = similarities(dataset)
    if brain_key not in known:
        choice = f"choose one of {known}" if known else "compute an index first"
        raise ValueError(f"{brain_key!r} is no similarity index; {choice}")
