"""Words for what is wrong with a file that holds no image."""

import os
import re
from typing import BinaryIO

from PIL import UnidentifiedImageError

from detail_embed.storage.addresses import StoreError, is_address

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")

_ADDRESS = re.compile(r"(?:^|/)([a-z][a-z0-9+.-]+):/")  # a path that became absolute
_APPLE_DOUBLE = b"\0\x05\x16\x07"


class NotReadHere(ValueError):
    """A file of a kind that is not read; its text completes "the file …"."""


def install(package: str) -> str:
    """How to install an optional package that reads more formats."""
    return f'pip install "detail-embed[formats]" (that is {package})'


def reason(
    path: str | os.PathLike, error: Exception, file: BinaryIO | None = None
) -> str:
    """Says why a file cannot be read, in words that complete "the file …".

    Args:
        path: the file, or a name of what is in memory
        error: what reading it raised
        file (None): open, if that could be done; it is not opened again
    """
    if isinstance(error, NotReadHere):
        return str(error)
    if isinstance(error, StoreError) or (
        isinstance(error, FileNotFoundError) and is_address(path)
    ):
        return str(error)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _where_it_is(os.fspath(path))
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    if isinstance(error, UnidentifiedImageError):
        return _what_else_it_is(path, file)
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"  # as a text, it names the path
    if "truncated" in str(error).lower():
        return "is truncated"
    return f"cannot be decoded: {error or type(error).__name__}"


def _where_it_is(path: str | bytes) -> str:
    found = _ADDRESS.search(os.fsdecode(path).lower())
    if found is None:
        return "is missing"
    if found[1] == "file":
        return "is a file:// address: give the path alone, without file://"
    return (
        f"is an address ({found[1]}://), and only files that this machine sees as a "
        "path are read: download or mount it, and set filepath to where it is"
    )


def _what_else_it_is(path: str | os.PathLike, file: BinaryIO | None) -> str:
    raw = b""
    if file is not None:
        file.seek(0)
        raw = file.read(512)
    head = raw.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if file is not None and not head:
        return "is empty"
    if head.startswith((b"<!doctype html", b"<html")):
        return "is HTML, not an image"
    if head.startswith((b"<!--", b"<?xml", b"<!doctype")):
        return "is HTML or XML, not an image"
    if head.startswith(b"<svg"):
        return "is SVG, not pixels: save it as PNG"
    name = os.path.basename(os.fsdecode(path))
    if raw.startswith(_APPLE_DOUBLE) or name.startswith("._"):
        return (
            "is what macOS writes beside a file (AppleDouble, its name begins with "
            "._), no image: delete it or leave such names out"
        )
    if name.startswith("."):
        return (
            "is a hidden file (its name begins with a dot) and no image: leave such "
            "names out"
        )
    return f"is no image of a format read here ({', '.join(FORMATS)}), or damaged"
