"""What adapting the demo backbone to a world that it does not know is worth.

    npm pack @lobehub/fluent-emoji-3d@1.1.0 emoji-datasource@16.0.0
    python benchmarks/adapt.py --renders .

Makes 200 scenes to learn from and 300 to search in: 45 new kinds and 60 old words, on
backgrounds that the backbone was not shown either; those to search in show 60 further
old words that no method is told of. Scenes and features stay in --home.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from _adapt import words  # noqa: E402
from _adapt.features import encoded  # noqa: E402
from _adapt.judge import HEAD, judge, texts_of  # noqa: E402
from _adapt.world import make  # noqa: E402

from detail_embed import fusers  # noqa: E402
from detail_embed.backbone import Backbone  # noqa: E402

HOME = ROOT / ".benchmarks/adapt"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--renders", type=Path, required=True,
                        help="folder of the two npm archives")
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--c", type=int, default=10, help="of the cover")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    world = make(args.home, args.renders)
    backbone = Backbone.load("detail-demo", device="cpu")
    train = encoded(world.train, backbone, args.c, args.home / "features")
    test = encoded(world.test, backbone, args.c, args.home / "features")
    texts = texts_of(backbone, world)
    few = fusers.create("few", dim=backbone.dim, k=16)
    few.fit(torch.from_numpy(train.patches[:, ::5].reshape(-1, backbone.dim)))
    vectors = {"patches": test.patches, "16 vectors": test.few(few)}
    print(f"{len(world.train.paths)} scenes to learn from, {len(world.test.paths)} to "
          f"search in, {test.patches.shape[1]} patches each.\n\n{HEAD}")
    for what, rows in vectors.items():
        print(judge(world, rows, texts).row(f"text, {what}"), flush=True)
    for row in words.rows(world, train, backbone, texts, vectors, test):
        print(row, flush=True)


if __name__ == "__main__":
    main()
