"""How much examples teach: a concept's vector against the text alone.

    python benchmarks/teach.py --c 5

Makes CLVER-DS scenes, encodes them once (they stay in --home), and teaches words by
some images that show them. The method was chosen on the words, scenes and backgrounds
of --part tune; docs/results/teach.md says what was changed after a look at the others.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from _teach import rounds  # noqa: E402
from _teach.measure import COUNTS, Taught, background_of, drawn, teach  # noqa: E402
from _teach.scenes import Scenes, make  # noqa: E402

from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.concepts import Background  # noqa: E402
from detail_embed.evaluation import bootstrap  # noqa: E402
from detail_embed.texts.templates import encode_queries  # noqa: E402

SEEDS = {"tune": 4801, "judge": 4802}
MADE_UP = ("blorfle", "quendrix", "snurple", "vatomy", "zibbet", "glaxon", "prindle",
           "moxwort")
NAMES = ("its name", "a made-up name", "no text", "a general word")
HEAD = "| what it is called | example | " + " | ".join(
    f"n = {n}" for n in COUNTS) + " |\n|--|--|" + "--:|" * len(COUNTS)


def texts_of(backbone: Backbone, scenes: Scenes) -> dict[str, np.ndarray | None]:
    """What a person may call each word: of "red metal cube" the general one is cube."""
    count = len(scenes.words)
    made_up = encode_queries(backbone, MADE_UP).cpu().numpy()
    general = [word.split()[-1] for word in scenes.words]
    return {
        "its name": scenes.texts,
        "a made-up name": made_up[np.arange(count) % len(made_up)],
        "no text": None,
        "a general word": encode_queries(backbone, general).cpu().numpy(),
    }


def words_of(scenes: Scenes, name: str) -> range:
    """Of the words, those with a general one are the second half: the solids."""
    count = len(scenes.words)
    return range(count // 2 if name == "a general word" else 0, count)


def cells(values: np.ndarray, worst: bool = False) -> str:
    """Mean over words and its interval, and the worst word, for each count.

    Args:
        values: ``(words, counts, draws)``, NaN for a word with too few images
        worst (False): whether to say it
    """
    texts = []
    for column in values.mean(axis=2).T:
        column = column[~np.isnan(column)]
        low, high = bootstrap(column)
        text = f"{column.mean():.1f} ({low:.1f} to {high:.1f})"
        texts.append(text + f", worst {column.min():.0f}" if worst else text)
    return " | ".join(texts)


def tables(taught: dict[tuple[str, bool], Taught]) -> str:
    """Lays the numbers of all names out as Markdown."""
    how = {False: "image", True: "box"}
    lines = ["mAP in %, interval of 95 % over words:", "", HEAD]
    plain = taught["its name", False]
    lines.append(f"| its name | none | {cells(plain.plain)} |")
    lines += [f"| {name} | {how[box]} | {cells(t.learned)} |"
              for (name, box), t in taught.items()]
    lines += ["", "Points above the true name alone, on the same images:", "",
              HEAD]
    lines += [f"| {name} | {how[box]} | {cells(t.learned - t.plain, worst=True)} |"
              for (name, box), t in taught.items() if name == "its name"]
    lines += ["", "Percent of what the true name alone reaches:", "", HEAD]
    for (name, box), t in taught.items():
        if name != "its name":
            share = 100 * np.nanmean(t.learned, (0, 2)) / np.nanmean(t.plain, (0, 2))
            texts = " | ".join(f"{value:.0f}" for value in share)
            lines.append(f"| {name} | {how[box]} | {texts} |")
    return "\n".join(lines)


def examples(
    scenes: Scenes, texts: dict, background: Background, draws: int, seed: int
) -> str:
    """The tables of examples, and how long it took."""
    taught = {
        (name, boxes): teach(
            scenes, texts[name], background, words_of(scenes, name), boxes, draws, seed
        )
        for name in NAMES for boxes in (False, True)
    }
    each = 1000 * np.concatenate([t.seconds for t in taught.values()])
    return (
        f"{tables(taught)}\n\nMilliseconds to learn one: median {np.median(each):.0f},"
        f" 95 % below {np.quantile(each, 0.95):.0f}.\n"
    )


def thumbs(
    scenes: Scenes, texts: dict, background: Background, seed: int, step: int
) -> str:
    """The table of rounds."""
    ends = [10 * r for r in (1, 3, 5)]
    lines = [
        "| typed | before | words | way | "
        + " | ".join(f"found of {n} judged" for n in ends)
        + " | times plain, all judged | mAP on the rest |",
        "|--|--|--|--|" + "--:|" * (len(ends) + 2),
    ]
    for name, boxed in (("its name", False), ("a general word", False),
                        ("a made-up name", False), ("a made-up name", True)):
        words = words_of(scenes, name)[::step]
        known = [int(next(drawn(scenes, w, 1, seed))[0]) if boxed else None
                 for w in words]
        plain = np.array([rounds.plain(scenes, texts[name][w], w, k)
                          for w, k in zip(words, known)])
        hard = np.argsort(plain[:, -1], kind="stable")[: len(words) // 2]
        results = {}
        for way in rounds.WAYS:
            each = [rounds.judge(scenes, texts[name][w], w, background, way, k)
                    for w, k in zip(words, known)]
            results[way] = tuple(map(np.array, zip(*each)))
        for which, rows in (("all", slice(None)), ("hard half", hard)):
            start = f"| {name} | {'a box' if boxed else '-'} | {which} |"
            found = " | ".join(f"{v:.1f}" for v in plain[rows].mean(axis=0)[[0, 2, 4]])
            lines.append(f"{start} plain | {found} | 1 | |")
            for way, (counts, rest) in results.items():
                got = counts[rows]
                found = " | ".join(f"{v:.1f}" for v in got.mean(axis=0)[[0, 2, 4]])
                ratio = got[:, -1].sum() / max(1, plain[rows][:, -1].sum())
                lines.append(f"{start} {way} | {found} | {ratio:.2f} | "
                             f"{np.nanmean(rest[rows]):.1f} |")
    shown = scenes.shows.sum(axis=1)
    return "\n".join([*lines, "", f"A word is shown by {shown.mean():.1f} images."])


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/teach")
    parser.add_argument("--part", choices=SEEDS, default="judge")
    parser.add_argument("--n", type=int, default=300, help="scenes")
    parser.add_argument("--c", type=int, default=5, help="of the cover")
    parser.add_argument("--draws", type=int, default=2, help="of positives, a word")
    parser.add_argument("--seed", type=int, default=11, help="of the draws")
    parser.add_argument("--step", type=int, default=1, help="every so many words judge")
    parser.add_argument("--only", choices=("examples", "rounds"))
    args = parser.parse_args(arguments)
    torch.set_num_threads(2)
    backbone = Backbone.load("detail-demo")
    scenes = make(backbone, args.home, args.part, args.n, SEEDS[args.part], args.c)
    background, texts = background_of(scenes), texts_of(backbone, scenes)
    print(f"{datetime.date.today()}, {args.part}, {len(scenes.words)} words, "
          f"{args.n} scenes of {scenes.patches.shape[1]} patches.\n", flush=True)
    if args.only != "rounds":
        print(examples(scenes, texts, background, args.draws, args.seed), flush=True)
    if args.only != "examples":
        print(thumbs(scenes, texts, background, args.seed, args.step))


if __name__ == "__main__":
    main()
