"""Patches of real scenes, and more of them by resampling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _league.data import Scenes, SceneSet, make
from torch.nn import functional as F

from detail_embed.backbone import Backbone
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS
from detail_embed.cover import CompleteCover
from detail_embed.features import FeatureStore

NOISE = 0.3  # length of the noise that is added to a patch of length 1
_SHARD, _BLOCK = 500, 50


@dataclass(frozen=True)
class Patches:
    """The patches of many images, and what is asked of them.

    Attributes:
        store: features
        texts: ``(q, d)`` float32, unit features of held-out words
        relevance: ``(q, n)`` bool, the images with the thing; None without labels
        best: ``(q, n)`` float32, the exact MaxSim scores
    """

    store: FeatureStore
    texts: np.ndarray
    relevance: np.ndarray | None
    best: np.ndarray


def real(home: Path, n: int) -> Patches:
    """Encodes ``n`` scenes of things that no fuser and no backbone was tuned on."""
    wanted = SceneSet(
        f"patch-search-{n}", n, 408, {"backgrounds": UNSEEN_KINDS, "bank": "things"}
    )
    scenes = make(home, wanted, Backbone.load("detail-demo"), CompleteCover(10))
    held_out = _held_out(scenes)
    texts = scenes.texts.numpy()[held_out]
    columns = [scenes.ids.index(id) for id in scenes.store.ids]
    present = scenes.queries.target_scale[held_out][:, columns] > 0
    return Patches(scenes.store, texts, present, exact(scenes.store, texts))


def more(home: Path, few: Patches, n: int) -> Patches:
    """Makes ``n`` images of the patches of few.

    Every window of an image gets that window's patch of an image drawn at random,
    and noise, so that no two images share a patch. What windows of one image have in
    common is lost.
    """
    slug = f"{few.store.slug}-resampled"
    store = FeatureStore(
        home / "features" / f"resampled-{n}" / slug, slug, few.store.dim
    )
    images = [few.store[id] for id in few.store]
    rows = torch.stack([image.features for image in images])
    windows = torch.arange(rows.shape[1])
    for start in range(len(store), n, _SHARD):
        size = min(_SHARD, n - start)
        random = torch.Generator().manual_seed(start)
        features: list[torch.Tensor] = []
        while len(features) < size:
            drawn = torch.randint(len(rows), (_BLOCK, len(windows)), generator=random)
            found = rows[drawn, windows]
            noise = torch.randn(found.shape, generator=random)
            found += NOISE / store.dim**0.5 * noise
            features.extend(F.normalize(found, dim=2).half())
        places = [images[0].boxes] * size, [images[0].levels] * size
        names = [f"{i:06}" for i in range(start, start + size)]
        store.add(names, features[:size], *places)
    return Patches(store, few.texts, None, exact(store, few.texts))


def exact(store: FeatureStore, texts: np.ndarray) -> np.ndarray:
    """MaxSim of all texts and all images, ``(q, n)``."""
    queries = torch.from_numpy(texts).T.contiguous()
    scores = [(store.features(id) @ queries).amax(dim=0) for id in store]
    return torch.stack(scores, dim=1).numpy()


def _held_out(scenes: Scenes) -> np.ndarray:
    """Rows of the held-out words of which there is an image."""
    groups = np.array(scenes.queries.groups)
    present = (scenes.queries.target_scale > 0).any(axis=1)
    return np.flatnonzero((groups == "held-out") & present)
