"""Stand-ins for Google's and Azure's stores on this machine, each of them by others."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# the account of every Azurite, and its key
_ACCOUNT = "devstoreaccount1"
_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGM"
    "Gw=="
)
_SECONDS = 60  # that a server may take to start


class GoogleStore:
    """One bucket of Google's, by ``gcp-storage-emulator``; it asks for no credentials.

    Attributes:
        bucket: its name
    """

    bucket = "photos"

    def __init__(self) -> None:
        why = "gcp-storage-emulator is not installed: pip install gcp-storage-emulator"
        pytest.importorskip("gcp_storage_emulator", reason=why)

    def __enter__(self) -> GoogleStore:
        self._port = _free_port()
        self._process = _started(
            [sys.executable, "-m", "gcp_storage_emulator", "start", "--in-memory",
             "--host", "127.0.0.1", "--port", str(self._port),
             "--default-bucket", self.bucket],
            self._port,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()

    def set(self, setenv: Callable[[str, str], None]) -> None:
        """Sets the environment that leads to it: none does."""

    def address(self, key: str, bucket: str = bucket) -> str:
        """The address of an object."""
        return (
            f"gs://anonymous@{bucket}/{key}?scheme=http&"
            f"endpoint_override=127.0.0.1:{self._port}"
        )


class AzureStore:
    """One container of Azure's, by Azurite of npm.

    Attributes:
        bucket: its name
    """

    bucket = "photos"

    def __init__(self) -> None:
        beside = Path(__file__).parents[1] / "node_modules/.bin"
        path = f"{os.environ['PATH']}{os.pathsep}{beside}"
        program = shutil.which("azurite-blob", path=path)
        if program is None:
            pytest.skip("Azurite is not installed: npm install azurite")
        self._program = program

    def __enter__(self) -> AzureStore:
        self._port = _free_port()
        self._process = _started(
            [self._program, "--inMemoryPersistence", "--skipApiVersionCheck",
             "--disableTelemetry", "--silent", "--blobHost", "127.0.0.1",
             "--blobPort", str(self._port)],
            self._port,
        )
        from pyarrow import fs

        where = f"127.0.0.1:{self._port}"
        fs.AzureFileSystem(
            _ACCOUNT, account_key=_KEY, blob_storage_authority=where,
            dfs_storage_authority=where, blob_storage_scheme="http",
            dfs_storage_scheme="http",
        ).create_dir(self.bucket)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()

    def set(self, setenv: Callable[[str, str], None]) -> None:
        """Sets the environment that leads to it."""
        setenv("AZURE_STORAGE_KEY", _KEY)

    def address(self, key: str, bucket: str = bucket) -> str:
        """The address of an object."""
        return f"abfs://{_ACCOUNT}@127.0.0.1:{self._port}/{bucket}/{key}?enable_tls=false"

    def as_in_azure(self, key: str) -> str:
        """As addresses are in Azure, but for where that is."""
        where = f"127.0.0.1:{self._port}"
        return (
            f"abfs://{self.bucket}@{_ACCOUNT}.dfs.core.windows.net/{key}?"
            f"blob_storage_authority={where}&dfs_storage_authority={where}&"
            "enable_tls=false"
        )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _started(command: list[str], port: int) -> subprocess.Popen:
    """A server, once it answers."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + _SECONDS
    while not _answers(port):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    return process


def _answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0
