"""CLVER-DS: CLEVR-like scenes with controllable object scale."""

from .annotations import Queries, read_queries
from .concepts import BANKS, Concept, concepts
from .dataset import ANNOTATIONS, IMAGES, generate
from .scenes import SCALES, Scene, SceneConfig, make_scene
from .sprites import Jitter

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
    "make_scene",
    "read_queries",
]
