"""Embeds files on many machines: ``python -m detail_embed.distributed FILES ...``."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from detail_embed.distributed.parts import PART_ROWS
from detail_embed.distributed.run import embed
from detail_embed.images.image_file import MAX_PIXELS
from detail_embed.images.read_pool import READ_SECONDS


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m detail_embed.distributed", description=__doc__.split(":")[0]
    )
    parser.add_argument("files", help="Parquet file, or folder of them, with the "
                        "column uri or filepath, and id if wanted")
    parser.add_argument("space", help="folder that DetailEmbedder.save() wrote")
    parser.add_argument("directory", help="where the parts go")
    parser.add_argument("--part-rows", type=int,
                        help=f"rows of a part, by default {PART_ROWS}")
    parser.add_argument("--concurrency", type=int, help="workers")
    parser.add_argument("--num-gpus", type=float, help="GPUs of a worker")
    parser.add_argument("--batch-size", type=int, help="patches per forward pass")
    parser.add_argument("--num-workers", type=int,
                        help="decoding threads of a worker")
    parser.add_argument("--keep-features", action="store_true",
                        help="keep patch features, too")
    parser.add_argument("--max-pixels", type=int, default=MAX_PIXELS,
                        help="images with more are read by parts")
    parser.add_argument("--read-seconds", type=float, default=READ_SECONDS,
                        help="that a file may be waited for, by default %(default)g")
    parser.add_argument("--no-skip-identical", action="store_false",
                        dest="skip_identical", help="embed every copy of a file")
    args = vars(parser.parse_args())
    try:
        result = embed(**args, progress=True)
    except (ImportError, ValueError) as error:
        parser.error(str(error))
    for name, value in asdict(result).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
