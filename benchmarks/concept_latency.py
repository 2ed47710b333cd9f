"""How long it takes until a judgement is followed: learning, and the search by it.

Scenes are made, indexed with all patches kept, and some are judged; nothing is encoded
while it is measured but the text, once. Times are those of the processor: what else the
machine does, and the database's own work, do not count. With OMP_NUM_THREADS=1 they are
those of one core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed import clver_ds  # noqa: E402
from detail_embed.demo.fiftyone_home import isolate  # noqa: E402


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200, help="scenes")
    parser.add_argument("--size", type=int, default=448, help="their side in pixels")
    parser.add_argument("--cover", type=int, default=10, help="levels of patches")
    parser.add_argument("--rounds", type=int, default=15, help="of which the median")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        isolate(Path(folder) / "home")
        from detail_embed.demo.home_database import start_database

        start_database()
        measure(Path(folder), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Makes the index, and times each step with 1, 4 and 16 judgements of each kind."""
    from detail_embed.backbone.bundled_model import NAME
    from detail_embed.fiftyone_bridge import DetailIndex
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
    from detail_embed.fiftyone_bridge.teach.teach import learn_concept
    from detail_embed.fiftyone_bridge.teach.uncertain import most_uncertain

    clver_ds.generate(folder / "scenes", options.images, size=options.size, seed=3)
    dataset = load_clver_ds(folder / "scenes")
    index = DetailIndex(dataset, "detail")
    index.compute(
        backbone=NAME, cover=options.cover, fuser="mean", keep_features=True,
        also_global=False,
    )
    ids = dataset.values("id")
    text = "a red metal cube"
    first = timed(lambda: learn_concept(index, ids[:1], text=text), 1)
    print(f"{options.images} images, first judgement: {first:.0f} ms")
    print("| judged | learn | search by it | most uncertain |\n|--|--|--|--|")
    for count in (1, 4, 16):
        judged = ids[:count], ids[count : 2 * count]
        concept = learn_concept(index, *judged, text)
        steps = (
            lambda j=judged: learn_concept(index, *j, text),
            lambda c=concept: index.search(c.vector),
            lambda c=concept, j=judged: most_uncertain(index, dataset, c.vector, *j),
        )
        times = [f"{timed(step, options.rounds):.0f} ms" for step in steps]
        print(f"| {count} + {count} | {' | '.join(times)} |", flush=True)
    dataset.delete()


def timed(step: Callable[[], Any], rounds: int) -> float:
    """Median of the processor's time in milliseconds."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        step()
        times.append(1000 * (time.process_time() - started))
    return median(times)


if __name__ == "__main__":
    main()
