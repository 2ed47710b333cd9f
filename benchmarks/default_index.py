"""What a compute with all defaults finds, against a search of all patches.

    python benchmarks/default_index.py --n 120 --seed 9101

Makes CLVER-DS scenes on backgrounds that nothing here was trained or tuned on, computes
an index with every setting left alone but the backbone, and types every word that some
scene shows into ``dataset.sort_by_similarity`` in a fresh process, and into the
panel's search. The ceiling, MaxSim, compares with the exact features of all patches.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._default_index import measure  # noqa: E402
from detail_embed.demo.fiftyone_home import open_home  # noqa: E402


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=120)
    parser.add_argument("--seed", type=int, default=9101)
    parser.add_argument("--size", type=int, default=1120)
    parser.add_argument("--bank", default="both", help="things, solids or both")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        open_home(Path(folder) / "home")
        print(_measure(Path(folder) / "scenes", arguments))


def _measure(folder: Path, asked: argparse.Namespace) -> str:
    from detail_embed import clver_ds
    from detail_embed.backbone.bundled_model import NAME as DEMO
    from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS
    from detail_embed.fiftyone_bridge.index.settings import Settings
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

    clver_ds.generate(
        folder, asked.n, bank=asked.bank, size=asked.size, seed=asked.seed,
        backgrounds=UNSEEN_KINDS,
    )
    dataset = load_clver_ds(folder, "default-index")
    queries = clver_ds.read_queries(folder)
    return measure(dataset, "detail", Settings(backbone=DEMO), queries)


if __name__ == "__main__":
    main()
