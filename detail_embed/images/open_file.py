"""The one place where the reader opens files."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from detail_embed.images.file_reasons import NotReadHere
from detail_embed.storage.addresses import Object, is_address, local_path

_WHOLE = 2**28  # bytes, of an object that is read at once


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Opens a file to read it.

    Args:
        path: a regular file, a ``file://`` address of one, or an object of a store,
            such as ``s3://bucket/a.jpg``, which is read into memory unless it has more
            than 256 MB

    Raises:
        OSError: if it cannot be opened; :class:`.addresses.StoreError` of a store
        NotReadHere: if it is no regular file
    """
    path = local_path(path)
    if is_address(path):
        return Object(str(path)).read(_WHOLE)
    return _open_here(path)


def _open_here(path: str | os.PathLike) -> BinaryIO:
    if not stat.S_ISREG(os.stat(path).st_mode):
        kind = "a directory" if os.path.isdir(path) else "no regular file"
        raise NotReadHere(f"is {kind}")
    return open(path, "rb")
