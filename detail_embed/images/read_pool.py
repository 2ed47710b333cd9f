"""Threads that read files ahead; one that hangs is given up and holds up no other."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

from detail_embed.storage.plain_numbers import is_a

READ_SECONDS = 60.0

_PATIENCE = 1.0  # seconds without a word from a file before others are read beside it
_LOOK = 0.1  # seconds between two looks at reads that hang
_SAID = 5.0  # seconds after which the log says so
_SAY_AGAIN = 30.0
_HANGING = 128  # threads that may wait, for a file or room, beside those that work
_GIVEN_UP = 1024  # threads that may hang for good, as none can be ended from outside
_FURTHER = 512  # files that are read ahead while one hangs

logger = logging.getLogger(__name__)

_Path = TypeVar("_Path")
_Result = TypeVar("_Result")


def check_read_seconds(seconds: float) -> None:
    """Checks a time limit.

    Raises:
        ValueError: if it is no number above 0
    """
    is_number = is_a((int, float), seconds)
    if not is_number or not 0 < seconds <= threading.TIMEOUT_MAX:
        raise ValueError(
            f"read_seconds={seconds!r}: give the most seconds that reading a file may "
            "take, a number above 0, such as 60"
        )


class Waiting:
    """How long a job has waited: the time it computed, or had no room, is not counted.

    A large image may take long to decode, and no disk is to blame for that.
    """

    def __init__(self) -> None:
        self._clock = None
        if hasattr(time, "pthread_getcpuclockid"):  # not on macOS and Windows
            self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._began, self._computed = time.monotonic(), self._cpu()
        self._paused_at: float | None = None

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Waits for something else than the file meanwhile."""
        self._paused_at = time.monotonic()
        try:
            yield
        finally:
            self._began += time.monotonic() - self._paused_at
            self._paused_at = None

    def seconds(self) -> float:
        """That were spent waiting for the file."""
        until = self._paused_at or time.monotonic()
        return until - self._began - (self._cpu() - self._computed)

    def is_idle(self, seconds: float) -> bool:
        """Whether nothing has come of its thread for so long."""
        paused_at = self._paused_at
        if paused_at is not None:
            return time.monotonic() - paused_at > seconds
        return self.seconds() > seconds

    def _cpu(self) -> float:
        if self._clock is None:
            return 0.0
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # the thread has ended
            return 0.0


class _Job(Generic[_Path, _Result]):
    def __init__(self, index: int, path: _Path):
        self.index, self.path = index, path
        self.future: Future[_Result] = Future()
        self.since = time.monotonic()
        self.waiting: Waiting | None = None  # once a thread has it


class ReadPool(Generic[_Path, _Result]):
    """Does jobs in threads of its own, and gives the results in their order.

    While the result that is next does not come, more files are read beside those that
    hang, so that many of these take about as long as one. The threads are daemons: a
    process ends although one of them hangs.

    Args:
        work: reads a file, given its index, its path, or what has this as its text, and
            what counts its waiting
        late: makes the result of a file that hung, of its index and its path
        drop: takes a result that came after the file was given up
        num_workers: threads that work at the same time
        prefetch: files read ahead
        seconds: that a file may be waited for
        may_grow: whether more files are read ahead while one hangs
    """

    def __init__(
        self,
        work: Callable[[int, _Path, Waiting], _Result],
        late: Callable[[int, _Path], _Result],
        drop: Callable[[_Result], None],
        num_workers: int,
        prefetch: int,
        seconds: float,
        may_grow: bool,
    ):
        self._work, self._late, self._drop = work, late, drop
        self._num_workers, self._prefetch = num_workers, prefetch
        self._seconds, self._may_grow = seconds, may_grow
        self._todo: SimpleQueue[_Job[_Path, _Result]] = SimpleQueue()
        self._ahead: deque[_Job[_Path, _Result]] = deque()
        self._running: dict[threading.Thread, _Job[_Path, _Result] | None] = {}
        self._lock = threading.Lock()
        self._allowed = num_workers
        self._is_closed = False
        self._said_at = -_SAY_AGAIN
        self._free_at = time.monotonic()

    def results(
        self, paths: Iterable[_Path], next_is: Callable[[int], None]
    ) -> Iterator[_Result]:
        """Reads files.

        Args:
            paths: consumed as needed, in the caller's thread
            next_is: told which file is waited for

        Yields:
            a result for each, in their order
        """
        jobs = itertools.starmap(_Job, enumerate(paths))
        self._submit(itertools.islice(jobs, self._prefetch))
        while self._ahead:
            next_is(self._ahead[0].index)
            result = self._next(jobs)
            self._ahead.popleft()
            room = self._prefetch - len(self._ahead)
            self._submit(itertools.islice(jobs, max(0, room)))
            yield result
            del result

    def _submit(self, jobs: Iterable[_Job[_Path, _Result]]) -> None:
        for job in jobs:
            self._ahead.append(job)
            self._todo.put(job)
            if len(self._running) < self._allowed:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="detail-read", daemon=True)
        with self._lock:
            self._running[thread] = None
        thread.start()

    def _serve(self) -> None:
        me = threading.current_thread()
        while (job := self._todo.get()) is not None:
            job.waiting = Waiting()
            self._running[me] = job
            try:
                result = self._work(job.index, job.path, job.waiting)
            except BaseException as error:
                with contextlib.suppress(InvalidStateError):
                    job.future.set_exception(error)
            else:
                try:
                    job.future.set_result(result)
                except InvalidStateError:
                    self._drop(result)
                del result
            self._running[me] = job = None
            with self._lock:
                if len(self._running) > self._allowed or self._is_closed:
                    break
        with self._lock:
            self._running.pop(me, None)

    def _next(self, jobs: Iterator[_Job[_Path, _Result]]) -> _Result:
        """The result of the first file; makes it if that file hangs."""
        future = self._ahead[0].future
        if self._allowed > self._num_workers:
            self._look(jobs)
        wait = min(_PATIENCE, self._seconds)
        while not future.done():
            try:
                return future.result(wait)
            except TookTooLong:
                self._look(jobs)
            wait = _LOOK
        return future.result()

    def _look(self, jobs: Iterator[_Job[_Path, _Result]]) -> None:
        """Gives up what hangs too long, and puts threads beside what hangs."""
        running = [job for job in list(self._running.values()) if job]
        late = [job for job in running if job.waiting.seconds() >= self._seconds]
        for job in late:
            self._give_up(job)
        idle = sum(job.waiting.is_idle(2 * _LOOK) for job in running)
        head = self._ahead[0].waiting
        is_held_up = head is not None and head.is_idle(_PATIENCE)
        stuck = min(len(late), _GIVEN_UP)
        waiting = max(0, idle - len(late))
        extra = min(2 * waiting if is_held_up else waiting, _HANGING)
        self._allowed = self._num_workers + stuck + extra
        if is_held_up and self._may_grow:
            self._submit(itertools.islice(jobs, max(0, _FURTHER - len(self._ahead))))
        for _ in range(min(self._allowed - len(self._running), self._todo.qsize())):
            self._start()
        self._give_up_all(len(late))
        self._say([job for job in running if job.waiting.seconds() >= _SAID])

    def _give_up(self, job: _Job[_Path, _Result]) -> None:
        with contextlib.suppress(InvalidStateError):
            job.future.set_result(self._late(job.index, job.path))

    def _give_up_all(self, stuck: int) -> None:
        """Gives up what no thread can read, as all hang, once that has lasted."""
        now = time.monotonic()
        if stuck < len(self._running) or stuck < self._allowed:
            self._free_at = now
        for job in self._ahead:
            since = max(job.since, self._free_at)
            if not job.waiting and now - since >= self._seconds:
                self._give_up(job)

    def _say(self, hanging: list[_Job[_Path, _Result]]) -> None:
        now = time.monotonic()
        hanging = [job for job in hanging if not job.future.done()]
        if not hanging or now - self._said_at < _SAY_AGAIN:
            return
        self._said_at = now
        more = len(hanging) - 1
        logger.warning(
            "%s%s: nothing came for %g s, the disk or network may not answer. What has "
            "not come after %g s (read_seconds) is left out",
            hanging[0].path, f" and {more} more" if more else "", _SAID, self._seconds,
        )

    def close(self) -> None:
        """Ends the threads, and waits for those that do not hang."""
        with self._lock:
            self._is_closed = True
        while not self._todo.empty():
            with contextlib.suppress(Exception):
                self._todo.get_nowait()
        threads = list(self._running)
        for _ in threads:
            self._todo.put(None)
        for thread in threads:
            while thread.is_alive():
                job = self._running.get(thread)
                if job and job.waiting.is_idle(_PATIENCE):
                    break
                thread.join(_LOOK)
