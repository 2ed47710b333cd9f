"""Embeds files on many machines: ``python -m detail_embed.distributed FILES ...``.

Ray Data spreads numbered parts of the files over workers, one per GPU, or per CPU
where there are no GPUs. Install it with ``pip install "detail-embed[ray]"``, on all
machines.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from detail_embed.distributed.cluster import start_ray
from detail_embed.distributed.parts import PartFolder
from detail_embed.distributed.worker import PartWorker, share_of_decoders
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.images.image_file import MAX_PIXELS
from detail_embed.images.read_pool import READ_SECONDS

if TYPE_CHECKING:
    import ray.data

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embedded:
    """What a run did.

    Attributes:
        directory: of the parts
        space: slug of the embedding space
        parts: that were written
        present: parts that were there already
        images: of the parts that were written
        failed: of these, images that could not be read; their rows say why
        seconds: duration of the run
    """

    directory: str
    space: str
    parts: int
    present: int
    images: int
    failed: int
    seconds: float


def embed(
    files: Sequence[str | Path] | str | Path,
    space: str | Path,
    directory: str | Path,
    part_rows: int | None = None,
    concurrency: int | None = None,
    num_gpus: float | None = None,
    batch_size: int | None = None,
    num_workers: int | None = None,
    keep_features: bool = False,
    max_pixels: int = MAX_PIXELS,
    skip_identical: bool = True,
    read_seconds: float = READ_SECONDS,
    progress: bool = False,
) -> Embedded:
    """Embeds files by Ray Data, into Parquet parts.

    Every part has the columns ``id`` (null where the files have none), ``filepath``,
    ``vector``, ``global_vector`` and ``error``; of an image that could not be read,
    the vectors are null. Where the space makes several vectors per image, there is a
    row for each, with ``box`` and ``level``. A part appears when it is whole, and is
    not done again: not after a worker died, and not in the next run.

    A Ray cluster is joined where ``RAY_ADDRESS`` names one, or ``ray.init()`` has
    been called; else this machine is one for as long as the process lasts, which no
    other machine can reach.

    Args:
        files: a list of files, or a Parquet file or a folder of them with the column
            ``uri`` or ``filepath`` and, if wanted, ``id``; paths that all machines can
            read
        space: a folder that ``DetailEmbedder.save()`` wrote
        directory: of the parts, on a disk that all machines share
        part_rows (None): rows of a part: what is lost with a worker. None for those
            of the folder, or 1024
        concurrency (None): workers; None: one per GPU, or per CPU without GPUs
        num_gpus (None): GPUs of a worker; None: 1, or 0 where the cluster has none
        batch_size (None): patches per forward pass
        num_workers (None): decoding threads of a worker; None: its share of the CPUs,
            at most 8 for each of its GPUs
        keep_features (False): whether patch features are kept, in float16, in the
            folder ``features``, by id, or by path where there are no ids
        max_pixels (MAX_PIXELS): images with more are read by parts
        skip_identical (True): whether a file with the same content as one before, in
            its part, takes its vectors; not where features are kept
        read_seconds (READ_SECONDS): that a file may be waited for, as on a network
        progress (False): whether to show a progress bar

    Raises:
        ImportError: if Ray Data is not installed
        RuntimeError: if Ray was imported in a way that would open this machine
        ValueError: if an argument cannot be used, or the folder is of another input
            or space
    """
    started = time.monotonic()
    _check_counts(concurrency, num_gpus)
    options = EncodeOptions(
        batch_size=batch_size, num_workers=num_workers, max_pixels=max_pixels,
        skip_identical=skip_identical, read_seconds=read_seconds,
    )
    options.check_options()
    folder = PartFolder.create(directory, files, space, part_rows, keep_features)
    todo = folder.todo()
    images = failed = 0
    bar = tqdm(total=len(folder), initial=len(folder) - len(todo), unit="part",
               disable=not progress)
    with bar:
        for part in _work(folder, todo, options, concurrency, num_gpus):
            count, bad = folder.count(part)
            images, failed = images + count, failed + bad
            bar.update()
            bar.set_postfix(images=images, unreadable=failed)
    return Embedded(
        directory=str(folder.directory),
        space=folder.slug,
        parts=len(todo),
        present=len(folder) - len(todo),
        images=images,
        failed=failed,
        seconds=time.monotonic() - started,
    )


def _work(
    folder: PartFolder,
    todo: list[int],
    options: EncodeOptions,
    concurrency: int | None,
    num_gpus: float | None,
) -> Iterator[int]:
    """Has the parts done; yields each that is."""
    if not todo:
        return
    ray = start_ray()
    resources = ray.cluster_resources()
    gpus = resources.get("GPU", 0)
    if num_gpus is None:
        num_gpus = 1 if gpus else 0
    most = gpus / num_gpus if num_gpus else resources["CPU"]
    if most < 1:
        raise ValueError(
            f"num_gpus={num_gpus}: the cluster has {gpus:g}; give less, or 0"
        )
    if options.num_workers is None:
        share = share_of_decoders(ray.nodes(), num_gpus)
        options = replace(options, num_workers=share)
    workers = min(concurrency or int(most), len(todo))
    logger.info("%d parts, %d workers with %g GPUs each", len(todo), workers, num_gpus)
    rows = [{"part": part} for part in todo]
    parts: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    done = parts.map_batches(
        PartWorker,
        fn_constructor_args=(str(folder.directory), options),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_gpus=num_gpus,
    )
    done.context.enable_progress_bars = False
    for row in done.iter_rows():
        yield int(row["part"])


def _check_counts(concurrency: int | None, num_gpus: float | None) -> None:
    for name, value in (("concurrency", concurrency), ("num_gpus", num_gpus)):
        if value is not None and not isinstance(value, Real):
            raise TypeError(f"{name}={value!r:.80}: give a number")
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"concurrency={concurrency}: give at least 1 worker")
    if num_gpus is not None and num_gpus < 0:
        raise ValueError(f"num_gpus={num_gpus}: give 0 or more, such as 0.5")
