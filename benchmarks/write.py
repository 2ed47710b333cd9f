"""How fast vectors reach MongoDB, and how much memory that takes.

    python benchmarks/write.py --sizes 5000 20000 80000

Writes vectors of a fake encoder through the bridge's sink into samples of a dataset
of its own, and as many, in chunks as large, with FiftyOne's set_values.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _memory import peak, reset_peak  # noqa: E402

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

_FIELD = "vector"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 20_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--chunk", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        open_home(Path(folder) / "home")
        print("| samples | sink, vectors/s | set_values, vectors/s | ratio | "
              "CPU ms/vector | growth of peak memory, MB |")
        print("|--:|--:|--:|--:|--:|--:|")
        for size in sorted(arguments.sizes):
            print(row(size, arguments.dim, arguments.chunk), flush=True)


def row(size: int, dim: int, chunk: int) -> str:
    """Writes ``size`` vectors in both ways; a row of the table."""
    import fiftyone as fo

    from detail_embed.fiftyone_bridge.samples.sink import VECTORS, Sink

    dataset = fo.Dataset()
    dataset.add_samples(
        (fo.Sample(filepath=f"/images/{i}.jpg") for i in range(size)),
        num_samples=size, progress=False,
    )
    dataset.add_sample_field(_FIELD, fo.VectorField)
    ids = dataset.values("id")
    sink = Sink(dataset, {_FIELD: VECTORS}, "error")
    reset_peak()
    before, busy = peak(), time.process_time()
    ours = rate(sink.write, ids, dim, chunk)
    busy, growth = time.process_time() - busy, peak() - before
    theirs = rate(
        lambda c: dataset.set_values(
            _FIELD, dict(zip(c.ids, c.vectors)), key_field="id"
        ),
        ids, dim, chunk,
    )
    dataset.delete()
    return (
        f"| {size:,} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f} | "
        f"{1000 * busy / size:.3f} | {growth:.1f} |"
    )


def rate(write: Callable, ids: list[str], dim: int, chunk: int) -> float:
    """Vectors per second."""
    started = time.perf_counter()
    for some in fake_chunks(ids, dim, chunk):
        write(some)
    return len(ids) / (time.perf_counter() - started)


def fake_chunks(ids: list[str], dim: int, size: int) -> Iterator:
    """Chunks of an encoder that takes no time."""
    import numpy as np

    from detail_embed.engine.chunk import Chunk

    vectors = np.random.default_rng(0).normal(size=(size, dim)).astype(np.float32)
    for start in range(0, len(ids), size):
        some = ids[start : start + size]
        yield Chunk(some, vectors[: len(some)], vectors[: len(some)], [])


if __name__ == "__main__":
    main()
