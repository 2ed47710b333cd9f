"""Is there a better score than the best patch: soft pooling, and a part for each thing?

    python benchmarks/pooling.py               # about half an hour on 2 cores
    python benchmarks/pooling.py --share 0.1 --out /tmp/look.md

Scenes and features are kept in ``--home``. Writes docs/results/pooling.md.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._pooling import pairs, soft  # noqa: E402
from benchmarks._pooling.page import page  # noqa: E402
from benchmarks._pooling.world import World  # noqa: E402


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/pooling")
    parser.add_argument("--share", type=float, default=1.0, help="of the scenes")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/pooling.md")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    world = World(args.home, args.share)
    tuning, judged = world.side(is_tuning=True), world.side(is_tuning=False)
    measured = soft.compare(tuning, judged)
    logging.info("one thing: done")
    both = pairs.both(world, tuning, judged)
    but_not = pairs.but_not(world, judged)
    names = pairs.split_names(world, judged)
    one = {
        "a colour or a material, and a shape": pairs.attributes(world),
        "two wordings": pairs.wordings(world, judged),
    }
    written = page(measured, both, one, but_not, names, len(judged.many.ids))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(written, "utf-8")
    print(written)


if __name__ == "__main__":
    main()
