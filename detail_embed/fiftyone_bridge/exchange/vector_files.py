"""Parquet files of vectors, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detail_embed.engine.chunk import ImagePatches
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.images.file_source import FileSource
from detail_embed.space.space_file import CONFIG
from detail_embed.storage.addresses import is_address, local_path
from detail_embed.storage.places import Folder, Place, place_at
from detail_embed.storage.vector_parquet import (
    PLACE,
    SOURCE,
    SPACE,
    VECTOR,
    WHOLE,
    part_files,
    read_facts,
)

_ROWS = 10_000
_ROUNDING = 1e-4  # of the length of a vector that was written as float32


@dataclass(frozen=True)
class ImageVectors:
    """What a file holds of an image.

    Attributes:
        id: as it was when the file was written, None where there was none
        path: of the image
        vectors: ``(k, d)`` float32, unit length; None where there are none
        whole: ``(d,)`` float32 of the whole image alone, None where it is not there
        patches: what the k vectors stand for; None where the vector is of the image
        error: why there are no vectors, or None
        source: what the file was when it was read, None where that is not known
    """

    id: str | None
    path: str
    vectors: np.ndarray | None
    whole: np.ndarray | None
    patches: ImagePatches | None
    error: str | None
    source: FileSource | None


class VectorFiles:
    """The parts of :func:`detail_embed.distributed.run.embed`, or an exported file.

    Args:
        path: a file, or a folder of parts, or the address of one in a store

    Attributes:
        slug: of the embedding space of all files
        dim: d, the dimension of the vectors
        num_rows: of all files

    Raises:
        ValueError: if there are no such files, or they do not belong together
    """

    def __init__(self, path: str | Path):
        if not isinstance(path, (str, Path)) or not str(path).strip():
            raise ValueError(f"path must name a file or folder of parts, not {path!r}")
        self._place, self._path, self._files = _found(path)
        self._copy: TemporaryDirectory | None = None
        self.slug = self._read_slug()
        self._names = self._schema(self._files[0]).names
        self.dim = self._read_dim()
        self.num_rows = sum(map(self._rows, self._files))

    @property
    def has_whole(self) -> bool:
        """Whether there are vectors of the whole images alone."""
        return WHOLE in self._names

    @property
    def has_patches(self) -> bool:
        """Whether vectors stand for patches, so that an image can have several."""
        return "box" in self._names

    def space_folder(self, given: str | Path | None = None) -> Path:
        """Finds the embedding space: where it is said to be, beside, or in the zoo.

        Raises:
            ValueError: if it is nowhere
        """
        if given is not None:
            return Path(given).expanduser()
        beside = self._space_beside()
        for folder in (beside, zoo.space_directory(self.slug)):
            if folder is not None and folder.is_dir():
                return folder
        raise ValueError(
            f"the embedding space {self.slug} is not on this machine: pass the folder "
            "that DetailEmbedder.save() wrote as space"
        )

    def batches(self) -> Iterator[tuple[list[ImageVectors], int]]:
        """Reads images, and says how many rows were read; about 10,000 at a time."""
        rows = 0
        for file in self._files:
            with self._place.open(file) as opened, pq.ParquetFile(opened) as source:
                rest = None
                for batch in source.iter_batches(_ROWS):
                    rows += len(batch)
                    table = pa.Table.from_batches([batch])
                    if rest is not None:
                        table = pa.concat_tables([rest, table])
                    images = self._images(table)
                    rest = table.slice(len(table) - images[-1][1])
                    yield [image for image, _ in images[:-1]], rows
                if rest is not None:
                    yield [image for image, _ in self._images(rest)], rows

    def _images(self, table: pa.Table) -> list[tuple[ImageVectors, int]]:
        """The images of a table, and how many rows each has."""
        names = table.column_names
        columns = {
            name: table[name].to_pylist()
            for name in ("id", "filepath", "error", *PLACE, *SOURCE) if name in names
        }
        vectors = _vectors(table[VECTOR])
        wholes = _vectors(table[WHOLE]) if self.has_whole else None
        keys = list(zip(columns["id"], columns["filepath"]))
        images = []
        for (id, path), group in groupby(range(len(keys)), keys.__getitem__):
            at = list(group)
            groups = [at] if self.has_patches else [[row] for row in at]
            for some in groups:
                first = some[0]
                found, bad = _unit([vectors[row] for row in some], "vector")
                whole = None
                if wholes is not None:
                    whole, bad_whole = _unit([wholes[first]], "whole-image vector")
                    bad = bad or bad_whole
                if bad:
                    found = whole = None
                image = ImageVectors(
                    id, path, found, None if whole is None else whole[0],
                    self._patches(columns, found, some),
                    bad or columns.get("error", [None] * len(keys))[first],
                    _source(columns, first),
                )
                images.append((image, len(some)))
        return images

    def _patches(
        self, columns: dict[str, list], vectors: np.ndarray | None, rows: list[int]
    ) -> ImagePatches | None:
        if vectors is None or not self.has_patches:
            return None
        boxes = [columns["box"][row] for row in rows]
        levels = [columns["level"][row] for row in rows]
        if None in boxes or None in levels:
            raise ValueError(
                f"{self._path} has vectors of labels without box and level: only those "
                "of detail-embed can be imported"
            )
        return ImagePatches(vectors, np.array(boxes), np.array(levels))

    def _schema(self, file: str) -> pa.Schema:
        with self._place.open(file) as opened:
            return pq.read_schema(opened)

    def _rows(self, file: str) -> int:
        with self._place.open(file) as opened:
            return pq.read_metadata(opened).num_rows

    def _facts(self, file: str) -> dict[str, Any]:
        with self._place.open(file) as opened:
            return read_facts(opened, self._place.at(file))

    def _space_beside(self) -> Path | None:
        """The folder of the space beside the parts; a copy of one in a store."""
        if isinstance(self._place, Folder):
            return Path(self._path) / SPACE
        if not self._place.exists(f"{SPACE}/{CONFIG}"):
            return None
        if self._copy is None:
            self._copy = TemporaryDirectory(prefix="detail-embed-")
            self._place.copy_out(SPACE, Path(self._copy.name))
        return Path(self._copy.name)

    def _read_dim(self) -> int:
        """Reads the dimension, which is that of all files.

        Raises:
            ValueError: if files have others, or not the columns of vectors
        """
        dims = {}
        for file in self._files:
            schema = self._schema(file)
            lacking = {"id", "filepath", VECTOR} - set(schema.names)
            if lacking or not pa.types.is_fixed_size_list(schema.field(VECTOR).type):
                what = f"lacks {sorted(lacking)}" if lacking else (
                    f"has vectors of the type {schema.field(VECTOR).type}"
                )
                raise ValueError(
                    f"{self._place.at(file)} {what}: give a file that export_vectors "
                    "or detail_embed.distributed wrote"
                )
            dims[schema.field(VECTOR).type.list_size] = file
        if len(dims) > 1:
            raise ValueError(
                f"{self._path} holds vectors of {sorted(dims)} dimensions: keep one "
                "space in a folder"
            )
        return next(iter(dims))

    def _read_slug(self) -> str:
        slugs = {self._facts(file).get("space"): file for file in self._files}
        if len(slugs) > 1:
            names = ", ".join(map(str, slugs))
            raise ValueError(
                f"{self._path} holds parts of several spaces, {names}: their vectors "
                "cannot be compared. Keep one space in a folder"
            )
        (slug,) = slugs
        if slug is None:
            raise ValueError(
                f"{self._path} holds the vectors of an index that is not ours: its "
                "space is not known"
            )
        return slug


def _found(path: str | Path) -> tuple[Place, str | Path, list[str]]:
    """Where the files are, what that is called, and their names, in order."""
    if is_address(path):
        place: Place = place_at(str(path))
        names = sorted(n for n in place.names() if fnmatch(n, "part-*.parquet"))
        if not names:
            raise ValueError(f"{path} is no prefix of parts, such as s3://bucket/parts")
        return place, str(path), names
    whole = Path(local_path(path)).expanduser().absolute()
    files = part_files(whole)
    return Folder(files[0].parent), whole, [file.name for file in files]


def _vectors(column: pa.ChunkedArray) -> list[np.ndarray | None]:
    """The rows of a column of lists, without a copy of each number."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    rows = array.drop_null().flatten().to_numpy(zero_copy_only=False)
    found = iter(rows.reshape(-1, array.type.list_size).astype(np.float32, copy=False))
    return [next(found) if valid else None for valid in array.is_valid().to_pylist()]


def _source(columns: dict[str, list], row: int) -> FileSource | None:
    values = [columns[name][row] if name in columns else None for name in SOURCE]
    return FileSource(*values) if values[0] else None


def _unit(
    vectors: list[np.ndarray | None], what: str
) -> tuple[np.ndarray | None, str | None]:
    """Gives vectors unit length; None and why where that is not possible."""
    if vectors[0] is None:
        return None, None
    found = np.stack(vectors)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        return None, f"its {what} in the file holds NaN or infinite values"
    if not lengths.all():
        return None, f"its {what} in the file is 0"
    is_unit = np.abs(lengths - 1) <= _ROUNDING  # these come back bit by bit
    return found / np.where(is_unit, 1, lengths), None
