"""Formats beside those that Pillow reads by itself, by optional packages."""

from __future__ import annotations

import importlib
from typing import BinaryIO

import numpy as np
from PIL import Image

from detail_embed.images.file_reasons import NotReadHere, install
from detail_embed.images.late_image import LateImage

_RAW_HEADS = {
    b"FUJIFILM": "RAF", b"IIRO": "ORF", b"IIRS": "ORF", b"MMOR": "ORF", b"IIU\0": "RW2",
    b"FOVb": "X3F", b"\0MRM": "MRW",
}
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevx", b"mif1", b"msf1")
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
_JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")


def open_other(file: BinaryIO) -> Image.Image | None:
    """Opens what Pillow does not read without other packages.

    Args:
        file: one that Pillow does not know

    Returns:
        the image, or None where it is of no format that is known here

    Raises:
        NotReadHere: naming the format, and the package that reads it
    """
    file.seek(0)
    head = file.read(32)
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"avif", b"avis") or (brand and b"avif" in head[16:]):
        return _by_plugin(file, "AVIF", "PIL.AvifImagePlugin", "pillow>=11.3")
    if brand in _HEIC:
        return _by_plugin(file, "HEIF", "pillow_heif", "pillow-heif", "HEIC")
    if head.startswith(_JXL):
        return _by_plugin(file, "JXL", "pillow_jxl", "pillow-jxl-plugin", "JPEG XL")
    if head.startswith(_JPEG_2000):
        return _by_plugin(
            file, "JPEG2000", "PIL.Jpeg2KImagePlugin", "pillow", "JPEG 2000"
        )
    kind = "CR3" if brand == b"crx " else next(
        (kind for start, kind in _RAW_HEADS.items() if head.startswith(start)), None
    )
    return open_raw(file, kind) if kind else None


def _by_plugin(
    file: BinaryIO, format: str, module: str, package: str, name: str = ""
) -> Image.Image:
    name = name or format
    try:
        plugin = importlib.import_module(module)
    except ImportError:
        raise NotReadHere(
            f"is {name}, which needs a package here: {install(package)}, or save it "
            "as JPEG"
        ) from None
    if format == "HEIF":
        plugin.register_heif_opener()
    file.seek(0)
    try:
        return Image.open(file, formats=[format])
    except Exception as error:  # plugins raise errors of any kind
        raise NotReadHere(f"is {name} that is damaged, or of a kind not read here "
                          f"by {package}") from error


def open_raw(file: BinaryIO, kind: str) -> Image.Image:
    """Opens a camera's raw file: what the sensor saw, never a preview beside it.

    Args:
        file: the file
        kind: name of its format

    Raises:
        NotReadHere: naming the package that reads it
    """
    try:
        import rawpy
    except ImportError:
        raise NotReadHere(
            f"is a camera's raw file ({kind}), which needs a package here: "
            f"{install('rawpy')}, or save it as JPEG or TIFF; a preview in it is not "
            "taken for the photograph"
        ) from None
    file.seek(0)
    try:
        raw = rawpy.imread(file)
    except rawpy.LibRawError as error:
        raise NotReadHere(
            f"is a camera's raw file ({kind}) that is damaged, or of a kind not read "
            "here by rawpy"
        ) from error
    sizes = raw.sizes
    size = (sizes.iwidth, sizes.iheight)

    def develop() -> np.ndarray:
        with raw:
            return np.ascontiguousarray(raw.postprocess())

    return LateImage(size, kind, develop)
