"""Features of all windows from one pass, against fewer crops in the same time.

    python benchmarks/dense.py --steps 900          # trains a small ViT, too
    python benchmarks/dense.py --n 40 --sample 20 --passes 1 --out /tmp/look.md

Scenes, features and the ViT are kept in ``--home``: a run that was cut short goes on
where it was. Writes docs/results/dense.md.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._dense import methods, small_vit  # noqa: E402
from benchmarks._dense.measure import FRESH, World  # noqa: E402
from benchmarks._dense.page import page  # noqa: E402
from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/dense")
    parser.add_argument("--n", type=int, default=300, help="scenes to search in")
    parser.add_argument("--sample", type=int, default=100, help="scenes to fit on")
    parser.add_argument("--passes", type=int, default=5, help="that are timed")
    parser.add_argument("--images", type=int, default=8, help="of a timed pass")
    parser.add_argument("--fresh-n", type=int, default=100,
                        help="scenes that nothing was chosen on; 0 for none")
    parser.add_argument("--vit-n", type=int, default=60,
                        help="scenes that the ViT searches in; 0 for none")
    parser.add_argument("--steps", type=int, default=0,
                        help="of the ViT's training; 0: the demo backbone alone, "
                        "and the ViT if it is there")
    parser.add_argument("--epochs", type=int, default=8, help="of the distillation")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/dense.md")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for _ in small_vit.train(args.home / "vit", args.steps) if args.steps else ():
        pass
    demo = Backbone.load(DEMO, device="torch")
    worlds = {"demo": World(args.home, demo, args.n, args.sample)}
    worlds["demo"].distil(args.epochs)
    if args.fresh_n:
        worlds["fresh"] = World(
            args.home / "fresh", demo, args.fresh_n, args.sample // 5, FRESH
        )
        worlds["fresh"].tool.distilled = worlds["demo"].tool.distilled
    if args.vit_n and small_vit.is_trained(args.home / "vit"):
        vit = small_vit.backbone(args.home / "vit")
        worlds["vit"] = World(args.home / "vit", vit, args.vit_n, args.sample // 5)
    make = {"demo": methods.of_resnet, "fresh": methods.to_confirm,
            "vit": methods.of_vit}
    rows = {}
    for name, world in worlds.items():
        side = world.tool.backbone.input_size
        rows[name] = [world.measure(method) for method in make[name](side)]
    rows = {name: worlds[name].timed(some, args.images, args.passes)
            for name, some in rows.items()}
    names = ("crops", "attention pool")
    others = worlds["demo"].uses([
        row.method for row in rows["demo"] if any(n in row.method.name for n in names)
    ])
    counts = {name: len(world.test.ids) for name, world in worlds.items()}
    args.out.write_text(page(rows, others, counts, args.sample), "utf-8")
    print(args.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
