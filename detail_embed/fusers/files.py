"""A fuser on disk: its options as JSON, its state as safetensors, a hash of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

TENSORS = "fuser.safetensors"
_CONFIG = "fuser.json"


def digest(identity: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """12 hex characters that name a fuser: kind, options, every bit of state."""
    found = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for key, tensor in sorted(tensors.items()):
        found.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()[:12]


def write(
    directory: Path, identity: Mapping[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Writes kind, options and state of a fuser to a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file(tensors, directory / TENSORS)
    config = {**identity, "hash": digest(identity, tensors)}
    (directory / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def read_config(directory: Path) -> dict[str, Any]:
    """Reads the identity that :func:`write` wrote, and its hash.

    Raises:
        FileNotFoundError: if the directory holds nothing of the kind
        ValueError: if the file is damaged
    """
    for part in (_CONFIG, TENSORS):
        if not (directory / part).is_file():
            raise FileNotFoundError(f"no fuser in {directory}: {part} is missing")
    try:
        return json.loads((directory / _CONFIG).read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise no_fuser(directory, error) from error


def read_tensors(directory: Path) -> dict[str, Tensor]:
    """Reads the state that :func:`write` wrote.

    Raises:
        ValueError: if the file is damaged
    """
    try:
        return load_file(directory / TENSORS)
    except SafetensorError as error:
        raise ValueError(f"{directory / TENSORS} is damaged: {error}") from error


def no_fuser(directory: Path, error: Exception) -> ValueError:
    """The error for a folder whose JSON describes no fuser."""
    return ValueError(f"{directory / _CONFIG} does not describe a fuser: {error!r}")
