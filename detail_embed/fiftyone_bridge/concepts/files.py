"""Concepts in a file: vectors as safetensors, with what they were taught by as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import fiftyone as fo
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from detail_embed.fiftyone_bridge.concepts import kept
from detail_embed.fiftyone_bridge.concepts.concept import Concept
from detail_embed.storage.whole_files import write_whole

_FACTS = "detail_embed_concepts"


def export_concepts(
    dataset: fo.Dataset,
    path: str | Path,
    names: str | Sequence[str] | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Writes concepts to a file.

    Args:
        dataset: that has them
        path: of the file; ``~`` is the home directory
        names (None): the concepts; None for all
        overwrite (False): whether a file that is there is replaced

    Returns:
        their names

    Raises:
        ValueError: if there is no such concept, or the path cannot be used
    """
    path = _path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"{path} cannot be a file: give one in a folder that exists")
    if path.exists() and not overwrite:
        raise ValueError(
            f"{path} exists: choose another path, or overwrite=True"
        )
    names = kept.names(dataset) if names is None else names
    names = [names] if isinstance(names, str) else names
    chosen = [kept.read(dataset, name) for name in names]
    if not chosen:
        raise ValueError(
            f"there is no concept to export: name one of {kept.names(dataset)}, or "
            "teach one"
        )
    facts = json.dumps([concept.facts() for concept in chosen], ensure_ascii=False)
    tensors = {str(i): concept.vector for i, concept in enumerate(chosen)}
    write_whole(path, save(tensors, {_FACTS: facts}))
    return [concept.name for concept in chosen]


def import_concepts(
    dataset: fo.Dataset, path: str | Path, overwrite: bool = False
) -> list[str]:
    """Keeps the concepts of a file in a dataset: all of them, or none.

    Args:
        dataset: any; the concepts work on its indexes of their backbone
        path: of the file
        overwrite (False): whether concepts of the same names are replaced

    Returns:
        their names

    Raises:
        ValueError: if there is no such file, it holds no concepts, or a name is taken
    """
    concepts = _read(_path(path))
    if not overwrite:
        for concept in concepts:
            kept.check_free(dataset, concept.name)
    for concept in concepts:
        kept.write(dataset, concept)
    return [concept.name for concept in concepts]


def _read(path: Path) -> list[Concept]:
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the file of an export in it")
    try:
        with safe_open(path, "np") as file:
            facts = json.loads((file.metadata() or {})[_FACTS])
            vectors = [file.get_tensor(str(i)) for i in range(len(facts))]
        return [
            Concept.from_facts(one, np.asarray(vector))
            for one, vector in zip(facts, vectors)
        ]
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}: give that of an export") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} holds no concepts, or is damaged ({error}): give a file that "
            "export_concepts() wrote"
        ) from error


def _path(path: str | Path) -> Path:
    if not isinstance(path, (str, Path)) or not str(path).strip():
        raise ValueError(f"path={path!r}: give the path of a file")
    return Path(path).expanduser()
