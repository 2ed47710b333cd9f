"""Lists of files to embed: in memory, or in Parquet files of any size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.parquet as pq

_PATHS = ("uri", "filepath")

InputRow = tuple[str | None, str]


def read_rows(files: Sequence[str | Path] | str | Path) -> Iterator[InputRow]:
    """Reads which files there are, in their order.

    Args:
        files: a list of files, or a Parquet file or a folder of them with the column
            ``uri`` or ``filepath`` and, if wanted, ``id``

    Yields:
        the id, None where it has none, and the absolute path of each

    Raises:
        ValueError: if there is no such file, or it names something else than files
            of this machine
    """
    if isinstance(files, (str, Path)):
        return _parquet_rows(Path(files).expanduser())
    return ((None, _local(str(uri))) for uri in files)


def _parquet_rows(path: Path) -> Iterator[InputRow]:
    sources = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not sources:
        raise ValueError(
            f"{path} is neither a Parquet file nor a folder of them: give one, or a "
            "list of files"
        )
    for source in sources:
        yield from _rows_of(source)


def _rows_of(source: Path) -> Iterator[InputRow]:
    with pq.ParquetFile(source) as file:
        names = file.schema_arrow.names
        path = next((name for name in _PATHS if name in names), None)
        if path is None:
            raise ValueError(
                f"{source} has the columns {names}: name the one with the files "
                f"{' or '.join(_PATHS)}"
            )
        has_id = "id" in names
        for batch in file.iter_batches(columns=["id", path] if has_id else [path]):
            uris = _texts(batch[path].to_pylist(), source)
            ids = batch["id"].to_pylist() if has_id else [None] * len(uris)
            for id, uri in zip(ids, uris):
                yield None if id is None else str(id), _local(uri)


def _texts(uris: list[Any], source: Path) -> list[str]:
    for uri in uris:
        if not isinstance(uri, str) or not uri:
            raise ValueError(f"{source} names {uri!r} as a file: give every row a path")
    return uris


def _local(uri: str) -> str:
    """The absolute path of a URI."""
    if uri.startswith("file://"):
        return unquote(urlsplit(uri).path)
    if "://" in uri:
        raise ValueError(
            f"{uri} is not a file of this machine: mount the store on all machines, "
            "and give paths"
        )
    return os.path.abspath(uri)
