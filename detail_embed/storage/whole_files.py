"""Files that are whole or not there, and what is said of them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_IS_THERE = (errno.EEXIST, errno.ENOTEMPTY)


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file, whole or not at all; replaces one that is there.

    Args:
        path: the file
        content: text is encoded as UTF-8
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with whole_file(path) as partial:
        partial.write_bytes(data)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; what is there becomes the file, or goes if a step failed.

    Any number of threads, processes and hosts may write the same file: the last one
    to finish wins, and whoever reads it sees the file of one of them.

    Yields:
        a hidden path in the same folder that nobody else uses
    """
    partial = unfinished(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """An empty folder to write to that becomes the folder, or goes if a step failed.

    Args:
        path: of the folder; those above it are created where missing
        replace (False): whether a folder that is there is removed for it

    Yields:
        a hidden folder beside it that nobody else uses

    Raises:
        OSError: if a folder with files in it is there, and is to stay
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = unfinished(path)
    partial.mkdir()
    try:
        yield partial
        _put(partial, path, replace)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unfinished(path: Path) -> Path:
    """A name beside a path for what is not whole yet; another one at each call."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")


def _put(partial: Path, path: Path, replace: bool) -> None:
    while True:  # others may put theirs in between
        try:
            partial.rename(path)
            return
        except OSError as error:
            if not replace or error.errno not in _IS_THERE:
                raise
        old = unfinished(path)
        with suppress(FileNotFoundError):  # another has moved it
            path.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def megabytes(count: float) -> str:
    """A number of bytes in words, such as ``"12.5 MB"`` or ``"61.6 GB"``."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.{1 if count >= 1e6 else 3}f} MB"


_BLOCK = 2**20


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hashed.update(block)
    return hashed.hexdigest()


def relative_path(path: Path, start: Path) -> str:
    """The way from one folder to another; the whole path to another drive."""
    try:
        return os.path.relpath(path.resolve(), start.resolve())
    except ValueError:
        return str(path.resolve())
