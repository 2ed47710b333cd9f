"""How long a new process takes to have the vectors of an index: read, or mapped.

    python benchmarks/app_scale.py --images 100000 --home /tmp/app-scale
    python benchmarks/first_search.py --home /tmp/app-scale

Each row is a process of its own, over the dataset that app_scale.py made: the first
finds no file, reads the vectors out of MongoDB and writes one; the second maps it; the
third does so after a sample was tagged, the fourth after one has another vector.
Printed are the seconds until the vectors are there, until a search is done after that,
and the memory of the process that is its own, and that which it shares with others.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

NAME, KEY = "app-scale", "detail"  # as app_scale.py has them
CASES = ("read out of MongoDB", "mapped", "mapped, a tag later",
         "mapped, another vector later")


def main() -> None:
    """Prints a table, or the row of a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--case", type=int, help="this one alone, in this process")
    options = parser.parse_args()
    open_home(options.home.resolve() / "home")
    if options.case is not None:
        print(measure(options.case))
        return
    print("| the vectors are | MB | s | CPU s | a search (s) | own MB | shared MB |\n"
          "|---|--:|--:|--:|--:|--:|--:|")
    for case in range(len(CASES)):
        prepare(case)
        command = [sys.executable, *sys.argv, "--case", str(case)]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        print(found.stdout.strip().splitlines()[-1], flush=True)


def prepare(case: int) -> None:
    """Makes what a case finds."""
    import fiftyone as fo

    from detail_embed.fiftyone_bridge import DetailIndex
    from detail_embed.fiftyone_bridge.index import shared

    index = DetailIndex(fo.load_dataset(NAME), KEY)
    sample = index.dataset.first()
    if case == 0:
        shutil.rmtree(shared.folder(index), ignore_errors=True)
    elif case == 2:
        sample.tags.append("seen")
        sample.save()
    elif case == 3:
        label = sample[index.patches_field].detections[0]
        label.vector = -label.vector
        sample.save()


def measure(case: int) -> str:
    """Loads and searches; the row of the table."""
    import fiftyone as fo

    from detail_embed.fiftyone_bridge import DetailIndex
    from detail_embed.fiftyone_bridge.index import vectors
    from detail_embed.fiftyone_bridge.search import query_vectors

    index = DetailIndex(fo.load_dataset(NAME), KEY)
    query_vectors.encode(index, "a photo")
    started, cpu = time.perf_counter(), time.process_time()
    found = vectors.load(index)
    loaded, cpu = time.perf_counter() - started, time.process_time() - cpu
    started = time.perf_counter()
    index.search("a red cube", k=25).view.values("id")
    searched = time.perf_counter() - started
    lines = Path("/proc/self/status").read_text().splitlines()
    own, shared = (
        sum(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024
        for kind in ("RssAnon", "RssFile")
    )
    return (
        f"| {CASES[case]} | {found.matrix.nbytes / 1e6:.0f} | {loaded:.1f} | {cpu:.1f} "
        f"| {searched:.1f} | {own:.0f} | {shared:.0f} |"
    )


if __name__ == "__main__":
    main()
