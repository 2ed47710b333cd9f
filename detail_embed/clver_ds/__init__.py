"""CLVER-DS: CLEVR-like scenes with controllable object scale."""

from detail_embed.clver_ds.annotations import Queries, read_queries
from detail_embed.clver_ds.concepts import BANKS, Concept, concepts
from detail_embed.clver_ds.dataset import IMAGES, generate, generate_in_steps
from detail_embed.clver_ds.filming import VideoConfig
from detail_embed.clver_ds.folders import ANNOTATIONS
from detail_embed.clver_ds.scenes import SCALES, Scene, SceneConfig, make_scene
from detail_embed.clver_ds.sprites import Jitter
from detail_embed.clver_ds.videos import (
    VIDEOS,
    generate_videos,
    generate_videos_in_steps,
)

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
    "VIDEOS",
    "VideoConfig",
    "concepts",
    "generate",
    "generate_in_steps",
    "generate_videos",
    "generate_videos_in_steps",
    "make_scene",
    "read_queries",
]
