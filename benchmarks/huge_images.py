"""How long a huge image takes, and how much memory, read by parts.

Makes a tiled TIFF of flat ground with things pasted in, encodes it in a process of its
own, says where each thing is found, and deletes it:

    python benchmarks/huge_images.py --width 39266 --height 29140
    python benchmarks/huge_images.py --width 100000 --height 100000 --overviews
    python benchmarks/huge_images.py --width 18000 --height 16000 --format progressive
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from _memory import peak, reset_peak  # noqa: E402
from PIL import Image  # noqa: E402

from detail_embed.backbone import Backbone  # noqa: E402
from detail_embed.backbone.bundled_model import NAME  # noqa: E402
from detail_embed.clver_ds import things  # noqa: E402
from detail_embed.cover import CompleteCover  # noqa: E402
from detail_embed.engine.encode_files import iter_patch_features  # noqa: E402
from detail_embed.images.huge_image import see  # noqa: E402
from detail_embed.patch_search.localise import localise  # noqa: E402

_TILE = 512
_GROUND = (118, 122, 116)
_FORMATS = {
    "tiff": ("GTiff", {}), "png": ("PNG", {}), "bmp": ("BMP", {}),
    "progressive": ("JPEG", {"PROGRESSIVE": "YES", "QUALITY": 90}),
    "turned": ("JPEG", {"QUALITY": 90}),
}
_TURN = 6  # of EXIF: what is stored at the left is above
_MEMORY = {"GDAL_ALLOW_LARGE_LIBJPEG_MEM_ALLOC": "YES", "JPEGMEM": "4300M"}


def write(
    path: Path, width: int, height: int, names: Sequence[str], side: int,
    overviews: bool,
) -> dict[str, tuple[int, int]]:
    """Writes an image with a thing of each name; returns where they are, in pixels."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    rng = np.random.default_rng(0)
    places = {}
    tiles = [width // _TILE - 2, height // _TILE - 2]
    for name in names:
        column, row = (int(rng.integers(1, count)) for count in tiles)
        places[name] = column * _TILE, row * _TILE
    options = {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE,
               "compress": "deflate", "zlevel": 1, "photometric": "RGB",
               "bigtiff": "if_safer"}
    ground = np.empty((3, _TILE, width), np.uint8)
    ground[:] = np.array(_GROUND, np.uint8)[:, None, None]
    with rasterio.Env(GDAL_CACHEMAX=2**27, GDAL_NUM_THREADS=2), rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=3,
        dtype="uint8", **options,
    ) as file:
        for top in range(0, height, _TILE):
            rows = min(_TILE, height - top)
            band = ground[:, :rows].copy()
            for name, (x, y) in places.items():
                if y == top:
                    band[:, :side, x : x + side] = _pasted(name, side)
            file.write(band, window=Window(0, top, width, rows))
        if overviews:
            file.build_overviews([2, 4, 8, 16, 32], Resampling.average)
    return places


def convert(path: Path, format: str) -> Path:
    """Writes a file in another format, and deletes it."""
    import rasterio
    import rasterio.shutil

    driver, options = _FORMATS[format]
    other = path.with_suffix(f".{driver.lower()}")
    with rasterio.Env(GDAL_CACHEMAX=2**27, GDAL_PAM_ENABLED="NO", **_MEMORY):
        rasterio.shutil.copy(path, other, driver=driver, **options)
    path.unlink()
    if format == "turned":
        exif, content = Image.Exif(), other.read_bytes()
        exif[274] = _TURN
        block = exif.tobytes()
        head = b"\xff\xd8\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
        other.write_bytes(head + content[2:])
    return other


def _pasted(name: str, side: int) -> np.ndarray:
    """A thing on the ground: ``(3, side, side)``."""
    thing = Image.fromarray(things.cutout(name)).resize((side, side))
    image = Image.new("RGB", thing.size, _GROUND)
    image.paste(thing, (0, 0), thing)
    return np.moveaxis(np.asarray(image), -1, 0)


def encode(path: Path, c: int | str, skip_flat: bool, names: Sequence[str]) -> dict:
    """Encodes a file and looks for things in it; what it took, and where they are."""
    backbone = Backbone.load(NAME, device="auto")
    cover = CompleteCover(c, input_size=backbone.input_size, skip_flat=skip_flat)
    reset_peak()
    before, started = round(peak()), time.monotonic()
    (image,) = iter_patch_features([(0, path)], backbone, cover)
    seconds = time.monotonic() - started
    if image.features is None:
        raise SystemExit(f"{path} {image.reason}")
    megabytes = round(peak()) - before
    size = image.width, image.height
    windows = cover.boxes(*size), cover.levels(*size)
    found = {}
    for name, query in zip(names, backbone.encode_texts([f"a {n}" for n in names])):
        places = localise(image.features, *windows, query, 1)
        found[name] = (places.boxes[0] * np.tile(size, 2)).tolist()
    started = time.monotonic()
    x, y, w, h = found[names[0]]
    see(path).crop((int(x), int(y), int(x + w), int(y + h)))
    return {
        "patches": len(image.features), "c": cover.for_image(*size).c,
        "window": int(windows[0][-1, 2] - windows[0][-1, 0]), "seconds": seconds,
        "megabytes": megabytes, "before": before, "found": found,
        "close_up": time.monotonic() - started,
    }


def main() -> None:
    """Runs it, and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=39_266)
    parser.add_argument("--height", type=int, default=29_140)
    parser.add_argument("--cover", default="auto")
    parser.add_argument("--skip-flat", action="store_true")
    parser.add_argument("--overviews", action="store_true", help="smaller copies, too")
    parser.add_argument("--format", choices=list(_FORMATS), default="tiff")
    parser.add_argument("--side", type=int, default=256, help="pixels of a thing")
    parser.add_argument("--things", default="hammer,banana,teapot")
    parser.add_argument("--encode", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    names, c = args.things.split(","), args.cover
    c = int(c) if c.isdecimal() else c
    if args.encode:
        print(json.dumps(encode(args.encode, c, args.skip_flat, names)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path, started = Path(folder) / "huge.tif", time.monotonic()
        places = write(
            path, args.width, args.height, names, args.side, args.overviews
        )
        if args.format != "tiff":
            path = convert(path, args.format)
        if args.format == "turned":
            places = {
                name: (args.height - y - args.side, x)
                for name, (x, y) in places.items()
            }
        print(f"{args.width} x {args.height}, {path.stat().st_size / 1e6:.0f} MB, "
              f"written in {time.monotonic() - started:.0f} s")
        child = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--encode", str(path)],
            stdout=subprocess.PIPE, text=True, check=True,
        )
    said = json.loads(child.stdout.splitlines()[-1])
    print("| c | patches | smallest window | s | MB before | MB more | close-up s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(f"| {said['c']} | {said['patches']} | {said['window']} px | "
          f"{said['seconds']:.0f} | {said['before']} | {said['megabytes']} | "
          f"{said['close_up']:.2f} |")
    for name, (x, y, w, h) in said["found"].items():
        left, top = places[name]
        centre = left + args.side / 2, top + args.side / 2
        is_in = x <= centre[0] <= x + w and y <= centre[1] <= y + h
        print(f"{name}: at {left}, {top}; found in {x:.0f}, {y:.0f}, {w:.0f} x {h:.0f}"
              f" ({'it is there' if is_in else 'it is elsewhere'})")


if __name__ == "__main__":
    main()
