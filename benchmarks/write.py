"""How fast vectors reach MongoDB, and how much memory that takes.

    python benchmarks/write.py --sizes 5000 20000 80000

Writes vectors of a fake encoder through the bridge's sink into samples of a dataset
of its own, and as many, in chunks as large, with FiftyOne's set_values: one an image,
or some, with the box of each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _memory import peak, reset_peak  # noqa: E402

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

if TYPE_CHECKING:
    import fiftyone as fo

    from detail_embed.engine.chunk import Chunk

_FIELD = "vector"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 20_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--vectors", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--chunk", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        open_home(Path(folder) / "home")
        print("| samples | vectors of each | sink, samples/s | set_values, samples/s | "
              "ratio | CPU ms/sample | growth of peak memory, MB |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        for few in arguments.vectors:
            for size in sorted(arguments.sizes):
                print(row(size, few, arguments.dim, arguments.chunk), flush=True)


def row(size: int, few: int, dim: int, chunk: int) -> str:
    """Writes the vectors of ``size`` samples in both ways; a row of the table."""
    import fiftyone as fo

    from detail_embed.fiftyone_bridge.samples import patch_detections
    from detail_embed.fiftyone_bridge.samples.sink import VECTORS, Sink

    dataset = fo.Dataset()
    dataset.add_samples(
        (fo.Sample(filepath=f"/images/{i}.jpg") for i in range(size)),
        num_samples=size, progress=False,
    )
    patch_detections.declare_vectors(dataset, _FIELD, few > 1)
    ids = dataset.values("id")
    column = patch_detections.detections if few > 1 else VECTORS
    sink = Sink(dataset, {_FIELD: column}, "error")
    reset_peak()
    before, busy = peak(), time.process_time()
    ours = rate(sink.write, ids, few, dim, chunk)
    busy, growth = time.process_time() - busy, peak() - before
    theirs = rate(
        lambda c: dataset.set_values(
            _FIELD, dict(zip(c.ids, labels(c) if few > 1 else c.vectors)),
            key_field="id",
        ),
        ids, few, dim, chunk,
    )
    dataset.delete()
    return (
        f"| {size:,} | {few} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f} | "
        f"{1000 * busy / size:.3f} | {growth:.1f} |"
    )


def labels(chunk: Chunk) -> list[fo.Detections]:
    """The vectors of images as FiftyOne's own labels."""
    import fiftyone as fo

    return [
        fo.Detections(detections=[
            fo.Detection(label="patch", bounding_box=box.tolist(), vector=vector,
                         level=int(level))
            for vector, box, level in zip(image.vectors, image.boxes, image.levels)
        ])
        for image in chunk.patches
    ]


def rate(
    write: Callable, ids: list[str], few: int, dim: int, chunk: int
) -> float:
    """Samples per second."""
    started = time.perf_counter()
    for some in fake_chunks(ids, few, dim, chunk):
        write(some)
    return len(ids) / (time.perf_counter() - started)


def fake_chunks(ids: list[str], few: int, dim: int, size: int) -> Iterator[Chunk]:
    """Chunks of an encoder that takes no time."""
    import numpy as np

    from detail_embed.engine.chunk import Chunk, ImagePatches

    rng = np.random.default_rng(0)
    whole = rng.normal(size=(size, dim)).astype(np.float32)
    vectors = rng.normal(size=(size, few, dim)).astype(np.float32)
    boxes = rng.random((few, 4))
    levels = np.arange(few)
    patches = [ImagePatches(of_image, boxes, levels) for of_image in vectors]
    for start in range(0, len(ids), size):
        some = ids[start : start + size]
        n = len(some)
        if few == 1:
            yield Chunk(some, whole[:n], whole[:n], [])
        else:
            yield Chunk(some, vectors[:n], whole[:n], [], patches[:n])


if __name__ == "__main__":
    main()
