"""The main job from end to end: ``python -m detail_embed.demo.run``.

Makes scenes, indexes them in FiftyOne, prints the retrieval table and opens
the App. Whatever is there already is used again.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from pathlib import Path

import numpy as np

from detail_embed.clver_ds import Queries, generate, read_queries
from detail_embed.demo.fiftyone_home import isolate
from detail_embed.demo.picture import compare
from detail_embed.demo.table import GLOBAL, retrieval_rows, score_methods
from detail_embed.demo.validate import OPTIONS, default_fuser, fit_fusers
from detail_embed.evaluation import average_precision, format_table, plot, write_csv

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

    fuser = default_fuser()
    print(f"2. Global and detail index (fuser {fuser!r}, the better one on "
          "validation scenes)")
    dataset = app.open_dataset(folder)
    space = app.compute_indexes(dataset, fuser, OPTIONS.get(fuser, {}))
    print("3. How well words find the scenes that show them, in %")
    results = args.home / "results" / f"{folder.name}-{space.slug}"
    if not (results / "try.json").is_file():
        measure(read_queries(folder), space, results)
    print((results / "table.txt").read_text())
    print(f"   Also as CSV, and as a plot over object scale: {results}\n")
    hint = json.loads((results / "try.json").read_text())
    what_to_type = (
        f"4. Click the magnifying glass and type: {hint['word']}\n"
        f"   ({hint['scenes']} of {args.n} scenes show one, at most "
        f"{hint['percent']:.0f} % of the image's side. The gear beside it has the "
        "brain key: 'detail', or 'detail_global' to compare.\n"
        "   Or press + beside Samples and choose Detail Search: its tab Compare shows "
        "both)"
    )
    if args.no_app:
        print(what_to_type)
    else:
        address = f"   The App: http://127.0.0.1:{args.port}  (Ctrl+C ends it)"
        app.show(dataset, args.port, f"{what_to_type}\n{address}")


def measure(queries: Queries, space, results: Path) -> None:
    """Computes the retrieval table and writes it to a folder.

    Args:
        queries: the scenes and words
        space: the space of the detail index; its fuser is the one measured
        results: gets table.txt, table.csv, map-over-scale.png, a picture that
            compares the indexes (compare.jpg) and, last, try.json
    """
    fitted = fit_fusers(space.backbone, queries.paths)
    fitted[space.fuser.name] = space.fuser
    scores = score_methods(queries, space.backbone, space.cover, fitted)
    rows = retrieval_rows(queries, scores)
    results.mkdir(parents=True, exist_ok=True)
    write_csv(rows, results / "table.csv")
    (results / "table.txt").write_text(format_table(rows) + "\n")
    plot(rows, results / "map-over-scale.png")
    hint = small_word(queries, scores, space.fuser.name)
    compare(queries, hint["word"], {
        "the model's own whole-image vector (detail_global)": scores[GLOBAL],
        "detail embedding (detail)": scores[space.fuser.name],
    }, results / "compare.jpg")
    (results / "try.json").write_text(json.dumps(hint))


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
