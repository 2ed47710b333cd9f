"""Which process, on which machine: what a holder of a lock is known by."""

from __future__ import annotations

import functools
import os
import socket
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil

_PROC = Path("/proc")
_IDS = (_PROC / "sys/kernel/random/boot_id", Path("/etc/machine-id"))
_NAMESPACE = _PROC / "self/ns/pid"  # process ids of containers are their own
_STATE, _START = 0, 19  # of /proc/<pid>/stat, behind the name: fields 3 and 22
_ENDED = ("Z", "X")  # killed, and not yet collected by its parent
_SAME = 1.0  # seconds that start times of one process may differ by


def this_process() -> dict[str, Any]:
    """What this process is known by: ``place``, ``pid`` and ``born``."""
    pid = os.getpid()
    return {"place": place(), "pid": pid, "born": _own_birth(pid)}


def is_gone(pid: int, born: float) -> bool:
    """Whether a process of this place has ended, or its id is another's now.

    Args:
        pid: its id
        born: its start, as :func:`this_process` gave it
    """
    now = _birth(pid)
    tolerance = 0 if sys.platform == "linux" else _SAME
    return now is None or abs(now - born) > tolerance


@functools.lru_cache(maxsize=1)
def place() -> list[Any]:
    """Where a process id means one process: machine, its start, the container in it.

    Returns:
        the host's name, for a person; then the boot and machine ids, where the system
        has none its network address; then the number of the PID namespace or None
    """
    ids = [path.read_text().strip() for path in _IDS if path.is_file()]
    namespace = _NAMESPACE.stat().st_ino if _NAMESPACE.exists() else None
    return [socket.gethostname(), *(ids or [f"{uuid.getnode():012x}"]), namespace]


@functools.lru_cache(maxsize=1)
def _own_birth(pid: int) -> float | None:
    return _birth(pid)


def _birth(pid: int) -> float | None:
    """When a process began, None where it is gone.

    On Linux in clock ticks since the system began, which no change of the clock
    touches; elsewhere in seconds since 1970.
    """
    if sys.platform != "linux":
        try:
            return psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return None
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _ENDED else int(fields[_START])
