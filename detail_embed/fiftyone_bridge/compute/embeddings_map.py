"""A map of an index's vectors, for FiftyOne's panel "Embeddings"."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import fiftyone.brain as fob
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import numpy as np

from detail_embed.fiftyone_bridge.index.image_vectors import (
    Items,
    check_images_of_index,
    read_items,
)
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.names import map_key
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.private_names import label_path

PLAIN = "pca"  # takes no time and has no choices
METHODS = ("umap", "tsne", PLAIN)
_MOST = 100_000  # images of a map that nobody asked for: their vectors are in memory
_FEWEST = {"umap": 17, "tsne": 32, "pca": 2}  # by their numbers of neighbours
_SEED = 51


@dataclass(frozen=True)
class EmbeddingsMap:
    """A map that was made.

    Attributes:
        brain_key: of the map
        method: ``"umap"``, ``"tsne"`` or ``"pca"``
        notice: why it is not the usual method; empty otherwise
        images: that are on it; or boxes
        without: images that have no vector; or boxes
        noun: ``"images"`` or ``"boxes"``
    """

    brain_key: str
    method: str
    notice: str
    images: int
    without: int
    noun: str = "images"


def map_embeddings(
    index: Index,
    samples: foc.SampleCollection,
    method: str | None = None,
    overwrite: bool = False,
) -> Run:
    """Lays the vectors out in a plane, by ``fob.compute_visualization``.

    The map goes to the brain key ``<brain_key>_map``; a PCA that is there, such as the
    one that was made with the index, is replaced.

    Args:
        index: a similarity index
        samples: a dataset or view of images
        method (None): ``"umap"``, ``"tsne"`` or ``"pca"``; by default UMAP, and PCA
            where umap-learn is not installed or there are too few images
        overwrite (False): whether to replace another map that there is

    Returns:
        a :class:`.runs.run.Run`, whose result is an :class:`EmbeddingsMap`

    Raises:
        ValueError: if an argument cannot be used; the message says what to do
    """
    check_map(index, samples, method, overwrite)
    return Run(_map(index, index.images_of(samples), method))


def keep_map(index: Index) -> None:
    """Makes the PCA of an index, or makes it anew: there is a map from the start.

    A map by another method stays as it is, and so does whatever else has its brain key.
    Where there are too few images, or too many for the memory, there is none.
    """
    images = index.images().exists(index.field)
    if is_of_choice(index):
        return
    if _FEWEST[PLAIN] <= len(images) <= _MOST:
        Run(_map(index, images, PLAIN)).finish()


def is_of_choice(index: Index) -> bool:
    """Whether there is a map that is more than the PCA of the index."""
    dataset, key = index.dataset, map_key(index.key)
    held = key in dataset.list_brain_runs()
    return held and dataset.get_brain_info(key).config.method != PLAIN


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
    if not overwrite and is_of_choice(index):
        raise ValueError(
            f"the map {key!r} exists: open the panel 'Embeddings', or pass "
            "overwrite=True"
        )


def _map(
    index: Index, samples: foc.SampleCollection, method: str | None
) -> Generator[Progress, None, EmbeddingsMap]:
    yield Progress("Reading the vectors", 0.0)
    items = read_items(index, samples, _FEWEST[method or "pca"])
    count, notice = len(items.ids), ""
    if method is None:
        method, notice = _choose(count, items.noun)
    yield Progress(f"Mapping {count} {items.noun} by {method.upper()}", 0.2)
    dataset, key = index.dataset, map_key(index.key)
    if key in dataset.list_brain_runs():
        dataset.delete_brain_run(key)
    mapped, vectors = items.samples, items.matrix
    if items.field is not None:
        mapped, vectors = _by_image(items)
    with _quiet():
        fob.compute_visualization(
            mapped, patches_field=items.field, embeddings=vectors, method=method,
            brain_key=key, seed=_SEED, verbose=False,
        )
    return EmbeddingsMap(key, method, notice, count, items.without, items.noun)


def _by_image(items: Items) -> tuple[fov.DatasetView, dict[str, np.ndarray]]:
    """Boxes as FiftyOne wants them: a matrix for each image, in their order."""
    images = items.samples.select(list(dict.fromkeys(items.sample_ids)))
    view = images.select_labels(ids=items.ids, fields=items.field)
    rows = {id: row for row, id in enumerate(items.ids)}
    path = label_path(view, items.field, "id")
    places = zip(*view.values(["id", path]))
    return view, {id: items.matrix[[rows[i] for i in _list(ids)]] for id, ids in places}


def _list(ids: str | list[str]) -> list[str]:
    return [ids] if isinstance(ids, str) else ids


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what FiftyOne says of each step off the terminal of a run of ours."""
    brain = logging.getLogger(fob.__name__)
    level = brain.level
    brain.setLevel(logging.WARNING)
    try:
        yield
    finally:
        brain.setLevel(level)


def _choose(count: int, noun: str) -> tuple[str, str]:
    """A method of layout, and why it is not UMAP."""
    if not _has_umap():
        return "pca", "umap-learn is not installed, so this is a PCA"
    if count < _FEWEST["umap"]:
        return "pca", f"{count} {noun} are too few for UMAP, so this is a PCA"
    return "umap", ""


def _has_umap() -> bool:
    return find_spec("umap") is not None
