"""A MongoDB for one FiftyOne home, which FiftyOne in other homes never joins.

FiftyOne looks for a MongoDB that any process of the same user has started, whatever
folder it keeps its data in, and joins it. It then writes into another home, and
loses its database when that home is deleted. Its service tells databases apart by
their name alone, so this one has a name of its own.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

import fiftyone as fo
import psutil
from fiftyone.core.service import DatabaseService
from fiftyone.service.util import get_listening_tcp_ports
from filelock import FileLock

_TRIES = 5  # the MongoDB of a process that has just ended may still hold the folder
_held: list[DatabaseService] = []  # a service ends with the object


def start_database() -> None:
    """Starts the MongoDB of this process's home, or joins the one that is there.

    Call it after :func:`~detail_embed.demo.fiftyone_home.isolate`, before the database
    is used. Processes of one home share its MongoDB, also when they start at the same
    moment; it ends with the last of them. A MongoDB that the user or a parent process
    names (``FIFTYONE_DATABASE_URI``) is used as it is.

    Raises:
        RuntimeError: if MongoDB does not start
    """
    if fo.config.database_uri is not None:
        return
    folder = Path(fo.config.database_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):  # one of them starts it
        port = _start(folder)
    fo.config.database_uri = f"mongodb://127.0.0.1:{port}"
    os.environ["FIFTYONE_DATABASE_URI"] = fo.config.database_uri


def _start(folder: Path) -> int:
    name = f"db-{hashlib.sha1(str(folder).encode()).hexdigest()[:16]}"
    service_type = type("HomeDatabase", (DatabaseService,), {"service_name": name})
    for _ in range(_TRIES):
        service = service_type()
        port = _wait_for_port(service.child)
        if port is not None:
            _held.append(service)
            return port
        time.sleep(1)
    raise RuntimeError(
        f"MongoDB does not start in {folder}: its last words are in "
        f"{folder / 'log' / 'mongo.log'}. End what else uses that folder, or set "
        "FIFTYONE_DATABASE_URI to a MongoDB that runs"
    )


def _wait_for_port(service: psutil.Process) -> int | None:
    """The port of a service's MongoDB; None if the service has ended."""
    gone = []
    while not gone:
        with suppress(psutil.Error):
            for process in service.children(recursive=True):
                for port in get_listening_tcp_ports(process):
                    return port
        gone, _ = psutil.wait_procs([service], timeout=0.1)
    return None
