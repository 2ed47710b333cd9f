"""Objects of a store, such as ``s3://bucket/photos/a.jpg``, through ``pyarrow.fs``.

Credentials come from the environment, as those of every program for these stores.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from detail_embed.storage.azure_account import KEY, azure_system
from detail_embed.storage.stored_files import StoredFile, StoredParts

if TYPE_CHECKING:  # files of this machine are read without it
    import pyarrow as pa
    from pyarrow import fs

SCHEMES = ("s3", "gs", "abfs", "abfss")

_OPTIONS = {  # of an address, as pyarrow has them
    "allow_bucket_creation", "allow_bucket_deletion", "endpoint_override", "region",
    "retry_limit_seconds", "scheme", "blob_storage_authority", "blob_storage_scheme",
    "credential_kind", "dfs_storage_authority", "dfs_storage_scheme", "enable_tls",
}
_VARIABLES = ("AWS_", "GOOGLE_", "AZURE_")
_GS_SECONDS = 20  # that gs:// is tried again for; pyarrow's default is 15 minutes
_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_ENDPOINT_URL, AWS_REGION)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "abfs": f"{KEY}, or AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET",
}


class StoreError(OSError):
    """An object, or a store, that cannot be used; its text says why, in words."""


def is_address(path: Any) -> bool:
    """Whether a path is an object of a store, such as ``s3://bucket/a.jpg``."""
    text = str(path) if isinstance(path, (str, os.PathLike)) else ""
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.lower() in SCHEMES


def local_path(path: str | os.PathLike) -> str | os.PathLike:
    """The path of a ``file://`` address; others stay as they are."""
    if isinstance(path, str) and path.startswith("file://"):
        return unquote(urlsplit(path).path)
    return path


def full_path(path: str | os.PathLike) -> str:
    """The absolute path of a file of this machine, or the address of an object."""
    path = local_path(path)
    return str(path) if is_address(path) else os.path.abspath(path)


class Object:
    """One object, or the prefix of some.

    Args:
        address: ``s3://bucket/key``, ``gs://``, ``abfs://``; after the key pyarrow's
            options may follow, such as ``?endpoint_override=localhost:9000``

    Raises:
        StoreError: if it names no bucket, or its store is not to be reached
    """

    def __init__(self, address: str):
        self.address = address
        self._whole, options = split_options(address)
        scheme, _, rest = self._whole.partition("://")
        bucket, _, self.key = rest.partition("/")
        self._scheme, self._options = scheme.lower(), options
        if not bucket:
            raise StoreError(f"{address} names no bucket: give {scheme}://bucket/key")
        with self.reasons():
            self.system, self.bucket = _system(
                self._scheme, bucket, options, _environment()
            )
        if not self.bucket:  # what names the store is not the bucket
            self.bucket, _, self.key = self.key.partition("/")
        if not self.bucket:
            raise StoreError(f"{address} names no bucket: give {scheme}://{bucket}/…")
        self.path = f"{self.bucket}/{self.key}".rstrip("/")

    def child(self, name: str) -> Object:
        """An object below this prefix."""
        more = f"?{self._options}" if self._options else ""
        return Object(f"{self._whole.rstrip('/')}/{name}{more}")

    def info(self) -> fs.FileInfo:
        """What is known of it without reading it.

        Raises:
            FileNotFoundError: if there is no such object; its text is in words
            StoreError: if the store does not answer, or refuses
        """
        with self.reasons():
            found = self.system.get_file_info(self.path)
            if not found.is_file and "%" in self.key:
                decoded = f"{self.bucket}/{unquote(self.key)}"
                found = self.system.get_file_info(decoded)
            if found.is_file:
                return found
            has_bucket = self.system.get_file_info(self.bucket)
        if has_bucket.type.name == "NotFound":
            raise FileNotFoundError(f"is missing: there is no bucket {self.bucket!r}")
        raise FileNotFoundError(
            f"is missing: the bucket {self.bucket!r} has no object {self.key!r}"
        )

    def exists(self) -> bool:
        """Whether it is there, as an object."""
        with self.reasons():
            return self.system.get_file_info(self.path).is_file

    def names(self) -> set[str]:
        """The names of the objects right below this prefix."""
        return {found.base_name for found in self._below()}

    def open(self) -> pa.NativeFile:
        """Opens it to read some of it; raises as of :meth:`info`."""
        found = self.info()
        with self.reasons():
            return self.system.open_input_file(found.path)

    def read(self, most: int | None = None) -> StoredFile | StoredParts:
        """The whole object, in memory.

        Args:
            most (None): bytes; of one that has more, what is read is sent as it is
                asked for

        Raises: as of :meth:`info`; also if it came with fewer bytes than it has
        """
        found = self.info()
        with self.reasons():
            opened = self.system.open_input_file(found.path)
        if most is not None and found.size > most:
            return StoredParts(opened, self.address, found.size, found.mtime_ns)
        with self.reasons(), opened as file:
            content = file.read()
        if len(content) != found.size:
            raise StoreError(f"is truncated: {len(content)} of {found.size} bytes came")
        return StoredFile(content, self.address, found.mtime_ns)

    def write(self, content: bytes | pa.Buffer) -> None:
        """Writes it at once: it is there when all of it has arrived, else not at all.

        Raises:
            StoreError: if the store does not answer, or refuses
        """
        with self.reasons(), self.system.open_output_stream(self.path) as file:
            file.write(content)

    def write_file(self, path: Path) -> None:
        """As :meth:`write`, what is in a file."""
        import pyarrow as pa

        with self.reasons(), pa.memory_map(str(path)) as mapped:
            content = mapped.read_buffer()
        self.write(content)

    def copy_to(self, folder: Path) -> None:
        """Copies the objects below this prefix to a folder.

        Raises:
            FileNotFoundError: if there are none
        """
        found = [one for one in self._below(recursive=True) if one.is_file]
        with self.reasons():
            for one in found:
                target = folder / one.path[len(self.path) + 1 :]
                target.parent.mkdir(parents=True, exist_ok=True)
                with self.system.open_input_file(one.path) as file:
                    target.write_bytes(file.read())
        if not found:
            raise FileNotFoundError("is missing: no object is below it")

    def _below(self, recursive: bool = False) -> list[fs.FileInfo]:
        from pyarrow import fs

        chosen = fs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        with self.reasons():
            return self.system.get_file_info(chosen)

    def reasons(self) -> _Reasons:
        """Turns what a store's client raises into words."""
        return _Reasons(self)


class _Reasons:
    def __init__(self, of: Object):
        self._of = of

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, (StoreError, FileNotFoundError)):
            return
        import pyarrow as pa

        if isinstance(error, (OSError, ValueError, pa.ArrowException)):
            raise StoreError(_words(self._of, str(error))) from error


def _words(of: Object, error: str) -> str:
    scheme = of._scheme[:4]
    lower = error.lower()
    first = error.splitlines()[0][:300]
    if any(text in lower for text in ("no such bucket", "nosuchbucket", "no_such_bu")):
        return f"cannot be used: there is no such bucket ({first})"
    if "valid account name" in lower:
        return (
            f"{of.address} names no account: give "
            "abfs://container@account.dfs.core.windows.net/key"
        )
    denied = ("access_denied", "access denied", "forbidden", "credential", "403", "401",
              "invalid_access_key", "signature", "unauthorized", "permission",
              "access token", "authoriz", "set azure")
    if any(word in lower for word in denied):
        return (
            f"is refused by its store: set the credentials of it, {_KEYS[scheme]}, on "
            f"all machines, and see to it that they may use the bucket ({first})"
        )
    return f"cannot be used: its store gave no good answer ({first})"


def split_options(address: str) -> tuple[str, str]:
    """An address, and its options for pyarrow.

    A key may hold a question mark, so only what pyarrow knows are options.
    """
    before, mark, query = address.rpartition("?")
    names = parse_qs(query, keep_blank_values=True)
    if mark and names and names.keys() <= _OPTIONS:
        return before, query
    return address, ""


def _environment() -> tuple[tuple[str, str], ...]:
    """What clients take from the environment when they are made."""
    return tuple(sorted(
        item for item in os.environ.items() if item[0].startswith(_VARIABLES)
    ))


@lru_cache(maxsize=64)
def _system(
    scheme: str, bucket: str, options: str, environment: tuple[tuple[str, str], ...]
) -> tuple[fs.FileSystem, str]:
    from pyarrow import fs

    if scheme == "gs" and "retry_limit_seconds" not in options:
        options = f"{options}&retry_limit_seconds={_GS_SECONDS}".lstrip("&")
    query = f"?{options}" if options else ""
    if scheme.startswith("abfs"):
        return azure_system(f"{scheme}://{bucket}/{query}")
    return fs.FileSystem.from_uri(f"{scheme}://{bucket}/{query}")
