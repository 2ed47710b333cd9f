"""Builds every engine on every number of images and measures it.

Times are processor time, which is that of the wall on one idle core.
"""

from __future__ import annotations

import csv
import functools
import logging
import shutil
import time
from pathlib import Path

import numpy as np

from benchmarks._patch_search.data import Patches, more, real
from benchmarks._patch_search.engines import (
    BruteForce,
    Engine,
    FastScan,
    Ours,
    ProductQuantizer,
    RaBitQ1,
    Search,
)
from benchmarks._patch_search.others import ENGINES as OTHERS
from detail_embed.evaluation.metrics import average_precision

logger = logging.getLogger(__name__)

ENGINES = [BruteForce, Ours, RaBitQ1, ProductQuantizer, FastScan, *OTHERS]
COLUMNS = [
    "images", "patches", "engine", "bytes_per_patch", "bytes_per_image",
    "build_s", "median_ms", "p95_ms", "recall_25", "map_25_share", "map_share", "note",
]
K = 25
_QUERIES, _SECONDS, _FEWEST = 100, 60, 5  # latency: queries, or as many as fit


def run(
    home: Path, sizes: list[int], out: Path, build_minutes: float,
    engines: list[str] | None = None,
) -> list[dict]:
    """Measures what the file does not hold yet, and adds it row by row.

    Args:
        home: scenes, features and, for a while, indexes
        sizes: numbers of images; the smallest is real scenes with labels
        out: a CSV file
        build_minutes: an engine that would take longer is left out; how long it
            takes is reckoned from the size before
        engines (None): how names of engines begin; None for all

    Returns:
        all rows of the file
    """
    rows = _read(out)

    @functools.cache
    def patches(n: int) -> Patches:
        few = min(sizes)
        return real(home, n) if n == few else more(home, patches(few), n)

    wanted = [
        kind for kind in ENGINES
        if any(name.startswith(tuple(engines or [""])) for name in kind.names)
    ]
    for n in sorted(sizes):
        for kind in wanted:
            if any(r["engine"] in kind.names and int(r["images"]) == n for r in rows):
                continue
            late = _too_late(kind, n, rows, build_minutes)
            found = late or _measure(kind, patches(n), home / "index")
            rows += [dict.fromkeys(COLUMNS, "") | row for row in found]
            _write(out, rows)
            for row in found:
                logger.info("%s", row)
    return rows


def _too_late(
    kind: type[Engine], n: int, rows: list[dict], build_minutes: float
) -> list[dict]:
    """Rows that say why an engine was left out, if it would take too long."""
    built = [
        r for r in rows
        if r["engine"] in kind.names and r["build_s"] and int(r["images"]) < n
    ]
    if not built:
        return []
    last = max(built, key=lambda row: int(row["images"]))
    minutes = float(last["build_s"]) / 60 * n / int(last["images"])
    if minutes <= build_minutes:
        return []
    note = (
        f"not built: {minutes:.0f} min of the processor if that grows as the patches "
        f"do, and this run's limit was {build_minutes:g}"
    )
    return [{"images": n, "engine": name, "note": note} for name in kind.names]


def _measure(kind: type[Engine], patches: Patches, folder: Path) -> list[dict]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    engine = kind(patches.store, folder)
    started = time.process_time()
    engine.build()
    seconds = time.process_time() - started
    count, images = int(engine.ends[-1]), len(engine.ids)
    common = {
        "images": images,
        "patches": count,
        "bytes_per_patch": f"{engine.num_bytes / count:.1f}",
        "bytes_per_image": f"{engine.num_bytes / images:.0f}",
        "build_s": f"{seconds:.1f}",
    }
    rows = [
        common | {"engine": name} | _quality(search, patches)
        for name, search in engine.searches().items()
    ]
    shutil.rmtree(folder)
    return rows


def _quality(search: Search, patches: Patches) -> dict[str, str]:
    found, times = [], []
    search(patches.texts[0], K)  # what is read or made once does not count
    for text in patches.texts:
        started = time.process_time()
        found.append(search(text, K)[:K])
        times.append(time.process_time() - started)
        if len(times) >= (_QUERIES if sum(times) < _SECONDS else _FEWEST):
            break
    best = np.argsort(-patches.best[: len(found)], axis=1)[:, :K]
    shares = [len(set(a) & set(b)) / K for a, b in zip(found, best.tolist())]
    row = {
        "median_ms": f"{1e3 * np.median(times):.2f}",
        "p95_ms": f"{1e3 * np.quantile(times, 0.95):.2f}",
        "recall_25": f"{np.mean(shares):.3f}",
    }
    if patches.relevance is not None:
        row["map_25_share"] = _share(search, patches, K)
        row["map_share"] = _share(search, patches, patches.relevance.shape[1])
    return row


def _share(search: Search, patches: Patches, depth: int) -> str:
    """The mAP of the first images, of MaxSim's; images not found come last."""
    scores = np.full(patches.best.shape, -np.inf)
    for row, text in enumerate(patches.texts):
        images = search(text, depth)[:depth]
        scores[row, images] = -np.arange(len(images))
    reached, exact = (
        average_precision(s, patches.relevance, k=depth).mean()
        for s in (scores, patches.best)
    )
    return f"{reached / exact:.4f}"


def _read(path: Path) -> list[dict]:
    """What was measured; what was left out may fit into this run's time."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if not row["note"]]


def _write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
