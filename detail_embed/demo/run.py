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
from pathlib import Path

import numpy as np
from torch.nn import functional as F

from detail_embed.clver_ds import Queries, generate, read_queries
from detail_embed.demo.fiftyone_home import isolate
from detail_embed.demo.picture import compare
from detail_embed.demo.table import GLOBAL, MAXSIM, retrieval_rows, score_methods
from detail_embed.evaluation import (
    ALL,
    Row,
    average_precision,
    plot,
    write_csv,
)
from detail_embed.fusers import Fuser

ONE = "1 vector"
_SEED = 0
_SMALL = 0.1  # side of a small object, as a fraction of the image's


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
    isolate(args.home)
    folder = args.home / f"clver-ds-{args.n}-{args.size}"
    print(f"1. {args.n} scenes of {args.size} px in {folder}")
    generate(folder, args.n, size=args.size, seed=_SEED, num_workers=2,
             progress=True)

    # FiftyOne reads its settings when it is imported: after isolate().
    from detail_embed.demo import app

    print("2. An index with all settings left alone, and one of the whole images")
    dataset = app.open_dataset(folder)
    index = app.compute_index(dataset)
    print(f"   {index.record.reason}.\n")
    print("3. How well the names of things find the scenes that show them")
    results = args.home / "results" / f"{folder.name}-{index.record.space}"
    if not (results / "try.json").is_file():
        measure(read_queries(folder), index, app.single_fuser(index), results)
    print((results / "table.txt").read_text())
    print(f"   All words, by the size of things, and as a plot: {results}\n")
    hint = json.loads((results / "try.json").read_text())
    what_to_type = (
        f"4. Type into the panel: {hint['word']}\n"
        f"   {hint['scenes']} of {args.n} scenes show one, at most "
        f"{hint['percent']:.0f} % of the image's side."
    )
    if args.no_app:
        print(what_to_type)
    else:
        address = f"   http://127.0.0.1:{args.port}  (Ctrl+C ends it)"
        app.show(dataset, args.port, f"{what_to_type}\n{address}")


def measure(queries: Queries, index, single: Fuser, results: Path) -> None:
    """Computes the retrieval table and writes it to a folder.

    Args:
        queries: the scenes and words
        index: the index of the scenes, with patch features
        single: makes its one vector per image
        results: gets table.txt, the short one; table.csv, map-over-scale.png, a
            picture that compares the indexes (compare.jpg) and, last, try.json
    """
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
    names = {GLOBAL: "the whole image", MAXSIM: "all patches"}
    names |= {name: f"{name} an image" for name in fusers}
    (results / "table.txt").write_text(short_table(rows, names))
    plot(rows, results / "map-over-scale.png")
    hint = small_word(queries, scores, default)
    compare(queries, hint["word"], {
        "the model's own whole-image vector (detail_global)": scores[GLOBAL],
        f"detail-embed, {default} an image (detail)": scores[default],
    }, results / "compare.jpg")
    (results / "try.json").write_text(json.dumps(hint))


def short_table(rows: Iterable[Row], names: Mapping[str, str]) -> str:
    """What each method finds, over all words and sizes, as text.

    Args:
        rows: of the retrieval table
        names: of the methods, for a person
    """
    found = defaultdict(list)
    for row in rows:
        if row.scale == ALL:
            found[row.method, row.bank].append((row.map, row.queries))
    banks = list(dict.fromkeys(bank for _, bank in found))
    methods = list(dict.fromkeys(method for method, _ in found))
    lines = [["mAP, %", *banks]] + [
        [names[method], *(f"{_mean(found[method, bank]):.1f}" for bank in banks)]
        for method in methods
    ]
    width = max(len(line[0]) for line in lines) + 2
    return "".join(
        f"   {name:{width}}" + "".join(f"{cell:>8}" for cell in cells) + "\n"
        for name, *cells in lines
    )


def _mean(groups: list[tuple[float, int]]) -> float:
    """The mean over the queries of groups, in percent."""
    values, counts = zip(*groups)
    return 100 * float(np.average(values, weights=counts))


def small_word(queries: Queries, scores: dict, method: str) -> dict:
    """Chooses what to type: the small thing of which most images are gained."""
    relevant = queries.target_scale > 0
    gain = relevant.sum(1) * (
        average_precision(scores[method], relevant)
        - average_precision(scores[GLOBAL], relevant)
    )
    side = queries.target_scale.max(1)
    is_thing = (np.array(queries.banks) == "things") & relevant.any(1)
    small = is_thing & (side <= max(_SMALL, side[is_thing].min()))
    chosen = int(np.where(small, gain, -np.inf).argmax())
    return {
        "word": queries.words[chosen],
        "scenes": int(relevant[chosen].sum()),
        "percent": 100 * float(side[chosen]),
    }


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
