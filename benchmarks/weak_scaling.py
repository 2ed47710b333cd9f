"""Twice the workers with twice the images: ``python benchmarks/weak_scaling.py``.

On one machine, by Ray; files, or with ``--where s3://bucket/prefix`` objects and parts
in a store that the environment leads to.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed import clver_ds, fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.distributed.run import embed
from detail_embed.space import DetailEmbedder
from detail_embed.storage.addresses import Object
from detail_embed.storage.places import Prefix, place_at
from detail_embed.storage.vector_parquet import read_facts


def start_ray() -> None:
    """A cluster of this machine, heard on its loopback interface alone."""
    from detail_embed.distributed.cluster import start_ray

    os.environ.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    os.environ["RAY_worker_niceness"] = "0"
    start_ray()


class WorkerSeconds(threading.Thread):
    """Seconds of the processor that workers of this machine took, seen from outside."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._seen: dict[int, float] = {}
        self._is_over = threading.Event()

    def run(self) -> None:
        """Looks until it is ended."""
        while not self._is_over.wait(0.2):
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    if "MapWorker" in " ".join(process.cmdline()):
                        self._seen[process.pid] = sum(process.cpu_times()[:2])

    def end(self) -> float:
        """Ends it; the seconds of all workers together, their start included."""
        self._is_over.set()
        self.join()
        return sum(self._seen.values())


def timed(
    paths: list[str], space: Path, where: str, rows: int, workers: int
) -> tuple[float, float]:
    """Images a second from the first part to the last one; CPU seconds of all."""
    watch = WorkerSeconds()
    watch.start()
    done = embed(paths, space, where, rows, concurrency=workers, num_gpus=0)
    seconds = watch.end()
    place, names = place_at(where), [f"part-{i:06d}.parquet" for i in range(done.parts)]
    if isinstance(place, Prefix):
        root = Object(where)
        ends = [root.child(name).info().mtime_ns / 1e9 for name in names]
    else:
        ends = [place.at(name).stat().st_mtime for name in names]
    by = {read_facts(place.open(name), name)["worker"] for name in names}
    images = sum(len(pq.read_table(place.open(name))) for name in names)
    assert len(by) == workers, f"{len(by)} of {workers} workers had a part"
    first = sorted(ends)[workers - 1]
    return (images - workers * rows) / (max(ends) - first), seconds


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", type=int, default=6, help="of each worker")
    parser.add_argument("--rows", type=int, default=12, help="of a part")
    parser.add_argument("--size", type=int, default=1120, help="side in pixels")
    parser.add_argument("--cover", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--where", help="address of images and parts, not a folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    start_ray()
    each = args.parts * args.rows
    print(f"{each} images of {args.size} px a worker, cover {args.cover}, {DEMO}, "
          f"{args.where or 'files'}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clver_ds.generate(folder / "scenes", args.workers * each, size=args.size)
        paths = sorted(map(str, (folder / "scenes").rglob("*.jpg")))
        backbone = Backbone.load(DEMO, device="cpu")
        fuser = fusers.create("mean", dim=backbone.dim)
        space = DetailEmbedder(backbone, CompleteCover(args.cover), fuser)
        space.save(folder / "space")
        out = args.where or str(folder)
        if args.where:
            place_at(args.where).copy_in(folder / "scenes", "scenes")
            paths = [path.replace(str(folder), args.where) for path in paths]
        rates: dict[int, list[float]] = {}
        for turn in range(args.rounds):
            for workers in (1, args.workers):
                some = paths[: workers * each]
                where = f"{out}/{int(time.time())}-{turn}-{workers}"
                rate, cpu = timed(some, folder / "space", where, args.rows, workers)
                rates.setdefault(workers, []).append(rate)
                print(f"{workers} workers: {rate:.2f} images/s by the clock, "
                      f"{cpu / len(some):.3f} s of the processor an image, "
                      f"{cpu / workers:.1f} s a worker", flush=True)
    one, many = max(rates[1]), max(rates[args.workers])
    print(f"efficiency {many / (args.workers * one):.2f} (best of {args.rounds} each)")


if __name__ == "__main__":
    main()
