"""Scores every method on CLVER-DS scenes, for the retrieval table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detail_embed.backbone import Backbone
from detail_embed.clver_ds import Queries
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.evaluation import Row, table
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.maxsim import maxsim
from detail_embed.texts.templates import encode_query

GLOBAL, MAXSIM = "global", "MaxSim"


def score_methods(
    queries: Queries,
    backbone: Backbone,
    images: Iterable[Tensor],
    fusers: Mapping[str, Fuser],
) -> dict[str, np.ndarray]:
    """Scores all images for all queries, by every method.

    Args:
        queries: the images and words
        backbone: the model
        images: ``(p, d)`` unit patch features of each, in the order of the queries'
            paths, row 0 the whole image
        fusers: fitted fusers by name; of a few vectors, the best counts

    Returns:
        ``(q, n)`` float32 scores by method: ``"global"`` (the whole image
        alone), each fuser, and ``"MaxSim"`` (the best patch: the ceiling)
    """
    texts = torch.stack([encode_query(backbone, word) for word in queries.words])
    shape = len(queries.words), len(queries.paths)
    scores = {
        name: np.zeros(shape, np.float32) for name in (GLOBAL, *fusers, MAXSIM)
    }
    for column, features in enumerate(images):
        texts = texts.to(features)
        scores[GLOBAL][:, column] = (texts @ features[0]).cpu()
        scores[MAXSIM][:, column] = maxsim(texts, features).cpu()
        for name, fuser in fusers.items():
            vectors = fuser.fuse(features[None]).vectors[0]
            scores[name][:, column] = (texts @ vectors.T).amax(dim=1).cpu()
    return scores


def encode(
    paths: Iterable[Path], backbone: Backbone, cover: CompleteCover
) -> Iterator[Tensor]:
    """Encodes the patches of images.

    Raises:
        ValueError: if an image cannot be read
    """
    for image in iter_patch_features(enumerate(paths), backbone, cover):
        if image.reason is not None:
            raise ValueError(f"{image.path}: {image.reason}")
        yield image.features


def retrieval_rows(
    queries: Queries, scores: Mapping[str, np.ndarray]
) -> list[Row]:
    """The retrieval table, per bank and word group and by object scale."""
    groups = list(zip(queries.banks, queries.groups))
    return table(scores, queries.target_scale, groups)
