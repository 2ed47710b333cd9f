"""README and docs as what can be run: their blocks, and the calls in their tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md", "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
_PART = re.compile(r"^```(\w*)\n(.*?)^```$|^(\|[^\n]*)$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Part:
    """A block, or the code in a row of a table.

    Attributes:
        page: whose it is
        language: of a block, such as ``"python"``; ``"row"`` of a row
        text: the block; of a row the code in its last cells, a line each
        name: its first line, up to 40 characters, or the first cell of the row
    """

    page: str
    language: str
    text: str
    name: str


def parts(page: str) -> list[Part]:
    """The blocks and the rows with code of a page, in its order."""
    found = (_part(page, *match.groups()) for match in _PART.finditer(read(page)))
    return [part for part in found if part.text]


def blocks(page: str, *languages: str) -> list[Part]:
    """The blocks of a page in some languages, in its order."""
    return [part for part in parts(page) if part.language in languages]


def rows(page: str) -> list[Part]:
    """The rows with code of a page, in its order."""
    return blocks(page, "row")


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text("utf-8")


def spans(page: str) -> list[str]:
    """The code within the lines of a page, its blocks left out."""
    prose = re.sub(r"^```.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in _SPAN.findall(prose)]


def _part(page: str, language: str | None, block: str | None, row: str | None) -> Part:
    if row is None:
        return Part(page, language, block, block.strip().splitlines()[0][:40])
    first, *others = row.strip("| ").split("|")
    code = "\n".join(_SPAN.findall("|".join(others)))
    return Part(page, "row", code, first.strip())
