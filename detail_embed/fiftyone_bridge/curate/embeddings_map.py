"""A map of an index's vectors, for FiftyOne's panel "Embeddings"."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from importlib.util import find_spec

import fiftyone.brain as fob
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.curate.brain_tools import (
    check_images_of_index,
    read_vectors,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run

METHODS = ("umap", "tsne", "pca")
_FEWEST = {"umap": 17, "tsne": 32, "pca": 2}  # by their numbers of neighbours
_SEED = 51


@dataclass(frozen=True)
class EmbeddingsMap:
    """A map that was made.

    Attributes:
        brain_key: of the map
        method: ``"umap"``, ``"tsne"`` or ``"pca"``
        notice: why it is not the usual method; empty otherwise
        images: that are on it
        without: images that have no vector
    """

    brain_key: str
    method: str
    notice: str
    images: int
    without: int


def map_embeddings(
    index: Index,
    samples: foc.SampleCollection,
    method: str | None = None,
    overwrite: bool = False,
) -> Run:
    """Lays the vectors out in a plane, by ``fob.compute_visualization``.

    The map goes to the brain key ``<brain_key>_map``.

    Args:
        index: a similarity index
        samples: a dataset or view of images
        method (None): ``"umap"``, ``"tsne"`` or ``"pca"``; by default UMAP, and PCA
            where umap-learn is not installed or there are too few images
        overwrite (False): whether to replace the map that there is

    Returns:
        a :class:`.runs.run.Run`, whose result is an :class:`EmbeddingsMap`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    check_map(index, samples, method, overwrite)
    return Run(_map(index, samples, method))


def map_key(brain_key: str) -> str:
    """Brain key of the map of an index."""
    return f"{brain_key}_map"


def check_map(
    index: Index,
    samples: foc.SampleCollection,
    method: str | None = None,
    overwrite: bool = False,
) -> None:
    """Checks what can be checked; see :func:`map_embeddings`."""
    check_images_of_index(index, samples)
    if method is not None and method not in METHODS:
        raise ValueError(f"method={method!r}: give one of {', '.join(METHODS)}")
    if method == "umap" and not _has_umap():
        raise ValueError("umap-learn is not installed: install it, or choose 'pca'")
    dataset, key = index.dataset, map_key(index.key)
    if key not in dataset.list_brain_runs():
        return
    if key not in dataset.list_brain_runs(type=fob.Visualization):
        raise ValueError(f"the brain key {key!r} is of something else; rename that run")
    if not overwrite:
        raise ValueError(
            f"the map {key!r} exists: open the panel 'Embeddings', or pass "
            "overwrite=True"
        )


def _map(
    index: Index, samples: foc.SampleCollection, method: str | None
) -> Generator[Progress, None, EmbeddingsMap]:
    yield Progress("Reading the vectors", 0.0)
    images, matrix, without = read_vectors(index, samples, _FEWEST[method or "pca"])
    notice = ""
    if method is None:
        method, notice = _choose(len(matrix))
    yield Progress(f"Mapping {len(matrix)} images by {method.upper()}", 0.2)
    dataset, key = index.dataset, map_key(index.key)
    if key in dataset.list_brain_runs():
        dataset.delete_brain_run(key)
    fob.compute_visualization(
        images, embeddings=matrix, method=method, brain_key=key, seed=_SEED,
        verbose=False,
    )
    return EmbeddingsMap(key, method, notice, len(matrix), without)


def _choose(images: int) -> tuple[str, str]:
    """A method of layout, and why it is not UMAP."""
    if not _has_umap():
        return "pca", "umap-learn is not installed, so this is a PCA"
    if images < _FEWEST["umap"]:
        return "pca", f"{images} images are too few for UMAP, so this is a PCA"
    return "umap", ""


def _has_umap() -> bool:
    return find_spec("umap") is not None
