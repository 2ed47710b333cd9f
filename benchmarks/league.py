"""The league table: what finds small things, by what it stores.

    python benchmarks/league.py             # all of it: hours on 2 cores
    python benchmarks/league.py --minutes 0 # without the trained fusers
    python benchmarks/league.py --share 0.1 --minutes 1 --seeds 1 --out /tmp/look.md

Scenes, features and trainings are kept in ``--home``: a run that was cut short goes
on where it was. Writes docs/results.md and docs/results/league.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _league.report import report  # noqa: E402
from _league.run import run  # noqa: E402


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/league")
    parser.add_argument("--share", type=float, default=1.0, help="of the scenes")
    parser.add_argument("--minutes", type=float, default=15,
                        help="time budget of one training; 0: none are trained")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results.md")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    measured = run(args.home, args.share, 60 * args.minutes, args.seeds)
    data = args.out.with_suffix("") / "league.json"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    args.out.write_text(report(measured), "utf-8")
    print(args.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
