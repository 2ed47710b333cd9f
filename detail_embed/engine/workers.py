"""Who encodes: workers that share the devices; their results come in order.

A GPU has two workers with a stream each: one uploads and cuts while the other encodes.
All GPUs that torch sees work, unless the backbone is on one of them by its number. On
the CPU, workers of one thread each are faster than one of many threads, which wait for
each other after every operation; where there are more cores than workers, some have
more threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TypeVar

import torch

from detail_embed.backbone import Backbone
from detail_embed.images.cpus import within_quota

_PER_GPU = 2
_MOST = 8  # workers of the CPU: each has a batch in memory
_Job, _Result = TypeVar("_Job"), TypeVar("_Result")
_Seat = tuple[Backbone, "torch.cuda.Stream | None", int]  # threads on the CPU
_Work = Callable[[Backbone, _Job, Callable[[], bool]], _Result]

_lock = threading.Lock()
_running = 0  # calls whose workers are on the CPU
_threads = 0  # of torch before


def run_in_workers(
    backbone: Backbone, work: _Work, jobs: Iterable[_Job]
) -> Iterator[_Result]:
    """Does jobs in threads, a bounded number ahead.

    Args:
        backbone: copies of it go to the other GPUs
        work: called with a backbone, a job, and a function that tells whether the
            result is still wanted; in a thread
        jobs: consumed as needed, in the caller's thread

    Yields:
        the results in the order of the jobs

    Raises:
        Exception: what ``work`` or ``jobs`` raised
    """
    threads_before = _torch_threads()
    cores = within_quota(threads_before)
    seats = deque(_seats(backbone, cores))
    size, over, local = len(seats), threading.Event(), threading.local()
    fewest = seats[-1][2]

    def sit() -> None:
        local.seat = own, stream, threads = seats.popleft()
        if stream is not None:
            torch.cuda.set_device(stream.device)
        elif own.device.type == "cpu":
            torch.get_num_threads()  # else the first product takes the process's number
            torch.set_num_threads(threads)

    def do(job: _Job) -> _Result:
        own, stream, _ = local.seat
        with nullcontext() if stream is None else torch.cuda.stream(stream):
            result = work(own, job, lambda: not over.is_set())
        if stream is not None:
            stream.synchronize()
        return result

    with _sharing_cores(backbone, threads_before, fewest):
        pool = ThreadPoolExecutor(size, "detail-encode", initializer=sit)
        ahead: deque[Future[_Result]] = deque()
        try:
            for job in jobs:
                ahead.append(pool.submit(do, job))
                if len(ahead) > size:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            over.set()
            pool.shutdown(cancel_futures=True)


def _seats(backbone: Backbone, cores: int) -> list[_Seat]:
    if backbone.device.type == "cpu":
        return [(backbone, None, threads) for threads in shares(cores)]
    if backbone.device.type != "cuda":
        return [(backbone, None, cores)]
    return [
        (backbone.on(device), stream, cores)
        for device in backbone.devices
        for stream in _streams(device)
    ]


@lru_cache
def _streams(device: torch.device) -> list[torch.cuda.Stream]:
    """Always the same, as memory that is free again is of the stream that had it."""
    return [torch.cuda.Stream(device) for _ in range(_PER_GPU)]


def shares(cores: int, most: int = _MOST) -> list[int]:
    """Threads of each worker of the CPU: all cores are used, the first have most.

    Args:
        cores: that there are, at least 1
        most (8): workers
    """
    workers = min(most, cores)
    threads, more = divmod(cores, workers)
    return [threads + (worker < more) for worker in range(workers)]


def compute_threads() -> int:
    """Threads that compute on the CPU: torch's, within the quota of CPU time."""
    return within_quota(_torch_threads())


def _torch_threads() -> int:
    """Threads that torch has where no workers divide them.

    A thread that began to use torch beside workers keeps the number of that time, so
    a new one is asked.
    """
    with _lock:
        if _running:
            return _threads
        with ThreadPoolExecutor(1) as new:
            return new.submit(torch.get_num_threads).result()


@contextmanager
def _sharing_cores(
    backbone: Backbone, threads_before: int, own_threads: int
) -> Iterator[None]:
    """Gives the caller, and threads that start meanwhile, a worker's share of cores."""
    global _running, _threads
    if backbone.device.type != "cpu":
        yield
        return
    with _lock:
        _running, _threads = _running + 1, threads_before
    torch.set_num_threads(own_threads)
    try:
        yield
    finally:
        with _lock:
            _running -= 1
        torch.set_num_threads(threads_before)
