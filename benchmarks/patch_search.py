"""Full patch search: engines side by side, on the same patches and queries.

    pip install faiss-cpu lancedb usearch     # the last two for this benchmark alone
    python benchmarks/patch_search.py
    python benchmarks/patch_search.py --images 60 300 --out /tmp/look.md

Times are those of the processor, on one thread; give the command one core to keep
LanceDB to it as well (`taskset -c 0`). Scenes and features are kept in ``--home``, rows
in the CSV file beside ``--out``: a run that was cut short goes on where it was. Writes
docs/results/patch-search.md and docs/results/patch-search.csv.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

ONE = {"OMP_NUM_THREADS": "1", "LANCE_CPU_THREADS": "1", "RAYON_NUM_THREADS": "1"}
os.environ.update(ONE)  # before the engines are loaded
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import faiss  # noqa: E402
import torch  # noqa: E402
from _patch_search.report import report  # noqa: E402
from _patch_search.run import run  # noqa: E402


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000, 100000],
                        help="the smallest: real scenes; the others: resampled ones")
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/patch-search")
    parser.add_argument("--out", type=Path,
                        default=ROOT / "docs/results/patch-search.md")
    parser.add_argument("--build-minutes", type=float, default=15,
                        help="an engine that would take longer is left out")
    parser.add_argument("--engines", nargs="+", help="how their names begin")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    rows = run(
        args.home, args.images, args.out.with_suffix(".csv"), args.build_minutes,
        args.engines,
    )
    args.out.write_text(report(rows), "utf-8")
    print(args.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
