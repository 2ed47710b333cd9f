"""Text search of one vector per image: our path, FiftyOne's backends, and engines.

    pip install lancedb pymilvus milvus-lite    # for this benchmark alone
    python benchmarks/vector_search.py --sizes 1000 10000 100000

Synthetic vectors like those of a CLIP, with text-like queries from another cone, go
into a real dataset without image files. A search takes a query vector and gives the
view of the ``--k`` best images; "read" is MongoDB giving the ids of that view.
Recall is against the exact dot product. A backend whose package is missing is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

_HEAD = (
    "| images | search | R@10 | R@100 | median ms | 95 % ms | read ms | build s | "
    "first s | bytes/vector |\n|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)
_CUTS = 10, 100
_WARM_UP = 3


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--k", type=int, default=100, help="images in the view")
    parser.add_argument("--only", nargs="+", help="parts of the names of searches")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="fiftyone.brain")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lance, milvus = folder / "lancedb", folder / "milvus"
        milvus.mkdir()
        os.environ["FIFTYONE_BRAIN_SIMILARITY_LANCEDB_URI"] = str(lance)
        os.environ["FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI"] = str(milvus / "lite.db")
        open_home(folder / "home")
        print(machine(), _HEAD, sep="\n\n", flush=True)
        for size in sorted(arguments.sizes):
            measure_size(size, arguments, folder)
    print(f"\nLoad of the last 15 minutes at the end: {os.getloadavg()[2]:.1f}")


def measure_size(size: int, arguments: argparse.Namespace, folder: Path) -> None:
    """Prints the rows of a number of images."""
    from _vector_search import data, direct, paths

    rows, queries = data.vectors(size, arguments.queries, arguments.dim)
    dataset = data.store(rows)
    kinds = [
        paths.Ours, paths.OursInView, paths.Sklearn, paths.SklearnAfterAnImage,
        paths.BrainLance, direct.Lance, direct.LanceRabitq, paths.BrainMilvus,
        direct.Milvus,
    ]
    for number, kind in enumerate(kinds):
        if arguments.only and not any(part in kind.name for part in arguments.only):
            continue
        if kind.needs and importlib.util.find_spec(kind.needs) is None:
            print(f"| {size:,} | {kind.name}: {kind.needs} is not installed |")
            continue
        if kind.most and size > kind.most:
            print(f"| {size:,} | {kind.name}: left out above {kind.most:,} |")
            continue
        place = folder / {"lancedb": "lancedb", "milvus": "milvus"}.get(
            getattr(kind, "backend", ""), f"{size}-{number}"
        )
        place.mkdir(exist_ok=True)
        print(row(kind(dataset, rows, place), queries, arguments.k), flush=True)
    dataset.delete()


def row(path, queries: np.ndarray, k: int) -> str:
    """Builds, searches and compares; a row of the table."""
    started = time.perf_counter()
    path.build()
    build = time.perf_counter() - started
    started = time.perf_counter()
    path.search(queries[0], k)
    first = time.perf_counter() - started
    for query in queries[:_WARM_UP]:
        path.search(query, k)
    searches, reads, found = [], [], []
    for query in queries:
        started = time.perf_counter()
        view = path.search(query, k)
        searches.append(time.perf_counter() - started)
        found.append(view.values("id"))
        reads.append(time.perf_counter() - started - searches[-1])
    recalls = " | ".join(
        "–" if cut > k else f"{recall(path, queries, found, cut):.3f}" for cut in _CUTS
    )
    size = path.num_bytes / len(path.rows)
    path.close()
    middle, most, read = 1000 * np.r_[
        np.quantile(searches, [0.5, 0.95]), np.median(reads)
    ]
    return (
        f"| {len(path.rows):,} | {path.name} | {recalls} | {middle:.0f} | {most:.0f} "
        f"| {read:.0f} | {build:.1f} | {first:.2f} | {size:,.0f} |"
    )


def recall(path, queries: np.ndarray, found: list[list[str]], cut: int) -> float:
    """The share of the ``cut`` nearest images that are among the first found."""
    places = {id: place for place, id in enumerate(path.dataset.values("id"))}
    kept = np.array([places[id] for id in path.samples.values("id")])
    scores = queries @ path.rows[kept].T
    nearest = kept[np.argsort(-scores, axis=1)[:, :cut]]
    hits = [
        len(set(row) & {places[id] for id in ids[:cut]})
        for row, ids in zip(nearest.tolist(), found)
    ]
    return sum(hits) / nearest.size


def machine() -> str:
    """What and when was measured."""
    return (
        f"{date.today()}, {os.cpu_count()} CPU cores ({platform.machine()}), "
        f"load of the last 15 minutes at the start: {os.getloadavg()[2]:.1f}. "
        f"`python benchmarks/vector_search.py {' '.join(sys.argv[1:])}`"
    )


if __name__ == "__main__":
    main()
