"""CLVER-DS: CLEVR-like scenes with controllable object scale."""

from detail_embed.clver_ds.annotations import Queries, read_queries
from detail_embed.clver_ds.concepts import BANKS, Concept, concepts
from detail_embed.clver_ds.dataset import (
    ANNOTATIONS,
    IMAGES,
    generate,
    generate_in_steps,
)
from detail_embed.clver_ds.scenes import SCALES, Scene, SceneConfig, make_scene
from detail_embed.clver_ds.sprites import Jitter

__all__ = [
    "ANNOTATIONS",
    "BANKS",
    "Concept",
    "IMAGES",
    "Jitter",
    "Queries",
    "SCALES",
    "Scene",
    "SceneConfig",
    "concepts",
    "generate",
    "generate_in_steps",
    "make_scene",
    "read_queries",
]
