"""What a section found: lines of PASS, FAIL or SKIP, and rows of tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


class Report:
    """Prints each check as it is made, and keeps all in a JSON file.

    Args:
        path: of the file, written anew with every check, so that what a section found
            before it was ended is not lost
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checks: list[dict[str, Any]] = []
        self._tables: dict[str, list[list[Any]]] = {}
        self._write()

    def at_least(self, name: str, value: float, threshold: float) -> None:
        """Checks that a value is a threshold or more; NaN is not."""
        self._add(PASS if value >= threshold else FAIL, name, value, f">={threshold:g}")

    def at_most(self, name: str, value: float, threshold: float) -> None:
        """Checks that a value is a threshold or less; NaN is not."""
        self._add(PASS if value <= threshold else FAIL, name, value, f"<={threshold:g}")

    def equal(self, name: str, value: Any, wanted: Any) -> None:
        """Checks that a value is what is wanted."""
        self._add(PASS if value == wanted else FAIL, name, value, f"=={wanted}")

    def skip(self, name: str, reason: str) -> None:
        """Says what is not checked here, and why."""
        self._add(SKIP, name, reason, "-")

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Makes an error a FAIL of that name, so that the section goes on."""
        try:
            yield
        except Exception as error:  # whatever a model or a driver raises
            text = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            self._add(FAIL, name, text, "no error")

    def table(self, title: str, columns: Sequence[str]) -> None:
        """Begins a table."""
        self._tables[title] = [list(columns)]
        print(f"\n{title}\n| {' | '.join(columns)} |\n|{'--|' * len(columns)}")

    def row(self, title: str, *cells: Any) -> None:
        """Adds a row to a table."""
        self._tables[title].append(list(cells))
        print(f"| {' | '.join(map(_text, cells))} |", flush=True)
        self._write()

    def _add(self, status: str, name: str, value: Any, threshold: str) -> None:
        self._checks.append(
            {"status": status, "name": name, "value": value, "threshold": threshold}
        )
        print(f"{status} {name} {_text(value)} {threshold}", flush=True)
        self._write()

    def _write(self) -> None:
        found = {"checks": self._checks, "tables": self._tables}
        self._path.write_text(json.dumps(found, indent=1, default=str))


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
