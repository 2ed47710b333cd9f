"""The Ray cluster that a run works on: one that is there, or one of this machine."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from ipaddress import ip_address
from typing import Any

# Ray listens on the loopback interface where it takes no other machines, which is
# so by default on macOS and Windows.
_OTHER_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


def start_ray() -> Any:
    """Joins the cluster that ``RAY_ADDRESS`` names, or starts one on this machine.

    Whoever reaches a port of Ray can run code, so a cluster that is started here
    listens on the loopback interface alone, and keeps its sockets and logs in a
    folder that only this user can enter; the folder goes when the process ends. What
    ``ray.init()`` has started or joined before is used as it is.

    Returns:
        the module ``ray``

    Raises:
        ImportError: if Ray Data is not installed
        RuntimeError: if Ray was imported before and would listen on all interfaces
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    is_own = not os.environ.get("RAY_ADDRESS")
    if is_own:
        os.environ.setdefault(_OTHER_MACHINES, "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(
            f'{error}: install Ray with pip install "detail-embed[ray]"'
        ) from error
    if not ray.is_initialized():
        if is_own:
            _start_own(ray)
        else:
            ray.init(include_dashboard=False)
    return ray


def _start_own(ray: Any) -> None:
    address = ray.util.get_node_ip_address()
    if not ip_address(address).is_loopback:
        raise RuntimeError(
            f"a Ray cluster started now would listen on {address} and all other "
            f"addresses of this machine, as Ray was imported before, or "
            f"{_OTHER_MACHINES} is set: set it to 0 before Ray is imported, or call "
            "ray.init() first if other machines shall reach the cluster"
        )
    # Sockets' paths are short; macOS has long names for temporary folders.
    short = "/tmp" if os.name == "posix" else None
    folder = tempfile.mkdtemp(prefix="ray-", dir=os.environ.get("RAY_TMPDIR", short))
    atexit.register(_end, ray, folder)
    inner = os.path.join(folder, "ray")  # Ray opens its own folder to everybody
    ray.init("local", include_dashboard=False, _temp_dir=inner)


def _end(ray: Any, folder: str) -> None:
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
