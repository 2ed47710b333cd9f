"""What a run did, as fields of the App and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fiftyone.operators import types

PLOT = {"displayModeBar": False, "scrollZoom": False}  # the wheel scrolls the page


def schema_of(
    results: Mapping[str, Any], labels: Mapping[str, str], title: str
) -> types.Property:
    """How fields of a result are shown, each by the type of its value.

    Args:
        results: JSON values by name
        labels: of those that are shown, in this order
        title: above them
    """
    outputs = types.Object()
    for name, label in labels.items():
        if name in results:
            _add(outputs, name, label, results[name])
    return types.Property(outputs, view=types.View(label=title))


def _add(outputs: types.Object, name: str, label: str, value: Any) -> None:
    if isinstance(value, dict):
        outputs.obj(name, label=label, view=types.JSONView())
    elif isinstance(value, int):
        outputs.int(name, label=label)
    elif isinstance(value, float):
        outputs.float(name, label=label)
    else:
        outputs.str(name, label=label)


def without(count: int) -> str:
    """Tells of images that have no vector; nothing where all have."""
    return f" Left out, without a vector: {count}." if count else ""


def hinted(text: str, hints: Iterable[str]) -> str:
    """A text, and below it what to know of the prompts."""
    return "\n\n".join([text, *hints])


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")
