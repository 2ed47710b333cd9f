"""Similarity indexes of FiftyOne's brain on fields of vectors."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.brain as fob

from detail_embed.fiftyone_bridge.index import large, names, provenance
from detail_embed.fiftyone_bridge.index.external_store import fill
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import patch_detections
from detail_embed.fiftyone_bridge.samples.private_names import (
    forget_results,
    has_results,
    similarity_backend,
)

_OWN = "sklearn"  # FiftyOne's own backend, which reads the field of vectors
_HINT = "If you think this error is inaccurate"  # of FiftyOne, about its settings


def check_backend(index: Index | None, backend: str | None) -> None:
    """Checks that a backend exists and can be used, and an index has no other.

    Args:
        index: the index, None if there will be a new one
        backend: the backend asked for, None for any

    Raises:
        ValueError: otherwise
    """
    backends = fob.brain_config.similarity_backends
    if backend is not None and backend not in backends:
        raise ValueError(
            f"unknown similarity backend {backend!r}; choose one of {sorted(backends)}"
        )
    existing = index.config.method if index and index.has_brain_run else None
    _check_packages(existing or backend)
    if None not in (backend, existing) and existing != backend:
        raise ValueError(
            f"the index {index.key!r} is kept by the backend {existing!r}, not "
            f"{backend!r}; choose {existing!r}, another brain key, or start over with "
            "overwrite=True"
        )


def _check_packages(backend: str | None) -> None:
    """Checks that the packages that a backend needs are installed."""
    try:
        similarity_backend(backend).ensure_requirements()
    except ImportError as error:
        name = backend or fob.brain_config.default_similarity_backend
        raise ValueError(
            f"the similarity backend {name!r} needs a package that is not here. "
            f"{str(error).partition(_HINT)[0].strip()} Install it with pip, or choose "
            "another backend"
        ) from error


def build(
    index: Index,
    field: str,
    model: str,
    backend: str | None,
    attribute: str | None = None,
) -> None:
    """Makes the brain run of a field, or adds to it the vectors that it lacks.

    FiftyOne's default backend reads the field itself. Others have a store of their
    own, which is filled in chunks: no more than 10,000 vectors are in memory.

    Args:
        index: what the run is of
        field: the field of vectors, or of labels
        model: name of the zoo model that encodes queries
        backend: a similarity backend, None for the default; a run that exists keeps
            the one it has
        attribute (None): of the labels, where their vectors are; None for a field of
            vectors
    """
    dataset, images, results = index.dataset, index.images(), None
    if large.is_large(index) and similarity_backend(backend).config.method == _OWN:
        _build_unread(index, field, model, backend, attribute)
        return
    if index.has_brain_run:
        results = dataset.load_brain_results(index.key)
        if results is None:  # cut short while it was made
            dataset.delete_brain_run(index.key)
    if results is not None and (results.is_external or index.is_of_frames):
        forget_results(dataset, index.key)  # its view of the store may be an old one
        results = dataset.load_brain_results(index.key)
    elif results is not None:
        results.reload()
    else:
        results = fob.compute_similarity(
            images if index.is_of_frames else dataset,
            patches_field=field if attribute else None,
            embeddings=False,
            embeddings_field=attribute or field,
            model=model,
            brain_key=index.key,
            backend=backend,
        )
    if results.is_external:
        images = images.exists(field)
        foreign = provenance.foreign_ids(index)
        images = images.exclude(foreign) if foreign else images
        fill(results, images, field, attribute)


def _build_unread(
    index: Index, field: str, model: str, backend: str | None, attribute: str | None
) -> None:
    """Makes the run of a large index, unless it is there.

    FiftyOne would read all vectors for it. So it is made of none, then it is told
    where they are; only FiftyOne's own search reads them.
    """
    if index.has_brain_run:
        if has_results(index.dataset, index.key):
            return
        index.dataset.delete_brain_run(index.key)  # cut short while it was made
    results = fob.compute_similarity(
        index.images() if index.is_of_frames else index.dataset,
        patches_field=field if attribute else None,
        embeddings=False,
        model=model,
        brain_key=index.key,
        backend=backend,
    )
    results.config.embeddings_field = attribute or field
    results.save_config()
    results.save()
    forget_results(index.dataset, index.key)


def build_all(index: Index, backend: str | None, also_global: bool) -> None:
    """Makes, or adds to, the brain runs of an index of ours and of those beside it.

    Args:
        index: the index, with a record
        backend: as of :func:`build`
        also_global: whether the whole-image vectors are indexed, too
    """
    record, whole, boxes = index.record, index.whole, index.boxes
    few = patch_detections.VECTOR if record.vectors > 1 else None
    build(index, index.field, record.text_space(record.space), backend, few)
    if index.owns_single:
        single = record.text_space(record.single_space)
        build(index.single, index.vector_field, single, backend)
    if also_global:
        build(whole, whole.vector_field, record.global_space, backend)
    if index.owns_boxes:  # each is a whole image to the backbone
        vector = names.box_vector(index.key)
        space = record.text_space(record.global_space)
        build(boxes, record.box_field, space, backend, vector)


def promptable(dataset: fo.Dataset) -> list[str]:
    """The brain keys that can be searched by text."""
    return dataset.list_brain_runs(type=fob.Similarity, supports_prompts=True)


def similarities(dataset: fo.Dataset) -> list[str]:
    """The brain keys of similarity indexes, searchable by text or not."""
    return dataset.list_brain_runs(type=fob.Similarity)


def check_promptable(index: Index) -> None:
    """Checks that an index can be searched by text.

    Raises:
        ValueError: saying which can
    """
    known = promptable(index.dataset)
    choice = f"choose one of {known}" if known else "compute an index first"
    if not index.has_brain_run:
        raise ValueError(f"unknown brain key {index.key!r}; {choice}")
    if index.key not in known:
        raise ValueError(
            f"brain key {index.key!r} cannot be searched by text: it is no similarity "
            f"index, or has no model for texts; {choice}"
        )


def check_similarity(index: Index) -> None:
    """Checks that there is a similarity index, searchable by text or not.

    Raises:
        ValueError: saying which there are
    """
    known = similarities(index.dataset)
    if index.key not in known:
        choice = f"choose one of {known}" if known else "compute an index first"
        raise ValueError(f"{index.key!r} is no similarity index; {choice}")
