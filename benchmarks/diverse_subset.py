"""Choosing a diverse subset: how long it takes, and how far an image may be from it.

    python benchmarks/diverse_subset.py --sizes 1000 10000 100000

Synthetic vectors like those of a CLIP go into a real dataset without image files.
"detail-embed" is the whole run of ``select_diverse_subset``, with reading the vectors;
"one by one" is the same choice with one product of all vectors a chosen one;
"find_unique" is FiftyOne's own, which compares all with all many times over and is left
out above ``--most-unique`` images. CPU seconds are those of all threads: on a busy
machine they say more than the others. The radius is the largest cosine distance of an
image to the nearest chosen one.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

_HEAD = "| images | chosen | by | s | CPU s | radius |\n|--:|--:|---|--:|--:|--:|"
_RANDOM = 5  # choices, of which the mean radius is told


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--n", type=int, default=1000, help="images to choose, at most "
                        "a tenth of all")
    parser.add_argument("--most-unique", type=int, default=10_000, help="images for "
                        "FiftyOne's find_unique")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        open_home(Path(name) / "home")
        logging.getLogger("fiftyone").setLevel(logging.WARNING)
        print(_machine(), _HEAD, sep="\n\n", flush=True)
        for size in sorted(arguments.sizes):
            _measure(size, arguments)
    print(f"\nLoad of the last 15 minutes at the end: {os.getloadavg()[2]:.1f}")


def _measure(size: int, asked: argparse.Namespace) -> None:
    from _vector_search import data
    from _vector_search.paths import make_run

    rows, _ = data.vectors(size, 1, asked.dim)
    dataset = data.store(rows)
    make_run(dataset, data.KEY, None)
    n = min(asked.n, size // 10)
    ways = {
        "detail-embed": lambda: _ours(dataset, data.KEY, n),
        "the same, one by one": lambda: _one_by_one(rows, n),
        f"chance, mean of {_RANDOM}": None,
    }
    if size <= asked.most_unique:
        ways["FiftyOne's find_unique"] = lambda: _unique(dataset, rows, n)
    places = {id: place for place, id in enumerate(dataset.values("id"))}
    for name, way in ways.items():
        cells = _by_chance(rows, n) if way is None else _timed(way, rows, places)
        print(f"| {size:,} | {n:,} | {name} | {cells} |", flush=True)
    dataset.delete()


def _timed(way: Callable, rows: np.ndarray, places: dict[str, int]) -> str:
    started, work = time.perf_counter(), time.process_time()
    chosen = way()
    seconds, work = time.perf_counter() - started, time.process_time() - work
    chosen = [places[one] if isinstance(one, str) else one for one in chosen]
    return f"{seconds:.1f} | {work:.1f} | {_radius(rows, chosen):.3f}"


def _ours(dataset, key: str, n: int) -> list[str]:
    from detail_embed.fiftyone_bridge.curate.diverse_subset import select_diverse_subset
    from detail_embed.fiftyone_bridge.index.index import Index

    return select_diverse_subset(Index(dataset, key), dataset, n).finish().ids


def _one_by_one(rows: np.ndarray, n: int) -> list[int]:
    nearest, chosen = np.full(len(rows), -np.inf, np.float32), []
    place = int((rows @ rows.mean(axis=0)).argmax())
    while len(chosen) < n:
        chosen.append(place)
        np.maximum(nearest, rows @ rows[place], out=nearest)
        nearest[place] = np.inf
        place = int(nearest.argmin())
    return chosen


def _by_chance(rows: np.ndarray, n: int) -> str:
    random = np.random.default_rng(0)
    choices = (random.choice(len(rows), n, replace=False) for _ in range(_RANDOM))
    return f"| | {np.mean([_radius(rows, chosen) for chosen in choices]):.3f}"


def _unique(dataset, rows: np.ndarray, n: int) -> list[str]:
    import fiftyone.brain as fob

    index = fob.compute_similarity(dataset, embeddings=rows.copy(), backend="sklearn")
    index.find_unique(n)
    return list(index.unique_ids)


def _radius(rows: np.ndarray, chosen) -> float:
    nearest = np.full(len(rows), -np.inf, np.float32)
    for start in range(0, len(chosen), 256):
        some = rows[chosen[start : start + 256]]
        np.maximum(nearest, (rows @ some.T).max(1), out=nearest)
    return 1 - float(nearest.min())


def _machine() -> str:
    return (
        f"{date.today()}, {os.cpu_count()} CPU cores ({platform.machine()}), "
        f"load of the last 15 minutes at the start: {os.getloadavg()[2]:.1f}. "
        f"`python benchmarks/diverse_subset.py {' '.join(sys.argv[1:])}`"
    )


if __name__ == "__main__":
    main()
