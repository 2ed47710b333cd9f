"""Real files of every kind that a folder of pictures may hold, good and bad."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms

BOMB = 70_000  # side in pixels of what the decompression bombs claim
BIG = 9000  # side of an image that is above LIMIT, and that would fit into memory
LIMIT = 20_000_000  # pixels

# 16 x 16 pixels, written by cjpeg -arithmetic
_ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkz"
    "ODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2Nj"
    "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/yQARCAAQ"
    "ABADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AGYIcUrNgyIoADmKm03+XHsv"
    "w2wx7/T/2Q=="
)


def picture(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """Coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)


def write_good(folder: Path) -> dict[str, Path]:
    """Writes files that have to be embedded; returns them by kind."""
    image = picture()
    frames = [picture(seed=seed) for seed in (1, 2)]
    many = {"save_all": True, "append_images": frames}
    deep = np.asarray(image.convert("L")).astype("<u2") * 257
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kinds: dict[str, tuple[str, Image.Image, dict]] = {
        "jpeg": ("jpg", image, {}),
        "progressive jpeg": ("jpg", image, {"progressive": True}),
        "cmyk jpeg": ("jpg", image.convert("CMYK"), {}),
        "icc profile": ("jpg", image, {"icc_profile": profile}),
        "huge icc profile": ("jpg", image, {"icc_profile": profile * 400}),
        "huge exif": ("jpg", image, {"exif": b"Exif\0\0" + b"x" * 65_000}),
        "16-bit png": ("png", Image.fromarray(deep), {}),
        "16-bit tiff": ("tif", Image.fromarray(deep), {}),
        "1-bit png": ("png", image.convert("1"), {}),
        "1-bit tiff": ("tif", image.convert("1"), {"compression": "group4"}),
        "palette": ("png", image.convert("P"), {}),
        "palette and alpha": ("png", image.convert("P"), {"transparency": b"\0\x80"}),
        "rgba": ("png", image.convert("RGBA"), {}),
        "grey": ("jpg", image.convert("L"), {}),
        "animated gif": ("gif", image, many),
        "animated webp": ("webp", image, many),
        "animated png": ("png", image, many),
        "pages of a tiff": ("tif", image, many),
        "bmp": ("bmp", image, {}),
        "png named jpg": ("jpg", image, {"format": "PNG"}),
        "1 x 1": ("png", picture(1, 1), {}),
        "1 x 20000": ("png", picture(1, 20_000), {}),
        "30000 x 10": ("png", picture(30_000, 10), {}),
        "avif": ("avif", image, {}),
        "jpeg 2000": ("jp2", image, {}),
        ".hidden": ("png", image, {}),
        "newline\nand emoji \N{GRINNING FACE}": ("jpg", picture(seed=9), {}),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        kinds[f"exif orientation {orientation}"] = ("jpg", image, {"exif": exif})
    paths = {}
    for name, (extension, source, options) in kinds.items():
        paths[name] = folder / f"{name}.{extension}"
        source.save(paths[name], **options)
    for name, (pixels, options) in _tiffs(np.asarray(image)).items():
        paths[name] = folder / f"{name}.tif"
        tifffile.imwrite(paths[name], pixels, photometric="rgb", **options)
    tifffile.imwrite(paths["thumbnail first"], np.asarray(image), append=True)
    paths["arithmetic jpeg"] = folder / "arithmetic.jpg"
    paths["arithmetic jpeg"].write_bytes(base64.b64decode(_ARITHMETIC))
    return paths


def _tiffs(rgb: np.ndarray) -> dict[str, tuple[np.ndarray, dict]]:
    """TIFFs whose pixels Pillow does not read, or reads as something else."""
    infrared = np.dstack([rgb, rgb[..., 1]])
    planes = {"planarconfig": "separate"}
    return {
        "thumbnail first": (rgb[::8, ::8], {"subfiletype": 1}),
        "12 bits in 16": (rgb.astype("u2") * 16, {}),
        "infrared": (infrared, {"extrasamples": ["unassalpha"]}),
        "16-bit planes": (np.moveaxis(rgb.astype("u2") * 257, 2, 0), planes),
        "seven planes": (
            np.moveaxis(np.dstack([infrared.astype("u2") * 257, rgb]), 2, 0),
            {"extrasamples": ["unspecified"] * 4, **planes},
        ),
    }


def _bands() -> bytes:
    """A TIFF of four bands that does not say which of them are colours."""
    file = io.BytesIO()
    bands = np.zeros((9, 9, 4), "u2")
    tifffile.imwrite(file, bands, photometric="minisblack", extrasamples=[0, 0, 0])
    return file.getvalue()


def write_bad(folder: Path) -> dict[str, tuple[Path, str]]:
    """Writes files that cannot be embedded; returns them and why, by kind."""
    kinds: dict[str, tuple[bytes, str]] = {
        "truncated jpeg": (_cut("JPEG"), "is truncated"),
        "truncated progressive": (_cut("JPEG", progressive=True), "is truncated"),
        "truncated png": (_cut("PNG"), "is truncated"),
        "truncated tiff": (_cut("TIFF"), "is truncated"),
        "truncated lzw tiff": (
            _cut("TIFF", compression="tiff_lzw"), "is a damaged TIFF",
        ),
        "truncated gif": (_cut("GIF"), "is truncated"),
        "truncated webp": (_cut("WEBP"), "cannot be decoded"),
        "damaged png": (_damaged("PNG"), "cannot be decoded"),
        "damaged tiff": (_damaged("TIFF", compression="tiff_deflate"), "cannot be"),
        "head of a jpeg": (b"\xff\xd8\xff\xe0", "is no image"),
        "zero bytes": (b"", "is empty"),
        "nothing but zeros": (bytes(4096), "is no image"),
        "html": (b"<!DOCTYPE html><html>404</html>", "is HTML"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG"),
        "svg as xml": (b"<?xml version='1.0'?><svg/>", "is HTML or XML"),
        "pdf": (b"%PDF-1.7\n", "is no image"),
        "words": (b"just words", "is no image"),
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is HEIC"),
        "broken avif": (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "is AVIF"),
        "broken jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "is JPEG 2000"),
        "jpeg xl": (b"\0\0\0\x0cJXL \r\n\x87\n", "is JPEG XL"),
        "canon raw": (b"\0\0\0\x18ftypcrx \0\0\0\0", "is a camera's raw file (CR3)"),
        "nothing but bands": (_bands(), "is a TIFF that does not say which bands"),
        "._of macos": (b"\0\x05\x16\x07\0\x02\0\0", "is what macOS writes beside"),
        ".DS_Store": (b"\0\0\0\1Bud1", "is a hidden file"),
        "png bomb": (png_of_zeros(BOMB), f"has {BOMB} x {BOMB} pixels"),
        "bmp that claims": (_claim("BMP"), f"has {BOMB} x {BOMB} pixels"),
        "too large": (_gif_of_zeros(BIG), f"has {BIG} x {BIG} pixels"),
        "text bomb": (_text_bomb(), "cannot be decoded"),
    }
    found = {}
    for name, (content, reason) in kinds.items():
        path = folder / f"{name}.jpg"
        path.write_bytes(content)
        found[name] = path, reason
    return found | _no_files(folder)


def _no_files(folder: Path) -> dict[str, tuple[Path, str]]:
    makers: dict[str, tuple[Callable[[Path], None], str]] = {
        "missing": (lambda path: None, "is missing"),
        "s3:/bucket/a": (lambda path: None, "is an address (s3://)"),
        "file:/a": (lambda path: None, "is a file:// address"),
        "broken link": (lambda path: path.symlink_to("nowhere"), "is missing"),
        "link to itself": (
            lambda path: path.symlink_to(path), "cannot be read: Too many",
        ),
        "directory": (Path.mkdir, "is a directory"),
        "fifo": (os.mkfifo, "is no regular file"),
        "link to a fifo": (
            lambda path: path.symlink_to(folder / "fifo.jpg"), "is no regular file",
        ),
        "endless device": (
            lambda path: path.symlink_to("/dev/zero"), "is no regular file",
        ),
    }
    found = {}
    for name, (make, reason) in makers.items():
        path = folder / f"{name}.jpg"
        make(path)
        found[name] = path, reason
    return found


def png_of_zeros(side: int) -> bytes:
    """A black grey PNG of 1 bit a pixel: small, and as large as it says.

    It is interlaced: all of it is needed for its first rows.
    """
    rows = packed_zeros(side * (1 + (side + 7) // 8))
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", head) + _png_chunk(b"IDAT", rows)
        + _png_chunk(b"IEND", b"")
    )


def _gif_of_zeros(side: int) -> bytes:
    """A black GIF, which is not read by parts."""
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "GIF")
    return file.getvalue()


def packed_zeros(count: int) -> bytes:
    """What zlib makes of so many zeros; most of them are packed once."""
    block = bytes(1_000_000)
    times, rest = divmod(count, len(block))
    packer = zlib.compressobj(1, wbits=-15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(1, wbits=-15)
    last = packer.compress(bytes(rest)) + packer.flush()
    check = struct.pack(">HH", count % 65521, 1)  # Adler-32 of zeros
    return b"\x78\x01" + packed * times + last + check


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _text_bomb() -> bytes:
    """A PNG with 200 MB of packed text."""
    text = b"key\0\0" + packed_zeros(200_000_000)
    whole = _content("PNG")
    return whole[:33] + _png_chunk(b"zTXt", text) + whole[33:]


def _content(kind: str, **options) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, kind, **options)
    return file.getvalue()


def _cut(kind: str, **options) -> bytes:
    content = _content(kind, **options)
    if kind == "TIFF":  # its directory lies at the end, or the start
        return content[: len(content) * 9 // 10]
    return content[: len(content) // 2]


def _damaged(kind: str, **options) -> bytes:
    content = bytearray(_content(kind, **options))
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xaa" * 400
    return bytes(content)


def _claim(kind: str) -> bytes:
    """A small file whose head says that it is huge."""
    content = bytearray(_content(kind))
    content[18:26] = np.array([BOMB, BOMB], "<i4").tobytes()
    return bytes(content)
