"""How many CPUs this process may keep busy, in a container too."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def cpus(root: Path = _ROOT) -> int:
    """CPUs that this process may use: those it is bound to, within its quota.

    Args:
        root ("/"): where the folders ``proc`` and ``sys`` are
    """
    return within_quota(_bound(), root)


def within_quota(threads: int, root: Path = _ROOT) -> int:
    """So many threads, or fewer where a quota of CPU time would make them wait.

    torch, as Python, counts the CPUs of the machine whatever time a container gets.

    Args:
        threads: at least 1
        root ("/"): where the folders ``proc`` and ``sys`` are
    """
    return min([threads, *_quotas(root)])


def decoding_threads(cpus: int, gpus: int) -> int:
    """How many threads decode images: 8 for each GPU, as far as there are CPUs.

    Args:
        cpus: that they may use
        gpus: that encode what they decode; 0 counts as 1
    """
    return max(1, min(cpus, 8 * max(1, gpus)))


class OtherWork:
    """How much of this machine's CPUs others take, from now on.

    Args:
        root ("/"): where the folder ``proc`` is
    """

    def __init__(self, root: Path = _ROOT):
        self._stat = root / "proc/stat"
        self._started = self._now()

    def share(self) -> float:
        """Between 0 and 1, of all CPUs; 0 where the system does not say it."""
        elapsed, busy, own = (b - a for a, b in zip(self._started, self._now()))
        everything = elapsed * (os.cpu_count() or 1)
        return min(1.0, max(0.0, busy - own) / everything) if everything > 0 else 0.0

    def _now(self) -> tuple[float, float, float]:
        """Seconds: of the clock, of all CPUs that were busy, of this process."""
        return time.monotonic(), _busy_seconds(self._stat), time.process_time()


def _busy_seconds(stat: Path) -> float:
    """Seconds that all CPUs were not idle, since the machine was started."""
    words = _words(stat)[1:9]  # user nice system idle iowait irq softirq steal
    ticks = sum(map(int, words[:3] + words[5:]))
    return ticks / os.sysconf("SC_CLK_TCK") if words else 0.0


def _bound() -> int:
    if hasattr(os, "process_cpu_count"):  # since Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[int]:
    """CPUs of the control groups that this process is in, each within the next."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        read = _version_1 if controllers else _version_2
        for folder in (Path(path), *Path(path).parents):
            # in a container, what the path leads to may not be mounted, its root is
            found = read(mounted / controllers / str(folder).lstrip("/"))
            if found:
                yield found


def _version_2(folder: Path) -> int | None:
    return _ratio(_words(folder / "cpu.max"))


def _version_1(folder: Path) -> int | None:
    quota, period = "cpu.cfs_quota_us", "cpu.cfs_period_us"
    return _ratio(_words(folder / quota) + _words(folder / period))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _ratio(words: list[str]) -> int | None:
    """Whole CPUs of ``quota period``; None for "max", -1, or nothing."""
    if len(words) != 2 or not words[0].isdigit():
        return None
    return max(1, math.ceil(int(words[0]) / int(words[1])))
