"""How well things are found that appear in a video for a moment: best frame, or mean.

    python benchmarks/video.py --n 60 --seed 4301

Makes videos of CLVER-DS scenes in which small things appear and vanish, indexes their
frames as the operator does, and asks for every word that some video shows: mAP in
percent, by how long the thing is there. Those that are there all the time are a column
of their own.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed.demo.fiftyone_home import isolate  # noqa: E402

OUT = Path(__file__).parents[1] / "docs/results/video.md"
DURATIONS = (0.25, 0.5, 1.0, 2.0, 4.0)
SECONDS, RATE = 6.0, 8.0
SCALES = (0.05, 0.08, 0.12)
WAYS = {  # name: brain key's ending, pool, method
    "whole frame, best frame": ("_global", "best", "vectors"),
    "whole frame, mean of frames": ("_global", "mean", "vectors"),
    "one vector (gmp), best frame": ("_single", "best", "vectors"),
    "one vector (gmp), mean of frames": ("_single", "mean", "vectors"),
    "8 vectors, best frame": ("", "best", "vectors"),
    "all patches, best frame": ("", "best", "patches"),
}


def make(folder: Path, n: int, seed: int) -> Path:
    """Makes the videos: two things that appear, two or three that stay."""
    from detail_embed.clver_ds import generate_videos

    generate_videos(
        folder, n, bank="things", size=(480, 480), seed=seed, seconds=SECONDS,
        fps=RATE, objects=(2, 3), scales=SCALES, appearing=(2, 2),
        appearing_scales=SCALES, durations=DURATIONS,
    )
    return folder


def shown(dataset) -> tuple[list[str], np.ndarray]:
    """The words, and ``(q, n)`` for how many seconds each video shows them at most."""
    found: dict[str, np.ndarray] = {}
    for column, truth in enumerate(dataset.values("ground_truth.detections")):
        for label in truth:
            first, last = label.support
            seconds = (last - first + 1) / RATE if label.appears else SECONDS
            row = found.setdefault(label.label, np.zeros(len(dataset)))
            row[column] = max(row[column], seconds)
    words = sorted(found)
    return words, np.array([found[word] for word in words])


def encode(index, words: list[str]) -> np.ndarray:
    """``(d, q)``, the words as a search encodes them."""
    from detail_embed.fiftyone_bridge.search import query_vectors

    vectors = [query_vectors.encode(index, word, "own") for word in words]
    return np.stack(vectors, axis=1)


def score(index, method: str, pool: str, texts: np.ndarray, rows: dict[str, int]):
    """``(q, n)``, of every word and video, as :func:`search_videos` has them.

    Args:
        index: whose vectors or patches are compared
        method: ``"vectors"`` or ``"patches"``
        pool: ``"best"`` or ``"mean"``
        texts: ``(d, q)``
        rows: the video of each frame, by the id of the frame
    """
    from detail_embed.fiftyone_bridge.index import vectors as index_vectors
    from detail_embed.fiftyone_bridge.index.feature_stores import open_store

    vectors = index_vectors.load(index)
    store = open_store(index) if method == "patches" else None
    found = np.full((texts.shape[1], max(rows.values()) + 1), -np.inf)
    sums = np.zeros((found.shape[1], texts.shape[0]))
    for place, id in enumerate(vectors.ids):
        own = vectors.matrix[vectors.rows(place)]
        if store is not None:
            own = store.features(id).float().numpy()
            own /= np.linalg.norm(own, axis=1, keepdims=True)
        best = (own @ texts).max(0)
        found[:, rows[id]] = np.maximum(found[:, rows[id]], best)
        sums[rows[id]] += own.mean(0)
    if pool == "best":
        return found
    return (sums / np.linalg.norm(sums, axis=1, keepdims=True) @ texts).T


def check(index, word: str, scores: np.ndarray, ids: list[str], pool: str) -> None:
    """Checks that a search finds the same videos in the same order."""
    from detail_embed.fiftyone_bridge.video.search_videos import search_videos

    found = search_videos(index, word, k=len(ids), pool=pool, method="vectors")
    order = {id: found.scores[place] for place, id in enumerate(found.ids)}
    assert np.allclose([order[id] for id in ids], scores, atol=1e-4)


def average_precisions(scores: np.ndarray, seconds: np.ndarray) -> list[float]:
    """MAP in percent by duration; videos that show a word for another time are out."""
    from detail_embed.evaluation.metrics import average_precision

    values = []
    for duration in (*DURATIONS, SECONDS):
        relevant = seconds == duration
        asked = relevant.any(1)
        others = (seconds > 0) & ~relevant
        found = average_precision(scores[asked], relevant[asked], others[asked])
        values.append(100 * float(np.mean(found)) if asked.any() else np.nan)
    return values


def report(dataset) -> str:
    """Lays the numbers out as Markdown."""
    from detail_embed.fiftyone_bridge.index.index import Index

    words, seconds = shown(dataset)
    ids = dataset.values("id")
    columns = {id: i for i, id in enumerate(ids)}
    frames = dataset.values(["id", "frames.id"])
    rows = {f: columns[id] for id, own in zip(*frames) for f in own}
    texts = encode(Index(dataset, "detail"), words)
    names = [*(f"{d:g} s" for d in DURATIONS), "all 6 s"]
    lines = [f"| there for | {' | '.join(names)} |", "|--|" + "--|" * len(names)]
    for way, (ending, pool, method) in WAYS.items():
        index = Index(dataset, f"detail{ending}")
        scores = score(index, method, pool, texts, rows)
        if method == "vectors":
            check(index, words[0], scores[0], ids, pool)
        values = average_precisions(scores, seconds)
        lines.append(f"| {way} | {' | '.join(f'{v:.1f}' for v in values)} |")
        print(lines[-1], flush=True)
    counts = [int((seconds == d).any(1).sum()) for d in (*DURATIONS, SECONDS)]
    lines.append(f"| words asked | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints, and writes the table between the marks of the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=60, help="videos")
    parser.add_argument("--fps", type=float, default=4.0, help="frames a second")
    parser.add_argument("--cover", type=int, default=5, help="c of the Complete Cover")
    parser.add_argument("--seed", type=int, default=4301)
    parser.add_argument("--folder", type=Path, help="keeps videos and the database")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        folder = asked.folder or Path(name)
        isolate(folder / "home")
        from detail_embed.demo.home_database import start_database

        start_database()
        numbers = run(folder, asked)
    command = f"python benchmarks/video.py --n {asked.n} --fps {asked.fps:g}"
    command += f" --cover {asked.cover} --seed {asked.seed}"
    made = f"`{command}`, {datetime.date.today()}."
    before, _, rest = asked.out.read_text().partition("<!-- table -->\n")
    after = rest.partition("<!-- end -->")[2]
    asked.out.write_text(
        f"{before}<!-- table -->\n{made}\n\n{numbers}\n<!-- end -->{after}"
    )


def run(folder: Path, asked: argparse.Namespace) -> str:
    """Makes and indexes the videos, and measures."""
    import fiftyone as fo

    from detail_embed.backbone.bundled_model import NAME
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.index.settings import Settings
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
    from detail_embed.fiftyone_bridge.video.index_videos import index_videos

    name = f"videos-{asked.n}-{asked.seed}"
    if fo.dataset_exists(name):
        dataset = fo.load_dataset(name)
    else:
        dataset = load_clver_ds(make(folder / name, asked.n, asked.seed), name)
    settings = Settings(
        backbone=NAME, cover=asked.cover, fuser="gmp", vectors=8, keep_features="int8"
    )
    index = Index(dataset, "detail")
    if not index.has_brain_run:
        result = index_videos(index, dataset, settings, asked.fps).finish(True)
        print(f"{result.frames} frames of {result.videos} videos")
    return report(dataset)


if __name__ == "__main__":
    main()
