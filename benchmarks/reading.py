"""Whether the time limit of a file costs anything: ``python benchmarks/reading.py``.

The reader against a plain pool of threads that does the same work, turn by turn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed.images.file_source import content_of  # noqa: E402
from detail_embed.images.image_file import read_image  # noqa: E402
from detail_embed.images.reader import read_images  # noqa: E402


def by_reader(paths: list[str], threads: int) -> None:
    """As the engine reads."""
    for _ in read_images(paths, threads):
        pass


def by_plain_pool(paths: list[str], threads: int) -> None:
    """The same files, hashed and decoded, as far ahead, with no limit of time."""

    def work(path: str) -> np.ndarray:
        content_of(path)
        return read_image(path)

    with ThreadPoolExecutor(threads) as pool:
        jobs = (pool.submit(work, path) for path in paths)
        ahead = deque(islice(jobs, 2 * threads))
        while ahead:
            ahead.popleft().result()
            ahead.extend(islice(jobs, 1))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=320, help="side in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    took: dict[str, list[float]] = {"reader": [], "plain pool": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{i}.jpg" for i in range(args.images)]
        for path in paths:
            pixels = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((args.size, args.size)).save(path)
        by_plain_pool(paths, args.threads)  # from now on the disk does not count
        for _ in range(args.rounds):
            for name, way in (("reader", by_reader), ("plain pool", by_plain_pool)):
                began = time.perf_counter()
                way(paths, args.threads)
                took[name].append(time.perf_counter() - began)
    print(f"{args.images} JPEGs of {args.size} px, {args.threads} threads, best of "
          f"{args.rounds} rounds")
    for name, seconds in took.items():
        print(f"{name:12s} {args.images / min(seconds):8.0f} images/s")
    print(f"ratio        {min(took['plain pool']) / min(took['reader']):8.2f}")


if __name__ == "__main__":
    main()
