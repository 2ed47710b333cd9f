"""Whether vectors of a file are of the space that the file names."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from detail_embed.fiftyone_bridge.exchange.vector_files import ImageVectors, VectorFiles
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.images.in_time import quick
from detail_embed.space.embed_files import embed_files
from detail_embed.space.embedding_space import EmbeddingSpace

logger = logging.getLogger(__name__)

_TRIES = 3  # images that are encoded: a file may have changed since
_SAME = 0.99  # cosine; what precision and processor change is far less


def check_space(
    files: VectorFiles, folder: Path, device: str
) -> Generator[Progress, None, EmbeddingSpace]:
    """Encodes an image of the files anew, and compares; where none is here, it says so.

    Args:
        files: the vectors
        folder: of the space that the files name
        device: where the backbone runs

    Returns:
        the space

    Raises:
        ValueError: if the space has another name or dimension, or up to three images
            have other vectors in it
    """
    space = EmbeddingSpace.load(folder, device)
    if space.slug != files.slug:
        raise ValueError(
            f"{folder} holds the space {space.slug}, the vectors are of {files.slug}"
        )
    if space.dim != files.dim:
        raise ValueError(
            f"the files say that their vectors are of the space {space.slug}, which "
            f"has {space.dim} dimensions, but they have {files.dim}: they are of "
            "another space"
        )
    yield Progress("Comparing with images that are encoded anew", 0.0)
    found = {}
    for image in islice(_readable(files), _TRIES):
        result = embed_files(space, [image.path])
        if result.errors:
            continue
        found[image.path] = _likeness(result.vectors[0], image.vectors)
        if found[image.path] >= _SAME:
            return space
    if found:
        path, cosine = max(found.items(), key=lambda item: item[1])
        raise ValueError(
            f"the vectors are not of the space {space.slug} that the files name: "
            f"encoded anew, {path} has a vector with a cosine of {cosine:.2f} to the "
            "one in the file. If the images have changed since, embed them again"
        )
    logger.warning(
        "No image of the %d vectors is on this machine: that they are of the space %s "
        "could not be checked", files.num_rows, space.slug,
    )
    return space


def _readable(files: VectorFiles) -> Iterator[ImageVectors]:
    """The images of a file that have vectors, and can be encoded here."""
    for images, _ in files.batches():
        have = [image for image in images if image.vectors is not None]
        there = quick(os.path.isfile, (image.path for image in have), str)
        yield from (image for image, is_there in zip(have, there) if is_there)


def _likeness(encoded: np.ndarray, vectors: np.ndarray) -> float:
    """The cosine of the most different vector to the nearest that was encoded."""
    encoded = encoded.reshape(-1, vectors.shape[1])
    return float((vectors @ encoded.T).max(axis=1).min())
