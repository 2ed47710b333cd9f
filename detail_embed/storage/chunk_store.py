"""Finished chunks of vectors in a folder: what is finished stays finished."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from detail_embed.storage.whole_files import whole_file, write_whole

_LABEL = "chunks.json"
_OLD_LABEL = "space.json"  # of version 0.1; an embedding space has one as well

logger = logging.getLogger(__name__)


class ChunkStore:
    """Vectors by name, one safetensors file a chunk.

    Any number of processes may write at once: each adds files of its own.

    Args:
        directory: created where missing
        slug: the embedding space the vectors belong to
        kinds (("vectors", "global")): the vectors that every name has

    Raises:
        ValueError: if the folder holds vectors of another space, or an embedding space
    """

    def __init__(
        self, directory: str | Path, slug: str,
        kinds: tuple[str, ...] = ("vectors", "global"),
    ):
        self._kinds = kinds
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        held = _slug(self._directory)
        if held is None:
            write_whole(self._directory / _LABEL, json.dumps({"slug": slug}))
        elif held != slug:
            raise ValueError(
                f"{directory} holds vectors of the space {held}, not of {slug}: give "
                "another folder"
            )

    def load(
        self, wanted: Set[str] | None = None
    ) -> dict[str, tuple[np.ndarray, ...]]:
        """Reads all whole chunks; a damaged one is removed, to be redone.

        Args:
            wanted (None): chunks that hold none of these names are not read

        Returns:
            the vectors of each name, in the order of ``kinds``
        """
        found = {}
        for file in sorted(self._directory.glob("chunk_*.safetensors")):
            try:
                with safe_open(file, "numpy") as chunk:
                    names = json.loads(chunk.metadata()["names"])
                    if wanted is not None and wanted.isdisjoint(names):
                        continue
                    rows = (chunk.get_tensor(kind) for kind in self._kinds)
                    found.update(zip(names, zip(*rows)))
            except (SafetensorError, KeyError, TypeError, ValueError) as error:
                logger.warning("%s is damaged and done again: %s", file, error)
                file.unlink(missing_ok=True)
        return found

    def add(self, names: Sequence[str], *vectors: np.ndarray) -> None:
        """Writes a chunk, whole or not at all: ``(n, d)`` vectors of each kind."""
        file = self._directory / f"chunk_{uuid.uuid4().hex}.safetensors"
        with whole_file(file) as partial:
            save_file(dict(zip(self._kinds, vectors)), partial,
                      metadata={"names": json.dumps(list(names))})


def find_label(directory: Path) -> Path | None:
    """The file that makes a folder a chunk store; None where it is none."""
    path, old = directory / _LABEL, directory / _OLD_LABEL
    if path.is_file():
        return path
    return old if old.is_file() and set(_load(old)) == {"slug"} else None


def _slug(directory: Path) -> str | None:
    """The space that the chunks of a folder belong to; None of a new folder."""
    path = find_label(directory)
    if path is None:
        if (directory / _OLD_LABEL).exists():
            raise ValueError(
                f"{directory} holds an embedding space, so finished vectors cannot go "
                "there: give another folder"
            )
        return None
    found = _load(path)
    if "slug" not in found:
        raise ValueError(f"{path} is damaged: give another folder")
    return found["slug"]


def _load(path: Path) -> dict[str, Any]:
    """What a file of JSON says; nothing where it is damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
