"""The images of a TIFF file, and which of them is the photograph."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_PAGES = 1000
_MOST_NUMBERS = 4096  # of a tag: bands, SubIFDs
_CODES = {1: "B", 2: "s", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # by type
_THUMBNAIL = 512  # pixels, the longer side of one that is not marked as such
_CFA, _LINEAR_RAW, _DNG_VERSION = 32803, 34892, 50706
_NUMBERS = (254, 255, 256, 257, 259, 262, 274, 277, 284)  # one each
_WANTED = (
    254, 255, 256, 257, 258, 259, 262, 274, 277, 284, 330, 338, 339, 42113, _DNG_VERSION
)


@dataclass
class Page:
    """One image of a TIFF file.

    Attributes:
        offset: of its directory in the file
        next: offset of the next directory, 0 if there is none
        tags: by number, as the file has them
        children: the images of its SubIFDs
    """

    offset: int
    next: int
    tags: dict[int, Any]
    children: list[Page] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.tags.get(256, 0), self.tags.get(257, 0)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.size[0] * self.size[1]

    @property
    def photometric(self) -> int:
        """What its samples mean."""
        return self.tags.get(262, 0)

    @property
    def samples(self) -> int:
        """Samples of a pixel."""
        return self.tags.get(277, 1)

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits of each sample of a pixel."""
        bits = _tuple(self.tags.get(258, 1))
        return bits * self.samples if len(bits) == 1 else bits[: self.samples]

    @property
    def kinds(self) -> tuple[int, ...]:
        """Kinds of its samples: 1 is unsigned."""
        return _tuple(self.tags.get(339, 1))

    @property
    def extras(self) -> tuple[int, ...]:
        """What the samples beside the colours are: 1 and 2 are opacity."""
        return _tuple(self.tags.get(338, ()))

    @property
    def orientation(self) -> int:
        """How to turn it, as in EXIF."""
        return self.tags.get(274, 1)

    @property
    def is_planar(self) -> bool:
        """Whether each band lies by itself."""
        return self.tags.get(284) == 2 and self.samples > 1

    @property
    def is_small(self) -> bool:
        """Whether it is a smaller copy, or a mask, of another image."""
        return bool(self.tags.get(254, 0) & 5) or self.tags.get(255) == 2

    @property
    def is_raw(self) -> bool:
        """Whether it is what a sensor saw, which is no picture yet."""
        return self.photometric in (_CFA, _LINEAR_RAW)


class AtPage(io.RawIOBase):
    """A TIFF file whose first directory is another one of it.

    Args:
        file: the file
        page: the image that shall come first
    """

    def __init__(self, file: BinaryIO, page: Page) -> None:
        file.seek(0)
        head = file.read(16)
        order = "little" if head[:2] == b"II" else "big"
        if 43 in head[2:4]:
            self._head = head[:8] + page.offset.to_bytes(8, order)
        else:
            self._head = head[:4] + page.offset.to_bytes(4, order)
        self._file = file
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Reads bytes of the file, of the changed head at its start."""
        start = self._file.tell()
        content = self._file.read(size)
        head = self._head[start : start + len(content)]
        return head + content[len(head) :]

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves, as in every file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def fileno(self) -> int:
        """The file itself, as libtiff gets the offset of a directory beside it."""
        return self._file.fileno()

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True


def photograph(file: BinaryIO) -> tuple[Page, bool]:
    """Finds the image that a TIFF file is about.

    That is the largest image of full resolution among the first of the pages and the
    SubIFDs; other pages of a document are other images. A first page of at most 512
    pixels is a thumbnail, also if it is not marked as one, where a later one of the
    same shape is four times as wide and high.

    Returns:
        the image, and whether the file holds what a camera's sensor saw, whatever
        previews it has beside it

    Raises:
        ValueError: if it has no directory that can be read
    """
    first = next(pages(file), None)
    if first is None or not first.area:
        raise ValueError("it has no directory of an image")
    if _DNG_VERSION in first.tags or _is_canon(file):
        return first, True
    found = [first] if _is_clear(first) else list(pages(file))
    everything = found + [child for page in found for child in page.children]
    if any(page.is_raw for page in everything):
        return first, True
    full = [page for page in found if not page.is_small]
    before = found[: found.index(full[0]) + 1] if full else found
    inside = [child for page in before for child in page.children]
    family = full[:1] + [page for page in inside if not page.is_small]
    best = max(family or everything, key=lambda page: page.area)
    return max([best, *_same_but_larger(best, full)], key=lambda page: page.area), False


def pages(file: BinaryIO) -> Iterator[Page]:
    """The images of a TIFF file in their order, each once, without SubIFDs' chains.

    Raises:
        struct.error: if a directory is cut off
    """
    file.seek(0)
    head = file.read(16)
    form = _form(head)
    (offset,) = struct.unpack_from(form.offset, head, 8 if form.is_big else 4)
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MOST_PAGES:
        seen.add(offset)
        page = _page(file, form, offset)
        for child in _tuple(page.tags.get(330, ())):
            if child not in seen:
                seen.add(child)
                page.children.append(_page(file, form, child))
        yield page
        offset = page.next


@dataclass(frozen=True)
class _Form:
    """How a file writes numbers."""

    order: str
    is_big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.is_big else "I")


def _form(head: bytes) -> _Form:
    return _Form("<" if head[:2] == b"II" else ">", 43 in head[2:4])


def _page(file: BinaryIO, form: _Form, offset: int) -> Page:
    file.seek(offset)
    counted = form.order + ("Q" if form.is_big else "H")
    (count,) = struct.unpack(counted, file.read(struct.calcsize(counted)))
    entry = struct.Struct(form.order + ("HHQ8s" if form.is_big else "HHI4s"))
    table = file.read(entry.size * min(count, 2**16))
    (after,) = struct.unpack(form.offset, file.read(struct.calcsize(form.offset)))
    tags = {}
    for tag, kind, number, value in entry.iter_unpack(table):
        if tag in _WANTED and kind in _CODES:
            found = _value(file, form, kind, number, value)
            is_odd = tag in _NUMBERS and not isinstance(found, int)
            if is_odd and not (isinstance(found, tuple) and found):
                raise ValueError(f"its tag {tag} is no number")
            tags[tag] = found[0] if is_odd else found
    return Page(offset, after, tags)


def _value(file: BinaryIO, form: _Form, kind: int, number: int, value: bytes) -> Any:
    """A number, several as a tuple, or a text."""
    number = min(number, _MOST_NUMBERS)
    code = f"{form.order}{number}{_CODES[kind]}"
    size = struct.calcsize(code)
    if size > len(value):
        file.seek(struct.unpack(form.offset, value)[0])
        value = file.read(size)
    found = struct.unpack(code, value[:size])
    if kind == 2:
        return found[0].decode("latin-1")
    return found if number != 1 else found[0]


def _tuple(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _is_canon(file: BinaryIO) -> bool:
    """Whether it is a CR2, whose previews come first and are not marked."""
    file.seek(8)
    return file.read(2) == b"CR"


def _is_clear(page: Page) -> bool:
    """Whether it is the photograph, whatever else the file holds."""
    return not page.is_small and not page.children and max(page.size) > _THUMBNAIL


def _same_but_larger(page: Page, full: list[Page]) -> list[Page]:
    if max(page.size) > _THUMBNAIL:
        return []
    width, height = page.size
    return [
        other for other in full
        if min(other.size[0] / width, other.size[1] / height) >= 4
        and abs(other.size[0] * height / (other.size[1] * width) - 1) < 0.02
    ]
