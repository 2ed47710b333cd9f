"""The most memory that this process has had, since it was last asked."""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def reset_peak() -> None:
    """Forgets what was before, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """MB since the last :func:`reset_peak`."""
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return int(re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text()).group(1)) / 2**10
