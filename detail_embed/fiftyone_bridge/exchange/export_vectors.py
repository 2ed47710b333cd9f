"""The vectors of an index as a Parquet file, for whatever reads such files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone.core.collections as foc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detail_embed.fiftyone_bridge.exchange.export_rows import GROUP, Rows, batches
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index import facts as index_facts
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.storage.vector_parquet import PLACE, SOURCE, VECTOR, schema
from detail_embed.storage.versions import versions
from detail_embed.storage.whole_files import megabytes, whole_file

_PACKAGES = ("detail-embed", "fiftyone", "torch", "open_clip_torch", "pyarrow")


@dataclass(frozen=True)
class ExportResult:
    """What was exported.

    Attributes:
        brain_key: of the index
        path: of the file
        images: that have vectors
        vectors: rows of the file
        dim: d of a vector
        num_bytes: size of the file
        seconds: duration of the run
    """

    brain_key: str
    path: str
    images: int
    vectors: int
    dim: int
    num_bytes: int
    seconds: float


def export_vectors(
    index: Index,
    samples: foc.SampleCollection,
    path: str | Path,
    overwrite: bool = False,
) -> Run:
    """Writes the vectors of an index to a Parquet file.

    One row per vector, in the order of the samples, with the columns ``id`` and
    ``filepath`` of the sample and ``vector``, a list of d float32 as they are stored.
    Where the vectors are those of labels, such as the k vectors per image, there are
    also ``label_id``, ``box`` (left, top, width and height as shares of the image)
    and ``level`` of the cover; null where the label has none. Of an index of ours,
    ``state`` and ``content`` say what the file was, so that an import knows one that
    has changed since. The schema's metadata has, under ``detail_embed``, the facts of
    the index as JSON.

    The file appears when it is whole. It is written in row groups of at most 10,000;
    of the vectors in a field of the samples, no more are in memory. Vectors of other
    indexes are read through their backend.

    Args:
        index: a similarity index of any backend
        samples: a dataset or view of images
        path: of the file; ``~`` is the home directory
        overwrite (False): whether a file that is there is replaced

    Returns:
        a :class:`Run`, whose result is an :class:`ExportResult`

    Raises:
        ValueError: if there is no such index, the samples or the path cannot be used;
            while iterating, also if no image has a vector
        RuntimeError: while iterating, if the file cannot be written, for example
            because the disk is full
    """
    samples = index.images_of(samples)
    check_export(index, samples, path, overwrite)
    return Run(_export(index, samples, _absolute(path)))


def check_export(
    index: Index, samples: foc.SampleCollection, path: str | Path, overwrite: bool
) -> None:
    """Checks what can be checked before a run; see :func:`export_vectors`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    index.images_of(samples)
    brain_runs.check_similarity(index)
    if not isinstance(path, (str, Path)) or not str(path).strip():
        raise ValueError(f"path must name the file to write, not {path!r}")
    path = _absolute(path)
    if path.suffix not in ("", ".parquet"):
        raise ValueError(
            f"path={path.name!r}: vectors are written as Parquet, so name a file that "
            "ends with .parquet"
        )
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"the folder {path.parent} does not exist: make it first")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"the folder {path.parent} cannot be written to")
    if path.exists() and not overwrite:
        raise ValueError(
            f"{path} exists: choose another name, or pass overwrite=True to replace it"
        )


def _export(
    index: Index, samples: foc.SampleCollection, path: Path
) -> Generator[Progress, None, ExportResult]:
    started = time.monotonic()
    images = vectors = 0
    writer = None
    with _whole(path) as partial:
        try:
            for rows, fraction in batches(index, samples):
                if writer is None:
                    layout = _layout(index, rows)
                    writer = pq.ParquetWriter(partial, layout)
                writer.write_table(_table(rows, layout), row_group_size=GROUP)
                images += len(set(rows.ids))
                vectors += len(rows.ids)
                yield Progress(f"{vectors:,} vectors of {images:,} images", fraction)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise ValueError(
                f"none of the images has a vector in the index {index.key!r}; there is "
                "nothing to export"
            )
    return ExportResult(
        brain_key=index.key,
        path=str(path),
        images=images,
        vectors=vectors,
        dim=layout.field(VECTOR).type.list_size,
        num_bytes=path.stat().st_size,
        seconds=time.monotonic() - started,
    )


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A whole file, see :func:`whole_file`; what went wrong is said with the room."""
    try:
        with whole_file(path) as partial:
            yield partial
    except OSError as error:
        raise RuntimeError(
            f"{path} could not be written: {error.strerror or error}; "
            f"{megabytes(shutil.disk_usage(path.parent).free)} are free"
        ) from error


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()


def _layout(index: Index, rows: Rows) -> pa.Schema:
    of_labels = () if rows.labels is None else ("label_id", *PLACE)
    of_files = SOURCE if any(rows.sources) else ()
    names = ("id", "filepath", VECTOR, *of_labels, *of_files)
    return schema(names, rows.vectors.shape[1], _facts(index))


def _table(rows: Rows, layout: pa.Schema) -> pa.Table:
    flat = pa.array(np.ascontiguousarray(rows.vectors, np.float32).ravel())
    columns = {
        "id": rows.ids,
        "filepath": rows.paths,
        VECTOR: pa.FixedSizeListArray.from_arrays(flat, rows.vectors.shape[1]),
        "label_id": rows.labels,
        "box": rows.boxes,
        "level": rows.levels,
        "state": [source and source.state for source in rows.sources],
        "content": [source and source.content for source in rows.sources],
    }
    return pa.table({name: columns[name] for name in layout.names}, schema=layout)


def _facts(index: Index) -> Mapping[str, Any]:
    """What is known of the index, and of what wrote the file."""
    record, is_whole = index.find()
    known = index_facts.of_index(index)
    return {
        "brain_key": index.key,
        "dataset": index.dataset.name,
        "space": known and known.space,
        "model": getattr(index.config, "model", None),
        "backbone": known and known.backbone,
        "cover": known and known.cover,
        "fuser": known and known.fuser,
        "identity": None if record is None or is_whole else record.identity,
        "versions": versions(_PACKAGES),
    }
