"""What a compute with all defaults finds, against a search of all patches.

    python benchmarks/default_index.py --n 120 --seed 9101

Makes CLVER-DS scenes on backgrounds that nothing here was trained or tuned on, computes
an index with every setting left alone but the backbone, and types every word that some
scene shows into ``dataset.sort_by_similarity`` in a fresh process, and into the
panel's search. The ceiling, MaxSim, compares with the exact features of all patches.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed.demo.fiftyone_home import isolate  # noqa: E402

NAME, KEY = "default-index", "detail"
TEXT, WHOLE, ONE = "text search", "whole image", "one vector"
AUTO, MAXSIM = "panel, Auto", "MaxSim"
_INDEXES = {TEXT: KEY, WHOLE: f"{KEY}_global", ONE: f"{KEY}_single"}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=120)
    parser.add_argument("--seed", type=int, default=9101)
    parser.add_argument("--size", type=int, default=1120)
    parser.add_argument("--bank", default=None, help="things or solids")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        isolate(arguments.search / "home")
        return search(arguments.search)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        isolate(folder / "home")
        compute(folder, arguments)
        subprocess.run([sys.executable, __file__, "--search", name], check=True)
        report(folder)


def compute(folder: Path, arguments: argparse.Namespace) -> None:
    """Makes scenes and the index."""
    from detail_embed import clver_ds
    from detail_embed.backbone.bundled_model import NAME as DEMO
    from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS
    from detail_embed.fiftyone_bridge import DetailIndex
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

    bank = {"bank": arguments.bank} if arguments.bank else {}
    clver_ds.generate(
        folder / "scenes", arguments.n, size=arguments.size, seed=arguments.seed,
        backgrounds=UNSEEN_KINDS, **bank,
    )
    dataset = load_clver_ds(folder / "scenes", NAME)
    dataset.persistent = True
    result = DetailIndex(dataset, KEY).compute(backbone=DEMO)
    print(f"{result.reason}\n{result.features}\n{result.seconds:.0f} s", flush=True)


def search(folder: Path) -> None:
    """Ranks all scenes for every word, by FiftyOne's search and by ours."""
    import fiftyone as fo

    from detail_embed.clver_ds import read_queries
    from detail_embed.fiftyone_bridge import DetailIndex

    dataset = fo.load_dataset(NAME)
    queries, paths = read_queries(folder / "scenes"), dataset.values("filepath")
    place = {Path(path).name: i for i, path in enumerate(map(str, queries.paths))}
    row = {id: place[Path(p).name] for id, p in zip(dataset.values("id"), paths)}
    scores = {
        name: np.full((len(queries.words), len(paths)), -np.inf, np.float32)
        for name in (*_INDEXES, AUTO)
    }
    index, methods = DetailIndex(dataset, KEY), set()
    for number, word in enumerate(queries.words):
        for name, key in _INDEXES.items():
            ids = dataset.sort_by_similarity(word, brain_key=key).values("id")
            _rank(scores[name][number], [row[id] for id in ids])
        found = index.search(word, k=len(paths))
        methods.add(found.method)
        _rank(scores[AUTO][number], [row[id] for id in found.ids])
    print(f"Auto searched by {', '.join(methods)}")
    np.savez(folder / "scores.npz", **scores)


def report(folder: Path) -> None:
    """Prints mAP, and what part of MaxSim's that is."""
    from detail_embed.backbone import Backbone
    from detail_embed.backbone.bundled_model import NAME as DEMO
    from detail_embed.clver_ds import read_queries
    from detail_embed.cover import CompleteCover
    from detail_embed.demo.table import encode, score_methods
    from detail_embed.evaluation import ALL, table

    queries = read_queries(folder / "scenes")
    backbone = Backbone.load(DEMO)
    images = encode(queries.paths, backbone, CompleteCover(10))
    exact = score_methods(queries, backbone, images, {})
    scores = dict(np.load(folder / "scores.npz")) | {MAXSIM: exact[MAXSIM]}
    groups = [("words", ALL)] * len(queries.words)
    rows = table(scores, queries.target_scale, groups)
    best = {row.scale: row.map for row in rows if row.method == MAXSIM}
    print(f"\n| search | {' | '.join(best)} |\n|--|{'--|' * len(best)}")
    for name in (WHOLE, ONE, TEXT, AUTO, MAXSIM):
        found = {row.scale: row for row in rows if row.method == name}
        cells = [
            f"{100 * found[scale].map:.1f} ({100 * found[scale].map / top:.0f} %)"
            for scale, top in best.items()
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def _rank(row: np.ndarray, order: list[int]) -> None:
    row[order] = -np.arange(len(order), dtype=np.float32)


if __name__ == "__main__":
    main()
