"""The main job from end to end: ``python -m detail_embed.demo.run``.

Makes scenes, indexes them in FiftyOne, prints the retrieval table and opens
the App. Whatever is there already is used again.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch.nn import functional as F

from detail_embed.clver_ds import Queries, generate, read_queries
from detail_embed.demo.fiftyone_home import open_home
from detail_embed.demo.picture import compare
from detail_embed.demo.table import GLOBAL, MAXSIM, retrieval_rows, score_methods
from detail_embed.evaluation import ALL, Row, plot, write_csv
from detail_embed.fusers import Fuser

ONE = "1 vector"
_SEED = 0
_EXAMPLES = "examples.json"


def main() -> None:
    """Runs the command line."""
    try:
        _run(_parse())
    except ValueError as error:
        sys.exit(f"demo: {error}")


def _run(args: argparse.Namespace) -> None:
    if not args.no_app and _is_taken(args.port):
        sys.exit(f"Port {args.port} is in use, maybe by this demo: close that, or "
                 "choose another: make demo PORT=5152")
    open_home(args.home)
    folder = args.home / f"clver-ds-{args.n}-{args.size}"
    print(f"1. {args.n} scenes of {args.size} px in {folder}")
    generate(folder, args.n, size=args.size, seed=_SEED, num_workers=2,
             progress=True)

    # FiftyOne reads its settings when it is imported: after open_home().
    from detail_embed.demo import app

    print("2. An index with all settings left alone, and one of the whole images")
    dataset = app.open_dataset(folder)
    index = app.compute_index(dataset)
    print(f"   {index.record.reason}.\n")
    print("3. How well the names of things find the scenes that show them: mAP in %")
    results = args.home / "results" / f"{folder.name}-{index.record.space}"
    if not (results / _EXAMPLES).is_file():
        measure(read_queries(folder), index, app.single_fuser(index), results)
    print((results / "table.txt").read_text())
    print(f"   By words, by the size of things, and as a plot: {results}\n")
    examples = json.loads((results / _EXAMPLES).read_text())
    app.offer(dataset, [example["word"] for example in examples])
    what_to_do = _what_to_do(examples[:1], args.n)
    if args.no_app:
        print(what_to_do)
    else:
        address = f"http://127.0.0.1:{args.port}  (Ctrl+C ends it)"
        app.show(dataset, args.port, f"{what_to_do}\n{address}")


def measure(queries: Queries, index, single: Fuser, results: Path) -> None:
    """Computes the retrieval table and writes it to a folder.

    Args:
        queries: the scenes and words
        index: the index of the scenes, with patch features
        single: makes its one vector per image
        results: gets table.txt, the short one; table.csv, map-over-scale.png, a
            picture that compares the indexes (compare.jpg) and, last, examples.json
    """
    from detail_embed.demo.examples import best_first, find_examples

    space, dataset, store = index.space, index.dataset, index.store()
    ids = dict(zip(*dataset.values(["filepath", "id"])))
    images = (
        F.normalize(store.features(ids[str(path.absolute())]), dim=1)
        for path in queries.paths
    )
    fusers = {ONE: single}
    if index.record.vectors > 1:
        fusers[f"{index.record.vectors} vectors"] = space.fuser
    default = [*fusers][-1]
    scores = score_methods(queries, space.backbone, images, fusers)
    rows = retrieval_rows(queries, scores)
    results.mkdir(parents=True, exist_ok=True)
    write_csv(rows, results / "table.csv")
    names = {GLOBAL: "the whole image"}
    names |= {name: f"{name} an image" for name in fusers}
    names[MAXSIM] = "all patches"
    (results / "table.txt").write_text(short_table(rows, names))
    plot(rows, results / "map-over-scale.png")
    examples = find_examples(queries, scores, default, index)
    pictured = best_first(queries, scores, default)[0]
    compare(queries, queries.words[pictured], {
        "the model's own whole-image vector (detail_global)": scores[GLOBAL],
        f"detail-embed, {default} an image (detail)": scores[default],
    }, results / "compare.jpg")
    (results / _EXAMPLES).write_text(json.dumps([asdict(e) for e in examples]))


def _what_to_do(first: list[dict], scenes: int) -> str:
    if not first:
        return "Type what you look for into the panel."
    example = first[0]
    return (
        f"Type “{example['word']}” into the panel: {example['scenes']} of {scenes} "
        f"scenes show one, at most {example['percent']:.0f} % of the image's side."
    )


def short_table(rows: Iterable[Row], names: Mapping[str, str]) -> str:
    """What each method finds, of things of any size, as text.

    Args:
        rows: of the retrieval table
        names: of the methods, for a person
    """
    found = defaultdict(list)
    for row in rows:
        if row.scale == ALL:
            found[row.method, "all words"].append((row.map, row.queries))
            if row.words != "proxy":
                found[row.method, "held-out words"].append((row.map, row.queries))
    columns = list(dict.fromkeys(column for _, column in found))
    lines = [["", *columns]] + [
        [name, *(f"{_mean(found[method, column]):.1f}" for column in columns)]
        for method, name in names.items()
    ]
    width = max(len(line[0]) for line in lines)
    return "".join(
        f"   {name:{width}}" + "".join(f"{cell:>17}" for cell in cells) + "\n"
        for name, *cells in lines
    )


def _mean(groups: list[tuple[float, int]]) -> float:
    """The mean over the queries of groups, in percent."""
    values, counts = zip(*groups)
    return 100 * float(np.average(values, weights=counts))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=Path(".demo"),
                        help="folder of the scenes, results and FiftyOne home")
    parser.add_argument("--n", type=int, default=200, help="number of scenes")
    parser.add_argument("--size", type=int, default=1120, help="side in pixels")
    parser.add_argument("--port", type=int, default=5151, help="of the App")
    parser.add_argument("--no-app", action="store_true",
                        help="stop after the table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
