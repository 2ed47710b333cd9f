"""Makes a CLVER-DS dataset: ``python -m detail_embed.clver_ds FOLDER``."""

import argparse

from detail_embed.clver_ds.concepts import BANKS
from detail_embed.clver_ds.dataset import generate
from detail_embed.clver_ds.scenes import SCALES, SceneConfig


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m detail_embed.clver_ds",
        description=__doc__.split(":")[0],
    )
    parser.add_argument("folder", help="where images and annotations go")
    parser.add_argument("--n", type=int, default=200, help="number of scenes")
    parser.add_argument("--bank", default="both", choices=[*BANKS, "both"])
    parser.add_argument("--size", type=int, nargs="+", default=[1120],
                        help="side, or width and height, in pixels")
    parser.add_argument("--objects", type=int, nargs=2,
                        default=SceneConfig.objects, metavar=("LOW", "HIGH"))
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES,
                        help="sqrt(box area / image area)")
    parser.add_argument("--max-occlusion", type=float,
                        default=SceneConfig.max_occlusion)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    if len(args.size) > 2:
        parser.error("--size takes one side, or width and height")
    try:
        path = generate(
            args.folder, args.n, args.bank,
            args.size[0] if len(args.size) == 1 else tuple(args.size),
            args.seed, args.workers, progress=True,
            objects=tuple(args.objects), scales=tuple(args.scales),
            max_occlusion=args.max_occlusion,
        )
    except ValueError as error:
        parser.error(str(error))
    print(path)


if __name__ == "__main__":
    main()
