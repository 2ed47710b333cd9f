"""Where whole files appear under names: a folder, or the prefix of an object store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from detail_embed.storage.addresses import (
    Object,
    StoreError,
    is_address,
    local_path,
)
from detail_embed.storage.whole_files import whole_file


class Folder:
    """A folder that all machines share.

    Args:
        path: of the folder
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).absolute()

    def __str__(self) -> str:
        return str(self.path)

    def at(self, name: str) -> Path:
        """The file of a name."""
        return self.path / name

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        return self.at(name).exists()

    def names(self) -> set[str]:
        """The names of the files."""
        return {found.name for found in self.path.glob("*")}

    def open(self, name: str) -> BinaryIO:
        """Opens a file to read it."""
        return self.at(name).open("rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write to; what is there becomes the file, or goes."""
        self.path.mkdir(parents=True, exist_ok=True)
        with whole_file(self.at(name)) as partial:
            yield partial

    def copy_in(self, folder: Path, name: str) -> None:
        """Copies a folder of files here."""
        shutil.copytree(folder, self.at(name), dirs_exist_ok=True)

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """A folder of files here, on this machine."""
        yield self.at(name)


class Prefix:
    """The objects below an address, such as ``s3://bucket/parts``.

    A store renames nothing, and need not: an object is there once all of it has
    arrived. It is made beside, on this machine, and sent when it is whole.

    Args:
        address: as of :class:`.addresses.Object`
    """

    def __init__(self, address: str):
        self.address = address.rstrip("/")

    @cached_property
    def _root(self) -> Object:
        with self._named():
            return Object(self.address)

    def __str__(self) -> str:
        return self.address

    def at(self, name: str) -> str:
        """The address of a name."""
        return self._root.child(name).address

    def exists(self, name: str) -> bool:
        """Whether an object is there."""
        with self._named(name):
            return self._root.child(name).exists()

    def names(self) -> set[str]:
        """The names of the objects."""
        with self._named():
            return self._root.names()

    def open(self, name: str) -> pa.NativeFile:
        """Opens an object; only what is asked for is sent."""
        with self._named(name):
            return self._root.child(name).open()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write to; what is there is sent and becomes the object."""
        with tempfile.TemporaryDirectory(prefix="detail-embed-") as folder:
            partial = Path(folder) / Path(name).name
            yield partial
            with self._named(name):
                self._root.child(name).write_file(partial)

    def copy_in(self, folder: Path, name: str) -> None:
        """Copies the files of a folder here."""
        for path in sorted(found for found in folder.rglob("*") if found.is_file()):
            where = f"{name}/{path.relative_to(folder).as_posix()}"
            with self._named(where):
                self._root.child(where).write_file(path)

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """A copy of the objects below a name, on this machine, for a while."""
        with tempfile.TemporaryDirectory(prefix="detail-embed-") as copy:
            self.copy_out(name, Path(copy))
            yield Path(copy)

    def copy_out(self, name: str, folder: Path) -> None:
        """Copies the objects below a name to a folder."""
        with self._named(name):
            self._root.child(name).copy_to(folder)

    @contextmanager
    def _named(self, name: str = "") -> Iterator[None]:
        """Says which object it was that a store has no good answer about."""
        try:
            yield
        except (StoreError, FileNotFoundError) as error:
            where = f"{self.address}/{name}" if name else self.address
            raise ValueError(f"{where} {error}") from error


Place = Folder | Prefix


def place_at(where: str | Path) -> Place:
    """The place of a folder, or of an address."""
    if isinstance(where, str) and is_address(where):
        return Prefix(where)
    return Folder(Path(local_path(where)).expanduser())
