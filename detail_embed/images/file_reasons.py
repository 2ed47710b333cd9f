"""Words for what is wrong with a file that holds no image."""

import os

from PIL import TiffImagePlugin, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")

_TIFF_HEADS = (b"II*\0", b"MM\0*")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif")
_BITS = 258


def reason(path: str | os.PathLike, error: Exception) -> str:
    """Says why a file cannot be read, in words that complete "the file …".

    Args:
        path: the file
        error: what reading it raised
    """
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    if isinstance(error, UnidentifiedImageError):
        return _what_else_it_is(path)
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"  # as a text, it names the path
    if "truncated" in str(error).lower():
        return "is truncated"
    return f"cannot be decoded: {error or type(error).__name__}"


def _what_else_it_is(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        raw = file.read(512)
    head = raw.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "is empty"
    if head.startswith((b"<!doctype html", b"<html")):
        return "is HTML, not an image"
    if head.startswith((b"<!--", b"<?xml", b"<!doctype")):
        return "is HTML or XML, not an image"
    if head.startswith(b"<svg"):
        return "is SVG, not pixels: save it as PNG"
    if raw[4:8] == b"ftyp" and raw[8:12] in _HEIF_BRANDS:
        return "is HEIC or AVIF, which is not read here: save it as JPEG"
    if raw.startswith(_TIFF_HEADS):
        return _which_tiff_it_is(path)
    return f"is no image of a format read here ({', '.join(FORMATS)}), or damaged"


def _which_tiff_it_is(path: str | os.PathLike) -> str:
    """Words for a TIFF whose kind of pixels Pillow does not know."""
    try:
        with open(path, "rb") as file:
            tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(tags.next)
            tags.load(file)
        if not tags:
            return "is a damaged TIFF"
        bits = " + ".join(map(str, tags.get(_BITS, (1,))))
    except Exception:  # Pillow's parsers raise errors of any kind
        return "is a damaged TIFF"
    return (
        f"is a TIFF of a kind not read here ({bits} bits a pixel): save it with 8 "
        "bits a channel, or as PNG"
    )
