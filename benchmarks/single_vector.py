"""What limits one vector per image, and what was tried to get beyond.

    python benchmarks/single_vector.py

Closed forms throughout: each takes seconds and nothing depends on how long it was
trained. Measured on the league's validation scenes and tuning words, never on its test
scenes. Writes docs/results/single-vector.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from _league.data import make, scene_sets  # noqa: E402
from _league.run import split_words  # noqa: E402
from _league.single import (  # noqa: E402
    Closed,
    Measured,
    best_patches,
    competition,
    pseudo_words,
    reduced,
    snapped,
    text_map,
    whitened,
)
from torch import Tensor  # noqa: E402

from detail_embed import fusers  # noqa: E402
from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.cover import CompleteCover  # noqa: E402
from detail_embed.texts.text_cache import encode_vocabulary  # noqa: E402
from detail_embed.texts.vocabulary import Vocabulary  # noqa: E402
from detail_embed.training import Stored  # noqa: E402

_SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
_SIZES = (50, 100, 200, 400)
_COLUMNS = (
    "| | words of the fit | held-out words | held-out, side <= 8 % | "
    "one large thing, held-out |\n| --- | --- | --- | --- | --- |\n"
)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/league")
    parser.add_argument("--share", type=float, default=1.0, help="of the scenes")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs/results/single-vector.md"
    )
    args = parser.parse_args()
    backbone, cover = Backbone.load("detail-demo"), CompleteCover(10)
    made = {
        name: make(args.home, scenes, backbone, cover)
        for name, scenes in scene_sets(args.share).items()
        if name in ("train", "validation", "validation-whole")
    }
    words = split_words(backbone)
    measured = Measured(made["validation"], made["validation-whole"], words.names)
    train = made["train"]
    images = Stored(train.store, train.ids).batch(range(min(2000, len(train.ids))))[0]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", encoding="utf-8") as out:
        out.write(_HEAD)
        for title, text, rows in _study(measured, images, words, backbone):
            out.write(f"\n## {title}\n\n{text}\n\n{_COLUMNS}")
            out.writelines(
                f"| {name} | {' | '.join(cells)} |\n" for name, cells in rows
            )
            out.flush()
    print(args.out.read_text("utf-8"))


def _study(measured: Measured, images: Tensor, words, backbone: Backbone):
    """``(title, text, rows)`` of each table, as they are measured."""
    texts, few = words.train, images[:400]
    base = Closed(texts, few)

    def row(name: str, embed: Callable[[Tensor], Tensor]):
        return name, measured.cells(embed)

    yield "Ends of the scale", _ENDS, [
        row("the whole image alone", lambda x: x[:, 0]),
        row("MaxSim over all patches", lambda x: x),
        row("closed form, w = 0", base),
    ]
    yield "The share of the whole image", _SHARE, [
        row(f"w = {w:g}", Closed(texts, few, share=w)) for w in _SHARES
    ]
    rows = few.flatten(0, 1)
    yield "The same share in a few vectors", _FEW, [
        row(f"k = {k}, w = {w:g}", fusers.create(
            "few", texts.shape[1], k=k, global_weight=w
        ).fit(rows))
        for k, w in product((8, 16), (0.0, 0.1, 0.2, 0.3))
    ]
    yield "What the vector is to answer", _TARGET, [
        row("MaxSim", base),
        row("MaxSim over whitened patches",
            Closed(texts, few, scores=whitened(texts, few))),
        row("z, in standard deviations", Closed(texts, few, target="z")),
        row("z + 3 relu(z - 2)", Closed(texts, few, target="sharp")),
        *(
            row(f"words compete for a patch, beta = {beta:g}",
                Closed(texts, few, scores=competition(texts, few, beta), target="z"))
            for beta in (0.5, 1.0)
        ),
    ]
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(texts), generator=generator)
    yield "How many words", _VOCABULARY, [
        *(row(f"{n} of the words", Closed(texts[order[:n]], few)) for n in _SIZES),
        row(f"all {len(texts)}", base),
        *(
            row(f"and the {n:,} commonest nouns", Closed(torch.cat([
                texts, encode_vocabulary(backbone, Vocabulary.nouns(n).words)
            ]), few))
            for n in (1000, 3000, 9000)
        ),
    ]
    yield "How many dimensions", _DIMENSIONS, [
        row(f"{n} of {texts.shape[1]}", reduced(texts, few, n))
        for n in (32, 64, 128, texts.shape[1])
    ]
    to_text = text_map(texts, images)
    pseudo = pseudo_words(to_text, texts, images, generator)
    yield "Words made of patches", _PSEUDO, [
        row(f"{n} of them", Closed(torch.cat([texts, pseudo[:n]]), few))
        for n in (0, 250, 500, 1000)
    ]
    shown = best_patches(measured)
    yield "Oracles", _ORACLE, [
        ("the words' own vectors", measured.oracle(texts, shown.texts)),
        ("their best patches, in the words' space",
         measured.oracle(texts, to_text(shown.patches))),
        ("... and then drawn to the words of the fit",
         measured.oracle(texts, snapped(to_text(shown.patches), texts, to_text.mean))),
    ]


_HEAD = """# What limits one vector per image

Measured by `python benchmarks/single_vector.py`: demo backbone, d = 256, the league's
validation scenes, with backgrounds as in the training scenes on which everything here
is fitted; mAP in %. "Held-out" are things' words that are no proxies here. The closed
form is `ridge` without its filling: scores `s` of the words for the best patch and
`(T^T T + lam m I)^-1 T^T (s - <s>)` with lam = 1e-4. No row depends on how long
something was trained, nor on how many images there were: of them the closed form takes
means, which are the same for all. Each table changes one thing.
"""

_ENDS = "Between these two it is to be."

_SHARE = """`w` times the whole image's own vector is added. It trades small things
for one that fills the image."""

_FEW = """A tenth, the default, costs things of all sizes a point at most, small ones up
to 5, and gives a part of what is lost on one large thing back."""

_TARGET = """Instead of the best patch's score. In the last rows a patch counts for a
word by `relu(z) softmax(beta z)` over the words, so that it votes for the few it
shows best: what a word it resembles a little gets from it is noise to the rest."""

_VOCABULARY = """The demo backbone does not know most of the nouns."""

_DIMENSIONS = """Texts and patches in the directions in which the texts of the fit are
longest."""

_PSEUDO = """For things that no word names: patches that stand out, mapped into the
words' space by a linear map learned from the words' own best patches, join the
words."""

_ORACLE = """Told which words are in an image (those of the fit and those held out),
the vector is `(T^T T + lam m I)^-1 sum (x - <x>)` over these words, with x as in the
row. The first is what d = 256 can hold. The second needs no more than to point at the
right patch of each thing, and is already below the closed form: a patch's own vector
is not exact enough to be one of several in a sum. Drawn to the nearest words it is,
if the fit had them: so what limits held-out words is not the number of dimensions,
nor the cover, nor the choice of patches, but that a patch alone does not say
precisely enough what it shows where no word of the fit is near."""


if __name__ == "__main__":
    main()
