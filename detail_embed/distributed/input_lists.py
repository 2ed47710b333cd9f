"""Lists of files to embed: in memory, or in Parquet files of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from detail_embed.storage.addresses import (
    SCHEMES,
    full_path,
    is_address,
    local_path,
    split_options,
)
from detail_embed.storage.places import Folder, Place, place_at

_PATHS = ("uri", "filepath")

InputRow = tuple[str | None, str]


def read_rows(files: Sequence[str | Path] | str | Path) -> Iterator[InputRow]:
    """Reads which files there are, in their order.

    Args:
        files: a list of files, or a Parquet file or a folder of them with the column
            ``uri`` or ``filepath`` and, if wanted, ``id``; it may be an address of a
            store, as each file may

    Yields:
        the id, None where it has none, and the absolute path or the address of each

    Raises:
        ValueError: if there is no such file, or it names something that is not read
    """
    if isinstance(files, (str, Path)):
        if isinstance(files, str) and is_address(files):
            return _stored_rows(files)
        return _parquet_rows(Path(local_path(files)).expanduser())
    return ((None, _full(str(uri))) for uri in files)


def _stored_rows(address: str) -> Iterator[InputRow]:
    whole, options = split_options(address)
    if whole.endswith(".parquet"):
        above, _, name = whole.rpartition("/")
        above = f"{above}?{options}" if options else above
        yield from _rows_of(place_at(above), name)
        return
    place = place_at(address)
    names = sorted(name for name in place.names() if name.endswith(".parquet"))
    if not names:
        raise ValueError(
            f"{address} is neither a Parquet file nor a prefix of them: give one, or a "
            "list of files"
        )
    for name in names:
        yield from _rows_of(place, name)


def _parquet_rows(path: Path) -> Iterator[InputRow]:
    sources = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not sources:
        raise ValueError(
            f"{path} is neither a Parquet file nor a folder of them: give one, or a "
            "list of files"
        )
    for source in sources:
        yield from _rows_of(Folder(source.parent), source.name)


def _rows_of(place: Place, name: str) -> Iterator[InputRow]:
    source = place.at(name)
    with place.open(name) as opened, pq.ParquetFile(opened) as file:
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
                yield None if id is None else str(id), _full(uri)


def _texts(uris: list[Any], source: Path | str) -> list[str]:
    for uri in uris:
        if not isinstance(uri, str) or not uri:
            raise ValueError(f"{source} names {uri!r} as a file: give every row a path")
    return uris


def _full(uri: str) -> str:
    """The absolute path of a URI, or its address in a store."""
    if "://" in uri and not is_address(uri) and not uri.startswith("file://"):
        raise ValueError(
            f"{uri} is no file, and of no store that is read here ("
            f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}): copy it there, or "
            "give a path"
        )
    return full_path(uri)
