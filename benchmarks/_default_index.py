"""What an index with all settings left alone finds, against a search of all patches.

As a script it is the fresh process in which the dataset is searched.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import fiftyone as fo

    from detail_embed.clver_ds import Queries
    from detail_embed.fiftyone_bridge.index.settings import Settings

WHOLE, ONE, TEXT = "whole image", "one vector", "text search"
AUTO, MAXSIM = "panel, Auto", "MaxSim"
_INDEXES = {WHOLE: "{}_global", ONE: "{}_single", TEXT: "{}"}


def measure(dataset: fo.Dataset, key: str, settings: Settings, queries: Queries) -> str:
    """Computes an index, and types every word into FiftyOne's search and into ours.

    Args:
        dataset: the images; persistent
        key: brain key of the index
        settings: what is not left alone
        queries: the images, in the order of the dataset, and the words

    Returns:
        a table in Markdown: mAP by the side of what is looked for, and in brackets
        the share of MaxSim's, which compares with the exact features of all patches
    """
    from detail_embed.demo.table import encode, score_methods
    from detail_embed.fiftyone_bridge import DetailIndex

    index = DetailIndex(dataset, key)
    result = index.compute(settings=settings)
    print(f"{result.reason}\n{result.features}\n{result.seconds:.0f} s", flush=True)
    scores = _in_fresh_process(dataset.name, key, queries.words)
    backbone = settings.load_backbone()
    images = encode(queries.paths, backbone, settings.make_cover())
    exact = score_methods(queries, backbone, images, {})
    return _table(scores | {MAXSIM: exact[MAXSIM]}, queries.target_scale)


def _in_fresh_process(
    name: str, key: str, words: Sequence[str]
) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "words.json"
        asked.write_text(json.dumps(words))
        found = Path(folder) / "scores.npz"
        script = [sys.executable, __file__, name, key, str(asked), str(found)]
        subprocess.run(script, check=True)
        return dict(np.load(found))


def _search(dataset: fo.Dataset, key: str, words: Sequence[str]) -> dict:
    """``(q, n)`` scores by way of searching: minus the place of each image."""
    from detail_embed.fiftyone_bridge import DetailIndex

    ids = dataset.values("id")
    column = {id: i for i, id in enumerate(ids)}
    known = dataset.list_brain_runs()
    keys = {name: form.format(key) for name, form in _INDEXES.items()}
    keys = {name: own for name, own in keys.items() if own in known}
    shape = len(words), len(ids)
    scores = {n: np.full(shape, -np.inf, np.float32) for n in (*keys, AUTO)}
    index, methods = DetailIndex(dataset, key), set()
    for number, word in enumerate(words):
        ranked = {
            name: dataset.sort_by_similarity(word, brain_key=own).values("id")
            for name, own in keys.items()
        }
        found = index.search(word, k=len(ids))
        methods.add(found.method)
        for name, order in (ranked | {AUTO: found.ids}).items():
            places = [column[id] for id in order]
            scores[name][number, places] = -np.arange(len(places))
    print(f"Auto searched by {', '.join(sorted(methods))}", flush=True)
    return scores


def _table(scores: Mapping[str, np.ndarray], target_scale: np.ndarray) -> str:
    from detail_embed.evaluation import ALL, table

    rows = table(scores, target_scale, [("words", ALL)] * len(target_scale))
    found = {(row.method, row.scale): row for row in rows}
    best = {row.scale: row for row in rows if row.method == MAXSIM}
    lines = [
        f"| search | {' | '.join(best)} |",
        f"|--|{'--|' * len(best)}",
        f"| words | {' | '.join(str(row.queries) for row in best.values())} |",
    ]
    for name in scores:
        cells = [
            f"{100 * found[name, scale].map:.1f} "
            f"({100 * found[name, scale].map / top.map:.0f})"
            for scale, top in best.items()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _main() -> None:
    """Searches a dataset of the FiftyOne home that the environment names."""
    import fiftyone as fo

    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dataset", "key", "words", "scores"):
        parser.add_argument(name)
    asked = parser.parse_args()
    words = json.loads(Path(asked.words).read_text())
    np.savez(asked.scores, **_search(fo.load_dataset(asked.dataset), asked.key, words))


if __name__ == "__main__":
    _main()
