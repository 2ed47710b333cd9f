"""Objects of a store as open files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_AHEAD = 2**22  # bytes, of a request at least


class StoredFile(io.BytesIO):
    """The content of an object, with what a file says of itself.

    Attributes:
        name: its address
        size: in bytes
        mtime_ns: when it was written
    """

    def __init__(self, content: bytes, name: str, mtime_ns: int):
        super().__init__(content)
        self.name, self.size, self.mtime_ns = name, len(content), mtime_ns


class StoredParts(io.BufferedReader):
    """An object of which only what is read is sent.

    Attributes: as of :class:`StoredFile`.
    """

    def __init__(self, opened: pa.NativeFile, name: str, size: int, mtime_ns: int):
        super().__init__(_Raw(opened, name), _AHEAD)
        self.size, self.mtime_ns = size, mtime_ns


class _Raw(io.RawIOBase):
    def __init__(self, opened: pa.NativeFile, name: str):
        self._opened, self.name = opened, name

    def readinto(self, buffer: Any) -> int:
        content = self._opened.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._opened.seek(offset, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._opened.close()
        super().close()
