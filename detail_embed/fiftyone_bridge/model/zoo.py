"""Embedding spaces as models of the FiftyOne zoo.

A brain run finds its model by a name that any process can load. The names live in
a zoo source that this module writes below ``fiftyone.config.model_zoo_dir``::

    detail/detail-embed/manifest.json     lists one model per space
    detail/detail-embed/__init__.py       forwards to this package
    detail/detail-embed/<slug>.json       what FiftyOne takes for the weights
    detail/detail-embed/spaces/<slug>/    the space itself
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import fiftyone as fo

from detail_embed.backbone import Backbone
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.storage.whole_files import whole_folder, write_whole

SOURCE = "detail/detail-embed"
SPACES = "spaces"
TAGS = ["embeddings", "text-embeddings", "torch", "clip"]
_SHIM = Path(__file__).with_name("zoo_source.py")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def source_directory() -> Path:
    """The folder of the zoo source; it need not exist."""
    return Path(fo.config.model_zoo_dir).joinpath(*SOURCE.split("/"))


def space_directory(slug: str) -> Path:
    """The folder of a space in the zoo; it need not exist.

    Raises:
        ValueError: if the slug cannot be the name of a zoo model
    """
    if not _NAME.fullmatch(slug):
        raise ValueError(
            f"{slug!r} cannot name a zoo model: only letters, digits, '.', '_' and '-'"
        )
    return source_directory() / SPACES / slug


def is_published(slug: str) -> bool:
    """Whether the zoo of this machine holds the space."""
    return space_directory(slug).is_dir()


def publish(space: EmbeddingSpace) -> str:
    """Makes ``foz.load_zoo_model(space.slug)`` work in every process.

    Idempotent: a space that is there already stays as it is, but for the path of its
    checkpoint file, and the source is written anew only where it differs.

    Args:
        space: a space with a fitted fuser

    Returns:
        the name of the zoo model, the slug of the space
    """
    directory = space_directory(space.slug)
    if not directory.is_dir():
        try:
            with whole_folder(directory) as partial:
                space.save(partial)
        except OSError:
            if not directory.is_dir():  # another process may have been first
                raise
    relocate(space.backbone)
    refresh()
    return space.slug


def load(slug: str, backbone: Backbone) -> EmbeddingSpace:
    """Loads a published space.

    Args:
        slug: the name of the space
        backbone: its backbone

    Raises:
        FileNotFoundError: if the zoo of this machine does not hold it
        ValueError: if the backbone is not the one it was made with
    """
    if not is_published(slug):
        raise FileNotFoundError(
            f"the embedding space {slug!r} is not on this machine: "
            f"{space_directory(slug)} is missing. Copy it from the machine that "
            "computed the index, or start over with overwrite=True"
        )
    space = EmbeddingSpace.load(space_directory(slug), backbone=backbone)
    relocate(backbone)
    return space


def relocate(backbone: Backbone) -> None:
    """Tells all spaces of a checkpoint file where it lies now."""
    if backbone.pretrained is None or not os.path.isabs(backbone.pretrained):
        return
    for path in sorted((source_directory() / SPACES).glob("[!.]*/space.json")):
        config = json.loads(path.read_text("utf-8"))
        wanted = config["backbone"]
        by_path = wanted["pretrained"] and os.path.isabs(wanted["pretrained"])
        if by_path and (wanted["name"], wanted["weights_hash"]) == (
            backbone.name,
            backbone.weights_hash,
        ):
            wanted["pretrained"] = backbone.pretrained
            _write(path, json.dumps(config, indent=1) + "\n")


def refresh() -> None:
    """Writes the zoo source from the spaces that are there."""
    root = source_directory()
    slugs = sorted(p.name for p in (root / SPACES).iterdir() if _NAME.fullmatch(p.name))
    for slug in slugs:
        _write(root / f"{slug}.json", json.dumps({"space": f"{SPACES}/{slug}"}))
    _write(root / "__init__.py", _SHIM.read_text("utf-8"))
    manifest = {"name": SOURCE, "models": [_describe(slug) for slug in slugs]}
    _write(root / "manifest.json", json.dumps(manifest, indent=2))


def _describe(slug: str) -> dict:
    return {
        "base_name": slug,
        "base_filename": f"{slug}.json",
        "description": "Image and text queries in the embedding space of a "
        "detail-embed index",
        "author": "detail-embed",
        "license": "Apache-2.0",
        "tags": TAGS,
        "requirements": {
            "packages": ["torch", "open_clip_torch"],
            "cpu": {"support": True},
            "gpu": {"support": True},
        },
    }


def _write(path: Path, text: str) -> None:
    """Replaces a file as a whole, and only where its text differs."""
    if not path.is_file() or path.read_text("utf-8") != text:
        write_whole(path, text)
