"""What embeds parts of a list of files, in one process on one device."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from detail_embed.distributed.input_lists import InputRow
from detail_embed.distributed.parts import PartFolder
from detail_embed.engine.chunk import Chunk
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.engine.stream import stream
from detail_embed.features import FeatureStore
from detail_embed.images.cpus import decoding_threads
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.storage.vector_parquet import (
    FEATURES,
    PLACE,
    SOURCE,
    SPACE,
    VECTOR,
    WHOLE,
    schema,
)

_COLUMNS = ("id", "filepath", VECTOR, WHOLE, "error", *SOURCE)


class PartWorker:
    """Embeds parts of a :class:`.parts.PartFolder`.

    Call it with the numbers of parts: each is written when it is whole. One that is
    there already is left as it is.

    Args:
        directory: the folder, or its address
        options (DEFAULT): how files are encoded, and where

    Raises:
        ValueError: if the folder holds no plan, or the backbone's weights are not
            those of its space
    """

    def __init__(self, directory: str | Path, options: EncodeOptions = DEFAULT):
        self._folder = PartFolder(directory)
        with self._folder.place.folder(SPACE) as space:
            self._space = EmbeddingSpace.load(space, options.device)
        self._options = options
        self._store = None
        if self._folder.keeps_features:
            self._store = FeatureStore(
                self._folder.directory / FEATURES, self._space.patch_slug,
                self._space.dim,
            )

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Embeds parts, as ``map_batches`` of Ray Data wants it.

        Args:
            batch: the numbers of the parts under ``part``

        Returns:
            the same
        """
        for part in map(int, batch["part"]):
            if not self._folder.is_done(part):  # else: died after writing it
                self._embed(part)
        return batch

    def _embed(self, part: int) -> None:
        rows = self._folder.read_input(part)
        found, errors = self._vectors(rows)
        backbone = self._space.backbone
        engine = backbone.way.engine if backbone.way else backbone.device.type
        facts = self._folder.facts(part) | {
            "worker": f"{socket.gethostname()}:{os.getpid()}",
            "encoder": f"{engine} {backbone.precision}",
        }
        few = self._space.fuser.makes_few
        names = (*_COLUMNS, *PLACE) if few else _COLUMNS
        layout = schema(names, self._space.dim, facts)
        columns = _columns(names, rows, found, errors)
        self._folder.write(part, pa.table(columns, schema=layout))

    def _vectors(
        self, rows: list[InputRow]
    ) -> tuple[dict[str, list[dict]], dict[str, str]]:
        """The vectors of the files that can be read, and what is wrong with others."""
        found, errors = {}, {}
        items = {_name(row): row[1] for row in rows}
        chunks = stream(
            items.items(), self._space.backbone, self._space.cover, self._space.fuser,
            self._options, store=self._store,
        )
        with closing(chunks):
            for chunk in chunks:
                found.update(zip(chunk.ids, _entries(chunk)))
                errors.update((error.id, error.reason) for error in chunk.errors)
        return found, errors


def share_of_decoders(nodes: Sequence[Mapping[str, Any]], gpus: float) -> int | None:
    """Decoding threads of a worker: its share of the CPUs beside its GPUs.

    Without GPUs, or where the cluster has none, it is None: Ray gives such a worker one
    thread of torch, and as many decode there.

    Args:
        nodes: the machines, as ``ray.nodes()`` describes them
        gpus: of a worker
    """
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    shares = [
        machine.get("CPU", 0) / machine["GPU"]
        for machine in machines if machine.get("GPU")
    ]
    if not gpus or not shares:
        return None
    return decoding_threads(int(min(shares) * gpus), math.ceil(gpus))


def _columns(
    names: Sequence[str],
    rows: list[InputRow],
    found: dict[str, list[dict]],
    errors: dict[str, str],
) -> dict[str, list[Any]]:
    """The columns of a part; an image without a vector has one row, too."""
    entries = [
        {"id": row[0], "filepath": row[1], "error": errors.get(_name(row))} | vector
        for row in rows
        for vector in found.get(_name(row), [{}])
    ]
    return {name: [entry.get(name) for entry in entries] for name in names}


def _name(row: InputRow) -> str:
    """What a row goes by: its id, or its path."""
    id, path = row
    return path if id is None else id


def _entries(chunk: Chunk) -> Iterator[list[dict[str, Any]]]:
    """The columns of each vector of each image of a chunk."""
    files = [asdict(source) for source in chunk.sources]
    if not chunk.patches:
        for vector, whole, file in zip(chunk.vectors, chunk.global_vectors, files):
            yield [{VECTOR: vector, WHOLE: whole} | file]
        return
    for image, whole, file in zip(chunk.patches, chunk.global_vectors, files):
        yield [
            {VECTOR: vector, WHOLE: whole, "box": box, "level": int(level)} | file
            for vector, box, level in zip(image.vectors, image.boxes, image.levels)
        ]
