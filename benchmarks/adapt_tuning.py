"""What fine-tuning the demo backbone to a world that it does not know is worth.

    npm pack @lobehub/fluent-emoji-3d@1.1.0 emoji-datasource@16.0.0
    python benchmarks/adapt_tuning.py --renders . --rows full heads lora

The world is that of ``benchmarks/adapt.py``. A row is ``method``, ``method:source``
or ``method:source:key=value,...`` of a :class:`TuningConfig`. Of each, the trained
weights alone are judged on the scenes to search in, and the mixture that the gate
offers; then what the gate read on its own held-out scenes. With ``--mixtures`` every
mixture of a training is judged, beside what the gate reads. With
``--words`` each is judged again after it has learned the words from the boxes.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from _adapt import tuned, words  # noqa: E402
from _adapt.cost import estimate  # noqa: E402
from _adapt.features import encoded  # noqa: E402
from _adapt.judge import HEAD, judge, nouns_of, scores, texts_of  # noqa: E402
from _adapt.world import make  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from detail_embed.adapt import models  # noqa: E402
from detail_embed.adapt.blend import ALPHAS, mix  # noqa: E402
from detail_embed.adapt.lora import weights_of  # noqa: E402
from detail_embed.adapt.towers import Towers  # noqa: E402
from detail_embed.adapt.tuning_config import TuningConfig  # noqa: E402
from detail_embed.adapt.tuning_judge import Found  # noqa: E402
from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.backbone.weights import create_model  # noqa: E402

HOME = ROOT / ".benchmarks/adapt"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--renders", type=Path, required=True,
                        help="folder of the two npm archives")
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--c", type=int, default=5, help="of the searched cover")
    parser.add_argument("--epochs", type=int, default=TuningConfig.epochs)
    parser.add_argument("--mixtures", type=Path, metavar="FILE",
                        help="weights after a training: judge each mixture instead")
    parser.add_argument("--words", action="store_true", help="and learned words")
    parser.add_argument("--estimate", metavar="MODEL",
                        help="say what this one would take on a GPU, and end")
    parser.add_argument("--rows", nargs="+", default=["full", "heads", "lora"])
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if args.estimate:
        print(estimate(args.estimate, 4000, args.epochs))
        return
    os.environ["DETAIL_EMBED_DATA"] = str(args.home / "data")
    world = make(args.home, args.renders)
    found, gates, before = [], [], None

    def look(name: str, backbone: Backbone) -> None:
        nonlocal before
        test = encoded(world.test, backbone, args.c, args.home / "features")
        texts = texts_of(backbone, world)
        judged = judge(world, test.patches, texts, before)
        if before is None:
            before = scores(test.patches, texts["nouns"])
        found.append(judged.row(name))
        print(found[-1], flush=True)
        if args.words:
            train = encoded(world.train, backbone, args.c, args.home / "features")
            adapter = words.learned(world, train, backbone, "boxes").adapter
            names = {"words": world.words, "nouns": nouns_of(world)}
            moved = {key: words.moved_by(adapter, rows, names[key])
                     for key, rows in texts.items()}
            judged = judge(world, test.patches, moved, before)
            found.append(judged.row(f"{name}, and learned words"))
            print(found[-1], flush=True)

    look("as it is", Backbone.load("detail-demo", device="cpu"))
    if args.mixtures:
        start = weights_of(create_model("detail-demo", None)[0])
        towers = Towers("detail-demo", None, "cpu")
        gate = tuned.gate(world.train, towers, args.home)
        read = [_read(0, gate.measure(towers))]
        for alpha in ALPHAS:
            path = args.home / f"mixture-{alpha:g}.safetensors"
            weights = mix(start, load_file(args.mixtures), alpha)
            save_file(weights, path)
            look(f"alpha {alpha:g}", Backbone.load("detail-demo", path, device="cpu"))
            towers.model.load_state_dict(weights)
            read.append(_read(alpha, gate.measure(towers)))
        head = "| alpha | held-out | known things |\n|--:|--:|--:|"
        print(f"\n{head}\n" + "\n".join(read))
        return
    for number, row in enumerate(args.rows):
        method, source, *choices = [*row.split(":", 2), "boxes"][:3] if (
            ":" in row
        ) else [row, "boxes"]
        options = dict(pair.split("=") for part in choices for pair in part.split(",")
                       if "=" in pair)
        options = {key: ast.literal_eval(value) for key, value in options.items()}
        config = TuningConfig(**{"method": method, "epochs": args.epochs} | options)
        one = tuned.tune(
            world.train, source, f"row_{number}_{method}", config, args.home
        )
        gates.append(one.row(row))
        print(gates[-1], flush=True)
        files = {1.0: one.weights}
        if one.facts.is_offered:
            files[one.facts.verdict["alpha"]] = models.checkpoint(one.facts.name)
        for alpha, path in files.items():
            backbone = Backbone.load("detail-demo", pretrained=path, device="cpu")
            look(f"{row}, alpha {alpha:g}", backbone)
    print(f"\n{HEAD}\n" + "\n".join(found))
    print(f"\n{tuned.HEAD}\n" + "\n".join(gates))


def _read(alpha: float, found: Found) -> str:
    return f"| {alpha:g} | {100 * found.retrieval:.1f} | {100 * found.kept:.1f} |"


if __name__ == "__main__":
    main()
