"""Our engine against the bare encoder, FiftyOne and Pillow, in one run.

    python benchmarks/engine.py
    python benchmarks/engine.py --backbones ViT-B-32 --sizes 2240 4000x3000 mixed

Prints, for each backbone, size of images and cover, patches per second of (a) the bare
encoder on patches that lie on the device, at the best batch size, by one caller or by
workers as the engine has them, whichever is faster; (b) our engine from JPEG files to
stored vectors, (c) FiftyOne's compute_patch_embeddings of the same model over the same
boxes, mean-pooled, and (d) Pillow's crops with open_clip's preprocessing in threads;
their ratios; where the time of (b) goes; and its peak memory. The ways take turns, so
that what else the machine does hits all of them. Weights other than the demo
backbone's are random: that changes no speed.

The limit is what no engine is above that does all on the same cores: the time of (a),
and that of decoding files at full size and cutting them in as many workers, one after
the other. On a GPU, which encodes beside, there is none.

``--by-processor`` is for a machine that others use, too: rates are those of the seconds
of the processor that this process takes, spread over all cores, as if none ever waited.
That leaves out what the engine loses by waiting, and what MongoDB takes.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # noqa: E402
from _engine import contestants  # noqa: E402
from _engine.case import Case, make_case, make_files  # noqa: E402
from _engine.stages import stages  # noqa: E402
from _memory import peak, reset_peak  # noqa: E402

from benchmarks._engine.encoder import best_way, clock  # noqa: E402
from detail_embed.backbone import (
    Backbone,
)
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

_SLOW = {"c": contestants.by_fiftyone, "d": contestants.by_pillow}
_MOST_SLOW = 4  # images of the slow ways
_FEWEST = 8  # images: with fewer, workers would wait for the last one


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=[DEMO, "ViT-B-32"])
    parser.add_argument("--sizes", nargs="+", default=["1120", "2240"],
                        help="side, or widthxheight, or mixed")
    parser.add_argument("--covers", nargs="+", type=int, default=[5, 10])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of a measurement")
    parser.add_argument("--images", type=int, default=200, help="at most, of a size")
    parser.add_argument("--ways", default="abcd", help="which to measure")
    parser.add_argument("--by-processor", action="store_true",
                        help="by seconds of the processor, where others use it, too")
    arguments = parser.parse_args()
    clock.by_processor = arguments.by_processor
    print(f"{_machine()}, torch {torch.__version__}\n")
    with tempfile.TemporaryDirectory() as folder:
        if contestants.has_fiftyone():
            open_home(Path(folder) / "home")
        files = {
            size: make_files(Path(folder), size, arguments.images)
            for size in arguments.sizes
        }
        print("| backbone | size | c | (a) bare, patches/s | (b) engine | b/a | "
              "b/limit | b/c | b/d | images/s | peak memory, MB |")
        print("|--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
        details, ways = [], {}
        for name in arguments.backbones:
            backbone = Backbone.load(name, device=arguments.device)
            ways[name] = way = best_way(backbone)
            for size in arguments.sizes:
                for c in arguments.covers:
                    case = make_case(backbone, c, size, files[size], way)
                    print(_row(case, arguments), flush=True)
                    details.append((case, stages(case)))
        _print_stages(details)
        for name, (size, in_workers) in ways.items():
            layout = "parallel workers" if in_workers else "one caller"
            print(f"\n(a) of {name}: {size} patches at a time, {layout}")


def _row(case: Case, arguments: argparse.Namespace) -> str:
    images = _count(case, arguments)
    rates: dict[str, list[float]] = {way: [] for way in "abcdr"}
    contestants.engine(case, 1)  # what is done once is no part of it
    _peak(case)
    before, most = _peak(case), 0.0
    for turn in range(arguments.rounds):
        rates["b"].append(contestants.engine(case, images))
        most = max(most, _peak(case))
        rates["a"].append(contestants.bare(case, images))
        rates["r"].append(contestants.reading(case, images))
        if not turn:
            for way in _slow_ways(arguments):
                _SLOW[way](case, 1)
                rates[way].append(_SLOW[way](case, min(images, _MOST_SLOW)))
        _peak(case)
    bare, ours, reading = (statistics.median(rates[way]) for way in "abr")
    limit = f"{ours * (1 / bare + 1 / reading):.2f}"
    if case.backbone.device.type == "cuda":
        limit = "–"
    slow = [f"{ours / rates[way][0]:.1f}" if rates[way] else "–" for way in "cd"]
    return (
        f"| {case.backbone.name} | {case.size} | {case.cover.c} | {bare:,.0f} | "
        f"{ours:,.0f} | {ours / bare:.2f} | {limit} | {slow[0]} | {slow[1]} | "
        f"{ours / case.per_image:.2f} | {before:,.0f} + {most - before:,.0f} |"
    )


def _slow_ways(arguments: argparse.Namespace) -> list[str]:
    return [
        way for way in _SLOW
        if way in arguments.ways and (way != "c" or contestants.has_fiftyone())
    ]


def _count(case: Case, arguments: argparse.Namespace) -> int:
    """Images that the encoder takes ``--seconds`` for."""
    rate = contestants.bare(case, 1)
    wanted = int(arguments.seconds * rate / case.per_image)
    return max(_FEWEST, min(wanted, len(case.files)))


def _peak(case: Case) -> float:
    """Most memory of the process, or of the GPU, since it was last asked, MB."""
    if case.backbone.device.type == "cuda":
        found = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
        return found
    found = peak()
    reset_peak()
    return found


def _print_stages(details: list[tuple[Case, dict[str, float]]]) -> None:
    names = list(details[0][1])
    print("\nEach stage alone, ms per image (share of the encoder's time)\n")
    print(f"| backbone | size | c | {' | '.join(names)} |")
    print(f"|--|--:|--:|{'--:|' * len(names)}")
    for case, times in details:
        cells = [
            f"{times[name]:.1f} ({100 * times[name] / times['encode']:.0f} %)"
            for name in names
        ]
        row = (case.backbone.name, case.size, case.cover.c, *cells)
        print(f"| {' | '.join(map(str, row))} |")


def _machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
