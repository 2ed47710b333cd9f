"""Finished chunks of vectors in a folder: what is finished stays finished."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

logger = logging.getLogger(__name__)


class ChunkStore:
    """Vectors by name, one safetensors file a chunk.

    Args:
        directory: created where missing
        slug: the embedding space the vectors belong to

    Raises:
        ValueError: if the folder holds vectors of another space
    """

    def __init__(self, directory: str | Path, slug: str):
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

    def load(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Reads all whole chunks; a damaged one is removed, to be redone.

        Returns:
            detail vector and global vector by name
        """
        found = {}
        for file in sorted(self._directory.glob("chunk_*.safetensors")):
            try:
                with safe_open(file, "numpy") as chunk:
                    names = json.loads(chunk.metadata()["names"])
                    rows = (chunk.get_tensor(k) for k in ("vectors", "global"))
                    found.update(zip(names, zip(*rows)))
            except (SafetensorError, KeyError, TypeError, ValueError) as error:
                logger.warning("%s is damaged and done again: %s", file, error)
                file.unlink()
        return found

    def add(
        self, names: Sequence[str], vectors: np.ndarray, whole: np.ndarray
    ) -> None:
        """Writes a chunk, whole or not at all."""
        file = self._directory / f"chunk_{uuid.uuid4().hex}.safetensors"
        partial = file.with_suffix(".part")
        save_file({"vectors": vectors, "global": whole}, partial,
                  metadata={"names": json.dumps(list(names))})
        partial.replace(file)
