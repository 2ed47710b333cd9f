"""The frontier of cost and quality: patches of an image, vectors kept, and mAP.

    python benchmarks/frontier.py
    python benchmarks/frontier.py --n 40 --sample 20 --passes 1 --out /tmp/look.md

One line a setting, with the knee marked, and what a cover from coarse to fine would
save. Scenes and features are kept in ``--home``: a run that was cut short goes on where
it was. Writes docs/results/frontier.md, and frontier.png into ``--home``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._frontier.coarse_to_fine import simulate  # noqa: E402
from benchmarks._frontier.page import page  # noqa: E402
from benchmarks._frontier.plot import plot  # noqa: E402
from benchmarks._frontier.points import COVERS, World, measure, timed  # noqa: E402


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/frontier")
    parser.add_argument("--n", type=int, default=300, help="scenes to search in")
    parser.add_argument("--sample", type=int, default=100, help="scenes to fit on")
    parser.add_argument("--covers", nargs="+", default=list(map(str, COVERS)),
                        help="10 must be among them")
    parser.add_argument("--passes", type=int, default=5, help="that are timed")
    parser.add_argument("--images", type=int, default=8, help="of a timed pass")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/frontier.md")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    world = World(args.home, args.n, args.sample)
    measured = {c: measure(world, c) for c in COVERS if str(c) in args.covers}
    points = [point for some, _ in measured.values() for point in some]
    made = {c: fusers for c, (_, fusers) in measured.items()}
    points = timed(world, points, made, args.images, args.passes)
    args.out.write_text(page(points, simulate(world), args.n, args.sample), "utf-8")
    plot(points, args.home / "frontier.png")
    print(args.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
