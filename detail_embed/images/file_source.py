"""Which file something was made from: a file that has changed since is known."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import BinaryIO

from detail_embed.images.open_file import open_file
from detail_embed.storage.addresses import Object, is_address, local_path
from detail_embed.storage.stored_files import StoredFile, StoredParts

_HASHED = 2**28  # bytes; the content of larger files is not hashed
_BLOCK = 2**18  # bytes, that stay in the cache of a core


@dataclass(frozen=True)
class FileSource:
    """A file as it was when it was read.

    Attributes:
        state: 16 hexadecimal digits, of its path, size and time of modification
        content: 32 hexadecimal digits, of its bytes; None where these are not known,
            as of a file above 256 MB
    """

    state: str
    content: str | None = None


def state_of(path: str | os.PathLike) -> str:
    """The state of a file, see :class:`FileSource`; empty where there is none."""
    path = local_path(path)
    try:
        if is_address(path):
            stored = Object(str(path)).info()
            return _state(str(path), stored.size, stored.mtime_ns)
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    return _state(os.path.abspath(path), found.st_size, found.st_mtime_ns)


def state_in(file: BinaryIO, before: str) -> str:
    """The state of an open file: an object's own, else what it was before."""
    if isinstance(file, (StoredFile, StoredParts)):
        return _state(file.name, file.size, file.mtime_ns)
    return before


def _state(name: str, size: int, mtime_ns: int) -> str:
    parts = name, size, mtime_ns
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def content_of(path: str | os.PathLike) -> str | None:
    """The content of a file, see :class:`FileSource`; takes about 1 ms a MB.

    Raises:
        OSError: if it cannot be read
        ValueError: if it is no regular file
    """
    with open_file(path) as file:
        return content_in(file)


def content_in(file: BinaryIO) -> str | None:
    """As :func:`content_of`, of an open file, which stays where it is."""
    before = file.tell()
    try:
        if file.seek(0, os.SEEK_END) > _HASHED:
            return None
        file.seek(0)
        digest, block = hashlib.blake2b(digest_size=16), memoryview(bytearray(_BLOCK))
        while count := file.readinto(block):
            digest.update(block[:count])
        return digest.hexdigest()
    finally:
        file.seek(before)


def is_same(known: FileSource, now: FileSource) -> bool:
    """Whether two sources are of the same bytes; what is not known is not the same."""
    if known.state == now.state:
        return True
    return known.content is not None and known.content == now.content
