"""Names of concepts as vectors that an index can be searched by."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from detail_embed.fiftyone_bridge.concepts import kept
from detail_embed.fiftyone_bridge.concepts.concept import Concept
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.space.space_file import read_config


def vectors(index: Index, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The vectors of concepts, to search an index by; nothing is read for no name.

    Raises:
        ValueError: naming a concept that the dataset does not have, or that was taught
            with another backbone
    """
    names = list(names)
    if not names:
        return {}
    known, found = kept.read_all(index.dataset), {}
    for name in names:
        if name not in known:
            raise kept.unknown(index.dataset, name, known)
        check_fits(index, known[name])
        found[name] = known[name].vector
    return found


def check_fits(index: Index, concept: Concept) -> None:
    """Checks that a concept is of the backbone of an index.

    Raises:
        ValueError: naming both
    """
    if fits(index, concept):
        return
    others = [
        other for other in brain_runs.promptable(index.dataset)
        if fits(Index(index.dataset, other), concept)
    ]
    choice = f"choose one of the indexes {others}" if others else (
        f"compute an index with {concept.backbone}"
    )
    raise ValueError(
        f"the concept {concept.name!r} was taught with {concept.backbone}, but the "
        f"index {index.key!r} is of {space_of(index)}, so they cannot be compared: "
        f"{choice}, or teach it again by {index.key!r}"
    )


def fits(index: Index, concept: Concept) -> bool:
    """Whether a concept can be compared with the vectors of an index."""
    return f"{space_of(index)}-".startswith(f"{concept.backbone}-")


def space_of(index: Index) -> str:
    """What the vectors of an index are of: our space, or another's model."""
    record, _ = index.find()
    if record is not None:
        return record.space
    config = index.config
    options = getattr(config, "model_kwargs", None) or {}
    name = str(config.model)
    return f"{name} {json.dumps(options, sort_keys=True)}" if options else name


def backbone_of(index: Index) -> str:
    """What a concept that is taught by an index belongs to.

    The backbone, its weights included: indexes of other covers and fusers can be
    searched, too. Of an index of another maker, its model.

    Raises:
        ValueError: if the space of the index is not on this machine
    """
    space = space_of(index)
    if index.find()[0] is None:
        return space
    weights = read_config(zoo.space_directory(space))["backbone"]["weights_hash"]
    return space.partition(f"-{weights}-")[0] + f"-{weights}"
