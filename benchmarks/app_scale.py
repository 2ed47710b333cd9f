"""How long the panel's part of a click takes on a large dataset, and in what memory.

    python benchmarks/app_scale.py --images 100000

Makes some scenes with the default index, and a dataset of many more samples that share
their files: their vectors are those of the scenes with a little noise, through export
and import. Then a new process opens the panel, searches, and clicks what a person
clicks: events go to the real panel on the real database, without a browser. Printed is
the time of each kind of click, and the memory of the process, which does what the App's
does. With ``--home`` the dataset stays, and the next start measures another process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from _memory import peak, reset_peak  # noqa: E402

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

if TYPE_CHECKING:
    import fiftyone as fo

    from tests.browser import Browser

WORDS = ("cupcake", "bucket", "fish", "key", "red metal cube", "blue rubber sphere",
         "green cone", "whale", "pizza", "a yellow cup")
DATASET = "app-scale"
NOISE = 0.03  # length of what is added to a vector of length 1


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--scenes", type=int, default=500, help="that are encoded")
    parser.add_argument("--vectors", type=int, default=8, help="kept of an image")
    parser.add_argument("--home", type=Path, help="folder that is kept")
    parser.add_argument("--make", action="store_true", help="make the dataset alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = (options.home or Path(folder)).resolve()
        if options.make:
            open_home(home / "home")
            make(home, options)
        else:
            if not (home / "many.parquet").exists():
                again = [*sys.argv, "--make", "--home", str(home)]
                subprocess.run([sys.executable, *again], check=True)
            open_home(home / "home")
            import fiftyone as fo

            measure(fo.load_dataset(DATASET))


def make(folder: Path, options: argparse.Namespace) -> None:
    """Makes a dataset of links to a few files, and its index."""
    import fiftyone as fo

    from detail_embed import clver_ds
    from detail_embed.backbone.bundled_model import NAME
    from detail_embed.fiftyone_bridge import DetailIndex
    from detail_embed.fiftyone_bridge.exchange.import_vectors import import_vectors
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

    clver_ds.generate(folder / "scenes", options.scenes, size=560, seed=7)
    scenes = load_clver_ds(folder / "scenes", "app-scale-scenes")
    index = DetailIndex(scenes, "detail")
    index.compute(backbone=NAME, vectors=options.vectors, also_global=False)
    index.export(folder / "few.parquet")
    paths = scenes.values("filepath")
    scenes.delete()

    links = folder / "links"
    links.mkdir()
    rounds = -(-options.images // len(paths))
    copies = {path: [links / f"{r:04d}-{Path(path).name}" for r in range(rounds)]
              for path in paths}
    for path, names in copies.items():
        for name in names:
            name.symlink_to(path)
    dataset = fo.Dataset(DATASET, persistent=True)
    every = [name for names in zip(*copies.values()) for name in names]
    dataset.add_samples([fo.Sample(filepath=str(p)) for p in every[: options.images]])
    ids = dict(zip(*dataset.values(["filepath", "id"])))
    multiply(folder / "few.parquet", folder / "many.parquet", copies, ids)
    started = time.monotonic()
    import_vectors(
        Index.of(dataset, "detail"), dataset, folder / "many.parquet"
    ).finish(progress=True)
    print(f"{len(dataset)} images, imported in {time.monotonic() - started:.0f} s")


def multiply(
    few: Path, many: Path, copies: dict[str, list[Path]], ids: dict[str, str]
) -> None:
    """Writes the rows of a file once for every copy, with noise."""
    rng = np.random.default_rng(0)
    table = pq.read_table(few)
    start = np.stack(table["vector"].to_numpy(zero_copy_only=False))
    paths = table["filepath"].to_pylist()
    dropped = [name for name in ("label_id", "state", "content")
               if name in table.column_names]
    table = table.drop_columns(dropped)
    with pq.ParquetWriter(many, table.schema) as writer:
        for number in range(len(copies[paths[0]])):
            names = [str(copies[path][number]) for path in paths]
            noise = rng.standard_normal(start.shape) * NOISE / np.sqrt(start.shape[1])
            rows = (start + noise).astype(np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            values = {
                "filepath": pa.array(names),
                "id": pa.array([ids.get(name, "0" * 24) for name in names]),
                "vector": pa.array(list(rows), table.schema.field("vector").type),
            }
            for name, column in values.items():
                place = table.schema.get_field_index(name)
                table = table.set_column(place, table.schema.field(name), column)
            writer.write_table(table)


def measure(dataset: fo.Dataset) -> None:
    """Clicks, and prints what it took."""
    import fiftyone.operators as foo

    from tests.browser import PANEL, Browser

    panel = foo.get_operator(PANEL)
    warm_up = sys.modules[type(panel).__module__].warm_up
    warm_up.is_imported()
    warm_up._imports.join()
    browser = Browser(panel, dataset.name)
    before = now_in_memory()
    times: dict[str, list[float]] = {}
    for name, event, params in clicks(browser):
        reset_peak()
        started = time.perf_counter()
        browser.event(event, **params)
        took = time.perf_counter() - started
        times.setdefault(name, []).append(took)
        print(f"  {name}: {took:.2f} s, peak {peak():.0f} MB, "
              f"{browser.message or ''}", file=sys.stderr, flush=True)
    print(f"memory: {before:.0f} MB before, {now_in_memory():.0f} MB after\n")
    print("| click | n | p50 (s) | p95 (s) | worst (s) |\n|--|--:|--:|--:|--:|")
    for name, values in times.items():
        low, high = np.quantile(values, [0.5, 0.95])
        print(f"| {name} | {len(values)} | {low:.2f} | {high:.2f} | "
              f"{max(values):.2f} |")


def clicks(browser: Browser) -> Iterator[tuple[str, str, dict]]:
    """What a person does, with the name it has in the table."""
    yield "the first opening", "on_load", {}
    yield "the first search", "on_enter", {"text": "a warm-up", "how": "instead"}
    for _ in range(5):
        yield "opening the panel", "on_load", {}
    for number, word in enumerate(2 * WORDS):
        text = f"{word} {number}"
        yield "a search", "on_enter", {"text": text, "how": "instead"}
        yield "close-ups", "on_close_ups", {}
        yield "images again", "on_close_ups", {}
        low = browser.get("search.result.low") or 10
        browser.fill(threshold=round(low + 1 + number % 4, 1))
        yield "a threshold", "on_threshold", {}
        browser.fill(threshold=None)
        yield "no threshold", "on_threshold", {}
        if number % 4 == 0:
            also = {"text": WORDS[number % 7], "how": "also"}
            yield "a second prompt", "on_enter", also
    for name in ("indexes", "curate", "compare", "search"):
        for _ in range(5):
            browser.state["tab"] = name
            yield f"tab {name}", "on_tab", {}
    for _ in range(5):
        yield "an index of the table", "on_index_row", {"row": 0}


def now_in_memory() -> float:
    """MB of this process."""
    reset_peak()
    return peak()


if __name__ == "__main__":
    main()
