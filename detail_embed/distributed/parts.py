"""Vectors as numbered Parquet parts in a folder: what many machines write at once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from detail_embed.distributed.input_lists import InputRow, read_rows
from detail_embed.space.space_file import read_config
from detail_embed.storage.places import Folder, Place, Prefix, place_at
from detail_embed.storage.plain_numbers import is_a
from detail_embed.storage.vector_parquet import SPACE, read_facts

PART_ROWS = 1024

_LOOKERS = 16
_RUN = "run.json"
_INPUT = "input.parquet"
_INPUT_SCHEMA = pa.schema([("id", pa.string()), ("filepath", pa.string())])


class PartFolder:
    """A folder of parts, and the plan that says which rows belong to which part.

    It holds::

        run.json            space, input, rows, rows of a part
        input.parquet       the rows, one row group a part
        space/              the embedding space
        part-000000.parquet …
        features/           patch features, where they are kept

    Make one with :meth:`create`, or open one that is there.

    Args:
        directory: the folder, or an address such as ``s3://bucket/parts``

    Attributes:
        place: where its files are
        slug: of the embedding space
        rows: of the input
        part_rows: of a part; the last one may have fewer
        keeps_features: whether patch features are kept

    Raises:
        ValueError: if the folder holds no such plan
    """

    def __init__(self, directory: str | Path):
        self.place = place_at(directory)
        plan = _read_plan(self.place)
        if plan is None:
            raise ValueError(f"{directory} holds no {_RUN}: not a folder of parts")
        self.slug: str = plan["space"]
        self.rows: int = plan["rows"]
        self.part_rows: int = plan["part_rows"]
        self.keeps_features: bool = plan["features"]
        self._input: str = plan["input"]

    @classmethod
    def create(
        cls,
        directory: str | Path,
        files: Sequence[str | Path] | str | Path,
        space: str | Path,
        part_rows: int | None = None,
        keep_features: bool = False,
    ) -> PartFolder:
        """Makes the plan of a folder, or opens one that is the same.

        Args:
            directory: created where missing; a folder, or an address of a store
            files: a list of files, or a Parquet file or a folder of them with the
                column ``uri`` or ``filepath`` and, if wanted, ``id``. Paths, or
                ``file://``, ``s3://``, ``gs://``, ``abfs://``, that all machines can
                read
            space: a folder that ``DetailEmbedder.save()`` wrote, or its address
            part_rows (None): rows of a part; None for those of the folder, or 1024
            keep_features (False): whether patch features are kept

        Raises:
            ValueError: if the files are none, or not to be read; the space is no
                space; or the folder is of another input or space
        """
        place = place_at(directory)
        if keep_features and isinstance(place, Prefix):
            raise ValueError(
                f"{directory} is in an object store, and patch features are kept in a "
                "folder: leave keep_features out, or give a folder that all machines "
                "share"
            )
        had = _read_plan(place)
        size = _part_rows(part_rows, had)
        with place_at(space).folder("") as own:
            slug = read_config(own)["slug"]
            plan = {"space": slug, "part_rows": size, "features": keep_features}
            if had is None:
                _start(place, plan, own, _split(read_rows(files), size))
            else:
                parts = _split(read_rows(files), size)
                _check_same(place, had, plan | _summarize(parts))
        return cls(directory)

    def __len__(self) -> int:
        """Number of parts."""
        return -(-self.rows // self.part_rows)

    @property
    def directory(self) -> Path | str:
        """The folder; the address in an object store."""
        return self.place.path if isinstance(self.place, Folder) else str(self.place)

    def path(self, part: int) -> Path | str:
        """The file of a part, or its address; it need not exist."""
        return self.place.at(_name(part))

    def is_done(self, part: int) -> bool:
        """Whether a part is there."""
        return self.place.exists(_name(part))

    def read_input(self, part: int) -> list[InputRow]:
        """The ids, None where they have none, and paths of a part."""
        with self.place.open(_INPUT) as rows, pq.ParquetFile(rows) as file:
            table = file.read_row_group(part)
        return list(zip(table["id"].to_pylist(), table["filepath"].to_pylist()))

    def todo(self) -> list[int]:
        """The parts that have no file yet.

        Raises:
            ValueError: if a part is of another run, or is no Parquet file
        """
        names = self.place.names()
        parts = range(len(self))
        done = [part for part in parts if _name(part) in names]
        with ThreadPoolExecutor(_LOOKERS) as pool:  # a store answers one by one
            list(pool.map(self._check_part, done))
        return [part for part in parts if _name(part) not in names]

    def count(self, part: int) -> tuple[int, int]:
        """The images of a part that is written, and how many of them failed."""
        with self.place.open(_name(part)) as file:
            errors = pq.read_table(file, columns=["error"])["error"]
        first = part * self.part_rows
        images = min(self.part_rows, self.rows - first)
        return images, len(errors) - errors.null_count

    def facts(self, part: int) -> dict[str, Any]:
        """What ties a part to this run, for its metadata."""
        return {"space": self.slug, "input": self._input, "part": part,
                "part_rows": self.part_rows}

    def write(self, part: int, table: pa.Table) -> None:
        """Writes a part, whole or not at all."""
        with self.place.writing(_name(part)) as partial:
            pq.write_table(table, partial)

    def _check_part(self, part: int) -> None:
        with self.place.open(_name(part)) as file:
            found = read_facts(file, self.path(part))
        for name, value in self.facts(part).items():
            if found.get(name) != value:
                raise ValueError(
                    f"{self.path(part)} is of another run: its {name} is "
                    f"{found.get(name)}, not {value}. Remove it, or give another folder"
                )


def _name(part: int) -> str:
    return f"part-{part:06d}.parquet"


def _read_plan(place: Place) -> dict[str, Any] | None:
    if not place.exists(_RUN):
        return None
    with place.open(_RUN) as file:
        return json.load(file)


def _part_rows(wanted: int | None, had: dict[str, Any] | None) -> int:
    if wanted is None:
        return had["part_rows"] if had else PART_ROWS
    if not is_a(int, wanted) or wanted < 1:
        raise ValueError(f"part_rows={wanted!r}: give a whole number of at least 1")
    return wanted


def _start(
    place: Place, plan: dict[str, Any], space: Path, parts: Iterator[list[InputRow]]
) -> None:
    """Writes the plan; ``run.json`` comes last, so that a plan is whole."""
    if any(name.startswith("part-") for name in place.names()):
        raise ValueError(
            f"{place} holds parts, but no {_RUN} that says of what: give another "
            "folder"
        )
    with place.writing(_INPUT) as partial:
        plan = plan | _summarize(_written(parts, partial, plan["part_rows"]))
    place.copy_in(space, SPACE)
    with place.writing(_RUN) as partial:
        partial.write_text(json.dumps(plan, indent=1) + "\n", "utf-8")


def _check_same(place: Place, had: dict[str, Any], plan: dict[str, Any]) -> None:
    for name, value in plan.items():
        if had[name] != value:
            raise ValueError(
                f"{place} was begun with {name}={had[name]}, not {value}: its parts "
                "would not fit together. Give another folder, or what it was begun with"
            )


def _split(rows: Iterator[InputRow], size: int) -> Iterator[list[InputRow]]:
    while part := list(islice(rows, size)):
        _check_ids(part)
        yield part


def _written(
    parts: Iterator[list[InputRow]], path: Path, size: int
) -> Iterator[list[InputRow]]:
    """Writes what passes through, a row group per part."""
    with pq.ParquetWriter(path, _INPUT_SCHEMA) as writer:
        for part in parts:
            columns = [pa.array(column, pa.string()) for column in zip(*part)]
            table = pa.Table.from_arrays(columns, schema=_INPUT_SCHEMA)
            writer.write_table(table, row_group_size=size)
            yield part


def _summarize(parts: Iterator[list[InputRow]]) -> dict[str, Any]:
    """The number and the digest of the rows."""
    digest, count = hashlib.sha256(), 0
    for part in parts:
        digest.update(json.dumps(part).encode())
        count += len(part)
    if not count:
        raise ValueError("there are no files to embed: the input has no rows")
    return {"input": digest.hexdigest()[:16], "rows": count}


def _check_ids(part: list[InputRow]) -> None:
    """Checks that an id names one file."""
    ids = [id for id, _ in set(part) if id is not None]
    for id, count in Counter(ids).items():
        if count > 1:
            raise ValueError(f"{count} files have the id {id}: give each its own")
