"""Finished chunks of vectors in a folder: what is finished stays finished."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

logger = logging.getLogger(__name__)


class ChunkStore:
    """Vectors by name, one safetensors file a chunk.

    Any number of processes may write at once: each adds files of its own.

    Args:
        directory: created where missing
        slug: the embedding space the vectors belong to
        kinds (("vectors", "global")): the vectors that every name has

    Raises:
        ValueError: if the folder holds vectors of another space
    """

    def __init__(
        self, directory: str | Path, slug: str,
        kinds: tuple[str, ...] = ("vectors", "global"),
    ):
        self._kinds = kinds
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        label = self._directory / "space.json"
        if label.exists():
            held = json.loads(label.read_text("utf-8"))["slug"]
            if held != slug:
                raise ValueError(
                    f"{directory} holds vectors of the space {held}, not of "
                    f"{slug}: give another folder"
                )
        else:
            partial = label.with_suffix(f".{os.getpid()}.part")
            partial.write_text(json.dumps({"slug": slug}), "utf-8")
            partial.replace(label)

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
        partial = file.with_suffix(".part")
        save_file(dict(zip(self._kinds, vectors)), partial,
                  metadata={"names": json.dumps(list(names))})
        partial.replace(file)
