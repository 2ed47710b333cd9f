"""How often "probably not" and "nothing here looks like it" are right.

    python benchmarks/nothing_line.py --n 150 --seeds 4201 4202 4203

Makes CLVER-DS scenes on backgrounds that nothing was tuned on, draws the lines as a
computation does, and asks for every word that no fuser may know, shown by some scene or
not, for other words, and for strings that mean nothing.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _nothing_words import Asked, K, ask  # noqa: E402

from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402
from detail_embed.texts.nothing_line import LOOK  # noqa: E402

OUT = Path(__file__).parents[1] / "docs/results/nothing-line.md"
SIDES = (0.05, 0.1, 0.2, 1.01)  # where bins of an object's share of the side end
WAYS = {"patches": "all patches", "vectors": "few vectors"}
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of the level, for the curve
HIT = 70  # percent of the shown words that the plain lines are set for


def judge(
    above: np.ndarray, shown: np.ndarray, nonsense: np.ndarray | None = None
) -> np.ndarray:
    """Percent of hits that are right, shown words with one, absent words with none.

    Args:
        above: ``(q, n)`` bool
        shown: ``(q, n)`` bool
        nonsense: ``(m, n)`` bool, above the line for strings that mean nothing
    """
    there = shown.any(axis=1)
    hits = above & shown
    values = [
        hits.sum() / max(1, above.sum()),
        hits[there].any(axis=1).mean(),
        1 - above[~there].any(axis=1).mean(),
    ]
    if nonsense is not None:
        values.append(1 - nonsense.any(axis=1).mean())
    return 100 * np.array(values)


def above_line(asked: Asked, way: str, step: float = 0.0) -> np.ndarray:
    """``(q, n)`` bool, which scenes are above the line, or one so much higher.

    As a search does it, see :func:`.search.likely.find_likely`: in blocks, as long as
    some of the last are above.
    """
    line = replace(asked.lines[way], level=asked.lines[way].level + step)
    above = np.zeros(asked.side.shape, bool)
    for row, evidence in enumerate(asked.evidence[way]):
        seen = LOOK
        while seen < K and line.clearly_above(evidence[seen - LOOK : seen]).any():
            seen += LOOK
        above[row, asked.order[way][row, :seen]] = line.above(evidence[:seen])
    return above


def measure(asked: Asked, above: np.ndarray, group: str) -> np.ndarray:
    """:func:`judge` of a group of words, and nonsense."""
    rows = asked.rows(group)
    return judge(above[rows], asked.side[rows] > 0, above[asked.nonsense])


def measure_plain(asked: Asked, name: str) -> np.ndarray:
    """One line for all words, set by the labels of the words that are not held out."""
    scores, other = asked.plain[name], asked.rows("other")
    right = np.where(asked.side[other] > 0, scores[other], -np.inf).max(axis=1)
    level = np.quantile(right[np.isfinite(right)], 1 - HIT / 100)
    return measure(asked, scores >= level, "held-out")


def by_side(asked: Asked, above: np.ndarray) -> list[tuple[int, float]]:
    """For each bin of sides: shown words, and percent with a right hit of that side."""
    rows, found, start = asked.held_out, [], 0.0
    for end in SIDES:
        shown = (asked.side[rows] > start) & (asked.side[rows] <= end)
        there = shown.any(axis=1)
        hits = (above[rows] & shown)[there].any(axis=1)
        found.append((int(there.sum()), 100 * hits.mean() if there.any() else np.nan))
        start = end
    return found


def first_right(asked: Asked, way: str) -> tuple[float, float]:
    """Percent of shown words whose first image is right: by score, likely first."""
    rows = asked.held_out & (asked.side > 0).any(axis=1)
    order = asked.order[way][rows]
    above = np.take_along_axis(above_line(asked, way)[rows], order, axis=1)
    likely_first = np.argsort(~above, axis=1, kind="stable")
    shown = np.take_along_axis(asked.side[rows] > 0, order, axis=1)
    moved = np.take_along_axis(shown, likely_first, axis=1)
    return 100 * shown[:, 0].mean(), 100 * moved[:, 0].mean()


def report(all_asked: Sequence[Asked], seeds: Sequence[int]) -> str:
    """Lays the numbers out as Markdown."""
    columns = (
        "hits that are right", "shown words with a right hit",
        "absent words: nothing", "nonsense: nothing",
    )
    head = f"| {' | '.join(columns)} |\n|--|--|--|--|--|"

    def line(name: str, values: Sequence[np.ndarray]) -> str:
        mean = [f"{value:.0f}" for value in np.mean(values, axis=0)]
        return f"| {name} | {' | '.join(mean)} |"

    def at(way: str, step: float, group: str = "held-out") -> list[np.ndarray]:
        return [measure(a, above_line(a, way, step), group) for a in all_asked]

    texts = [f"| held-out words {head}"]
    for way, name in WAYS.items():
        values = at(way, 0.0)
        texts.append(line(f"**{name}**", values))
        if way == "patches":
            texts += [line(f"{name}, seed {seed}", [v]) for seed, v in
                      zip(seeds, values)]
    texts += [
        line(f"{name}: one line for all words, set by labels of others",
             [measure_plain(a, name) for a in all_asked])
        for name in all_asked[0].plain
    ]
    texts += ["", f"| other words {head}"]
    texts += [line(name, at(way, 0.0, "other")) for way, name in WAYS.items()]
    texts += ["", f"| the line higher or lower {head}"]
    texts += [line(f"{WAYS[way]} {step:+g}", at(way, step))
              for way in ("patches", "vectors") for step in STEPS]
    starts = (0.0, *SIDES)
    names = [f"{100 * a:.0f} to {min(100, 100 * b):.0f} %" for a, b in
             zip(starts, SIDES)]
    texts += ["", f"| side of the thing | {' | '.join(names)} |",
              "|--|" + "--|" * len(names)]
    for way, name in WAYS.items():
        sides = [by_side(a, above_line(a, way)) for a in all_asked]
        share = np.nanmean([[s[1] for s in each] for each in sides], axis=0)
        texts.append(f"| {name} | " + " | ".join(f"{v:.0f}" for v in share) + " |")
    words = [sum(each[i][0] for each in sides) for i in range(len(SIDES))]
    texts.append("| words, all seeds | " + " | ".join(map(str, words)) + " |")
    texts += ["", "| first image right | by score | likely first |", "|--|--|--|"]
    for way, name in WAYS.items():
        first = np.mean([first_right(a, way) for a in all_asked], axis=0)
        texts.append(f"| {name} | " + " | ".join(f"{v:.0f}" for v in first) + " |")
    shown = [(int((a.side[a.held_out] > 0).any(1).sum()), int(a.held_out.sum()))
             for a in all_asked]
    texts += ["", "Held-out words shown: "
              + ", ".join(f"{s} of {q}" for s, q in shown) + "."]
    return "\n".join(texts)


def main() -> None:
    """Measures, prints, and writes the tables between the marks of the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=150, help="scenes of a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[4201, 4202, 4203])
    parser.add_argument("--features", type=Path, help="a folder that keeps them")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    backbone = Backbone.load(DEMO)
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = arguments.features or Path(name)
        asked = [ask(backbone, folder, arguments.n, s) for s in arguments.seeds]
    print(numbers := report(asked, arguments.seeds))
    command = f"python benchmarks/nothing_line.py --n {arguments.n} --seeds"
    command = " ".join([command, *map(str, arguments.seeds)])
    made = f"`{command}`, {datetime.date.today()}."
    before, _, rest = arguments.out.read_text().partition("<!-- tables -->\n")
    after = rest.partition("<!-- end -->")[2]
    arguments.out.write_text(
        f"{before}<!-- tables -->\n{made}\n\n{numbers}\n<!-- end -->{after}"
    )


if __name__ == "__main__":
    main()
