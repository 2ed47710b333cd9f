"""The one place where the reader opens files."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from detail_embed.images.file_reasons import NotReadHere


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Opens a file to read it.

    Args:
        path: a regular file

    Raises:
        OSError: if it cannot be opened
        NotReadHere: if it is no regular file
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        kind = "a directory" if os.path.isdir(path) else "no regular file"
        raise NotReadHere(f"is {kind}")
    return open(path, "rb")
