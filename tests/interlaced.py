"""Interlaced PNG files, which Pillow reads but does not write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

_PASSES = (  # first row and column, and steps between them, of Adam7
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def write_interlaced(path: Path, pixels: np.ndarray) -> None:
    """Writes ``(h, w, 3 or 4)`` uint8 pixels."""
    height, width, bands = pixels.shape
    rows = bytearray()
    for top, left, down, across in _PASSES:
        for row in pixels[top::down, left::across]:
            rows += b"\0" + row.tobytes()  # no filter
    kind = {3: 2, 4: 6}[bands]
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 1)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(bytes(rows), 1)) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
