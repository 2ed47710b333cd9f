"""Scores every method on CLVER-DS scenes, for the retrieval table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

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
    cover: CompleteCover,
    fusers: Mapping[str, Fuser],
) -> dict[str, np.ndarray]:
    """Scores all images for all queries, by every method.

    Args:
        queries: the images and words
        backbone: the model
        cover: the windows
        fusers: fitted fusers by name

    Returns:
        ``(q, n)`` float32 scores by method: ``"global"`` (the whole image
        alone), each fuser, and ``"MaxSim"`` (the best patch: the ceiling)

    Raises:
        ValueError: if an image cannot be read
    """
    texts = torch.stack([encode_query(backbone, word) for word in queries.words])
    shape = len(queries.words), len(queries.paths)
    scores = {
        name: np.zeros(shape, np.float32) for name in (GLOBAL, *fusers, MAXSIM)
    }
    items = enumerate(queries.paths)
    for image in iter_patch_features(items, backbone, cover):
        if image.reason is not None:
            raise ValueError(f"{image.path}: {image.reason}")
        column, features = image.id, image.features
        texts = texts.to(features)
        scores[GLOBAL][:, column] = (texts @ features[0]).cpu()
        scores[MAXSIM][:, column] = maxsim(texts, features).cpu()
        for name, fuser in fusers.items():
            vector = fuser(features[None])[0]
            scores[name][:, column] = (texts @ vector).cpu()
    return scores


def retrieval_rows(
    queries: Queries, scores: Mapping[str, np.ndarray]
) -> list[Row]:
    """The retrieval table, per bank and word group and by object scale."""
    groups = list(zip(queries.banks, queries.groups))
    return table(scores, queries.target_scale, groups)
