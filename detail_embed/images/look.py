"""What many files are now; one that hangs is known for that, and holds up nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable

from detail_embed.images.file_source import FileSource, content_of, state_of
from detail_embed.images.in_time import quick
from detail_embed.images.read_pool import READ_SECONDS


def look(
    known: Iterable[tuple[FileSource, str]], seconds: float = READ_SECONDS
) -> list[FileSource | None]:
    """What files are now, as :func:`latest`, in their order.

    Args:
        known: what each was, and where it is now
        seconds (READ_SECONDS): that one is waited for

    Returns:
        None for each of which nothing came
    """
    return quick(lambda one: latest(*one), known, lambda one: one[1], seconds)


def states(
    paths: Iterable[str | os.PathLike], seconds: float = READ_SECONDS
) -> list[str | None]:
    """As :func:`.file_source.state_of`, of many files.

    Args:
        paths: of the files
        seconds (READ_SECONDS): as of :func:`look`

    Returns:
        None for each of which nothing came
    """
    return quick(state_of, paths, os.fspath, seconds)


def newer(
    files: Iterable[tuple[str, int]], seconds: float = READ_SECONDS
) -> list[bool | None]:
    """Whether files were written after a time.

    Args:
        files: of each its path, and the time in nanoseconds
        seconds (READ_SECONDS): as of :func:`look`

    Returns:
        False for files that are gone, None for those of which nothing came
    """
    return quick(_is_newer, files, lambda one: one[0], seconds)


def _is_newer(file: tuple[str, int]) -> bool:
    path, written = file
    try:
        return os.stat(path).st_mtime_ns > written
    except OSError:
        return False


def latest(known: FileSource, path: str | os.PathLike) -> FileSource:
    """What a file is now, if it is another than it was, or elsewhere.

    Its bytes are read only where path, size or time of modification are others.

    Args:
        known: what it was
        path: where it is now

    Returns:
        ``known`` itself where nothing has changed, or where there is no file any more;
        else what it is now, with the same content if it was only moved or touched
    """
    state = state_of(path)
    if state in ("", known.state):
        return known
    try:
        return FileSource(state, content_of(path))
    except (OSError, ValueError):
        return known
