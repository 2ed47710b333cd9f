"""Azure's stores by the key of an account, which no address can give pyarrow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyarrow import fs

KEY = "AZURE_STORAGE_KEY"  # as Azure's own programs call it


def azure_system(uri: str) -> tuple[fs.FileSystem, str]:
    """The store of an address, and the path in it.

    Credentials are the key of the environment where there is one, else those that
    Azure's client finds by itself.

    Args:
        uri: of ``abfs://`` or ``abfss://``

    Raises:
        ValueError: if it names no account, or is to be asked without TLS and without
            a key, which Azure's client ends the process for
    """
    from pyarrow import fs

    key = os.environ.get(KEY)
    found, path = fs.FileSystem.from_uri(uri)
    path = path.rstrip("/")  # or all keys begin with a slash
    make, (options,) = found.__reduce__()
    if key:
        return make({**options, "account_key": key}), path
    if "http" in (options["blob_storage_scheme"], options["dfs_storage_scheme"]):
        raise ValueError(f"without TLS it takes the key of an account only: set {KEY}")
    return found, path
