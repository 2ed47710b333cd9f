"""Text search of many vectors an image: mapped files, and memory, side by side.

    pip install 'faiss-cpu>=1.15'    # for this benchmark alone
    python benchmarks/many_vectors.py --images 50000 200000

Synthetic vectors like those of a CLIP, with text-like queries from another cone, as in
vector_search.py, go into the files of an index; the samples into a real dataset, whose
images and labels are not there. Building is drawing, writing and coding, with the
exact answers found on the way. A search is ``DetailIndex.search``, and reading the ids
of its view from MongoDB. "In memory" is the exact way of smaller indexes, up to
``--memory-images``. What is built is kept in ``--home``; delete it afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from datetime import date, datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

_HEAD = (
    "| images | vectors | search | R@{k} | median ms | 95 % ms | CPU ms | build s | "
    "build CPU s | GB on disk | memory MB |\n"
    "|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)
_WARM_UP = 10


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[50_000])
    parser.add_argument("--per-image", type=int, default=16)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--memory-images", type=int, default=50_000)
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/many-vectors")
    arguments = parser.parse_args()
    home = arguments.home.resolve()
    os.environ["DETAIL_EMBED_DATA"] = str(home / "data")
    open_home(home / "fiftyone")
    print(
        f"{date.today()}, {os.cpu_count()} CPU cores, load "
        f"{os.getloadavg()[0]:.1f}. `python benchmarks/many_vectors.py "
        f"{' '.join(sys.argv[1:])}`\n\n{_HEAD.format(k=arguments.k)}", flush=True
    )
    for count in arguments.images:
        measure(home, count, arguments)


def measure(home: Path, count: int, arguments: argparse.Namespace) -> None:
    """Prints the rows of a number of images."""
    from benchmarks._vector_search import many

    folder = home / f"{count}x{arguments.per_image}x{arguments.dim}"
    cone = many.Cone(arguments.dim)
    queries = cone.texts(arguments.queries, 10**9)
    built = _build(folder, cone, count, queries, arguments)
    exact = np.load(folder / "exact.npy")[:, : arguments.k]
    index = _index(folder, count, arguments.per_image)
    files = index.search(queries[0], k=1).searched
    assert files == count, files

    def ids_of(query: np.ndarray) -> list[str]:
        return index.search(query, k=arguments.k).view.values("id")

    size = sum(f.stat().st_size for f in (folder / "files").rglob("*") if f.is_file())
    cells = f"{built['seconds']:.0f} | {built['cpu']:.0f} | {size / 1e9:.2f}"
    vectors = count * arguments.per_image
    _row(count, vectors, "mapped files", ids_of, queries, exact, cells)
    if count <= arguments.memory_images:
        search = _in_memory(folder, arguments.per_image, arguments.k)
        _row(count, vectors, "in memory", search, queries, exact, "– | – | –")


def _build(folder, cone, count, queries, arguments) -> dict[str, float]:
    """Draws, writes and codes the vectors, unless they are there."""
    from benchmarks._vector_search import many
    from detail_embed.patch_search.vector_files import VectorFiles

    known = folder / "built.json"
    if not known.is_file():
        started, cpu = time.perf_counter(), time.process_time()
        files = VectorFiles.create(folder / "files", "synthetic")
        exact = many.Exact(queries, arguments.k)
        for _ in files.add(many.blocks(cone, count, arguments.per_image, exact)):
            pass
        np.save(folder / "exact.npy", exact.images.numpy())
        known.write_text(json.dumps({
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }))
    return json.loads(known.read_text())


def _index(folder: Path, count: int, per_image: int):
    """A dataset with the images, and an index of ours whose files are these."""
    import fiftyone as fo

    from detail_embed.fiftyone_bridge.detail_index import DetailIndex
    from detail_embed.fiftyone_bridge.index import large
    from detail_embed.fiftyone_bridge.index.records import Record

    large.MOST_BYTES = 0  # whatever the size
    name = folder.name
    if fo.dataset_exists(name):
        dataset = fo.load_dataset(name)
    else:
        dataset = fo.Dataset(name, persistent=True)
        dataset.media_type = "image"
        dataset.add_sample_field(
            "detail_patches", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
        )
        _insert(dataset, count)
    index = DetailIndex(dataset, "detail")
    identity = {"vectors": per_image, "patches_field": None}
    index.write(Record("synthetic", "synthetic-whole", identity))
    place = large.folder(index)
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.symlink_to(folder / "files")
    return index


def _insert(dataset, count: int) -> None:
    """Adds samples whose ids are their numbers, without vectors in MongoDB."""
    from bson import ObjectId

    from benchmarks._vector_search.many import id_of

    now = datetime.now(timezone.utc)
    for start in range(0, count, 10_000):
        dataset._sample_collection.insert_many(
            [
                {
                    "_id": ObjectId(id_of(i)), "filepath": f"/images/{i}.jpg",
                    "tags": [], "_media_type": "image", "_rand": i / count,
                    "_dataset_id": dataset._doc.id, "metadata": None,
                    "created_at": now, "last_modified_at": now,
                    "detail_patches": {"_cls": "Detections", "detections": []},
                }
                for i in range(start, min(start + 10_000, count))
            ],
            ordered=False,
        )


def _in_memory(folder: Path, per_image: int, k: int):
    """The exact search of an index that fits."""
    from benchmarks._vector_search.many import id_of
    from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
    from detail_embed.patch_search.vector_files import VectorFiles

    part = VectorFiles.open(folder / "files").parts[0]
    matrix = np.concatenate(list(part.blocks(50_000)))
    ids = part.ids(slice(None))
    starts = np.arange(len(ids)) * per_image
    vectors = IndexVectors(ids, None, starts, matrix)

    def search(query: np.ndarray) -> list[str]:
        order = np.argsort(-vectors.scores(query), kind="stable")
        return [id_of(i) for i in order[:k].tolist()]

    return search


def _row(count, vectors, name, search, queries, exact, cells) -> None:
    from benchmarks._vector_search.many import id_of

    for query in queries[:_WARM_UP]:
        search(query)
    seconds, cpu, hits = [], time.process_time(), 0
    for query, images in zip(queries, exact):
        started = time.perf_counter()
        found = search(query)
        seconds.append(time.perf_counter() - started)
        hits += len(set(found) & {id_of(i) for i in images.tolist()})
    cpu = 1000 * (time.process_time() - cpu) / len(queries)
    middle, most = 1000 * np.quantile(seconds, [0.5, 0.95])
    print(
        f"| {count:,} | {vectors:,} | {name} | {hits / exact.size:.3f} | {middle:.0f} "
        f"| {most:.0f} | {cpu:.0f} | {cells} | {_own_memory():.0f} |", flush=True
    )


def _own_memory() -> float:
    """Megabytes of this process that it does not share with files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "RssAnon" in line) / 1024


if __name__ == "__main__":
    torch.set_num_threads(os.cpu_count() or 1)
    main()
