"""The one way to ask a file of a user for something: what hangs is given up."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

from detail_embed.images.image_file import UnreadableImage
from detail_embed.images.read_pool import READ_SECONDS, ReadPool

OPTION = 'read_seconds (in a form "Time limit of a file")'  # of a run

_HUNG = "could not be read within "
_asked: dict[str, float] = {}  # since when files are being read
_THREADS = 16  # that ask files: those of a network answer one by one
_FILES = 256  # that a thread asks at a time

_Thing, _Answer = TypeVar("_Thing"), TypeVar("_Answer")


def is_hung(reason: str) -> bool:
    """Whether a file was left out because nothing came of it."""
    return reason.startswith(_HUNG)


def hung(
    path: str | os.PathLike, seconds: float, option: str = ""
) -> UnreadableImage:
    """The error of a file of which nothing came.

    Args:
        path: of the file
        seconds: that it was waited for
        option (""): of the caller, that sets them
    """
    raised = f", or raise {option}" if option else ""
    return UnreadableImage(
        path,
        f"{_HUNG}{seconds:g} s: its disk or network does not answer. "
        f"Look whether it opens by hand{raised}",
    )


def each(
    ask: Callable[[_Thing], _Answer],
    things: Iterable[_Thing],
    late: Callable[[_Thing], _Answer],
    seconds: float = READ_SECONDS,
    threads: int = _THREADS,
) -> Generator[_Answer, None, None]:
    """Asks many files, several at a time.

    Args:
        ask: reads what is wanted of one
        things: files, or what else has the path of one as its text
        late: makes the answer of one of which nothing came
        seconds (READ_SECONDS): that one is waited for, beside what is computed
        threads (16): that ask at the same time

    Yields:
        the answers, in the order of the files

    Raises:
        Exception: what ``ask`` raises
    """
    pool: ReadPool[_Thing, _Answer] = ReadPool(
        lambda index, thing, waiting: ask(thing), lambda index, thing: late(thing),
        lambda answer: None, threads, 2 * threads, seconds, may_grow=True,
    )
    try:
        yield from pool.results(things, lambda index: None)
    finally:
        pool.close()


def each_once(
    ask: Callable[[_Thing], _Answer],
    things: Iterable[_Thing],
    late: Callable[[_Thing], _Answer],
    seconds: float,
    threads: int,
) -> Generator[_Answer, None, None]:
    """As :func:`each`; what has hung before is late at once, until it has come."""

    def ask_or_not(thing: _Thing) -> _Answer:
        path, now = str(thing), time.monotonic()
        if now - _asked.setdefault(path, now) >= seconds:
            return late(thing)
        try:
            return ask(thing)
        finally:
            _asked.pop(path, None)

    yield from each(ask_or_not, things, late, seconds, threads)


def one(
    ask: Callable[[_Thing], _Answer], thing: _Thing, seconds: float = READ_SECONDS
) -> _Answer:
    """Asks one file, as :func:`each` does.

    Raises:
        UnreadableImage: if nothing came
        Exception: what ``ask`` raises
    """
    def late(thing: _Thing) -> UnreadableImage:
        return hung(str(thing), seconds)

    with contextlib.closing(each(ask, [thing], late, seconds, 1)) as answers:
        answer = next(answers)
    if isinstance(answer, UnreadableImage):
        raise answer
    return answer


def quick(
    ask: Callable[[_Thing], _Answer],
    things: Iterable[_Thing],
    path: Callable[[_Thing], str],
    seconds: float = READ_SECONDS,
) -> list[_Answer | None]:
    """Asks very many files for what comes at once, such as their size.

    Args:
        ask: as of :func:`each`
        things: files, or what has one
        path: of the file of a thing
        seconds (READ_SECONDS): that one is waited for

    Returns:
        the answers; None where nothing came
    """
    things = list(things)
    parts = [
        _Part(ask, things[i : i + _FILES], path)
        for i in range(0, len(things), _FILES)
    ]
    known = list(each(_Part.work, parts, _Part.give_up, seconds))
    found: list[_Answer | None] = []
    behind = []  # one that hangs
    for part, answers in zip(parts, known):
        behind += range(len(found) + len(answers) + 1, len(found) + len(part.things))
        found += answers + [None] * (len(part.things) - len(answers))
    alone = [_Part(ask, [things[i]], path) for i in behind]
    for i, answers in zip(behind, each(_Part.work, alone, _Part.give_up, seconds)):
        found[i] = answers[0] if answers else None
    return found


class _Part(Generic[_Thing, _Answer]):
    """Files that a thread asks one after the other."""

    def __init__(
        self, ask: Callable[[_Thing], _Answer], things: list[_Thing],
        path: Callable[[_Thing], str],
    ) -> None:
        self.things = things
        self._ask, self._path = ask, path
        self._found: list[_Answer] = []
        self._is_given_up = False

    def work(self) -> list[_Answer]:
        """Asks them."""
        for thing in self.things:
            if self._is_given_up:
                break
            self._found.append(self._ask(thing))
        return self._found

    def give_up(self) -> list[_Answer]:
        """What came before one hung."""
        self._is_given_up = True
        return list(self._found)

    def __str__(self) -> str:
        return self._path(self.things[min(len(self._found), len(self.things) - 1)])
