"""Labels to tell apart by texts: a name, and the wordings that stand for it."""

from __future__ import annotations

from collections.abc import Sequence


def parse(labels: str | Sequence[str]) -> dict[str, list[str]]:
    """Reads labels, each a name or ``"name: prompt, prompt"``.

    A name alone is its own prompt, with spaces for underscores.

    Args:
        labels: a list, or a text with one label a line

    Returns:
        the prompts of each name, in the order given

    Raises:
        TypeError: if a label is no string
        ValueError: if there is none, one has no name or prompt, or is given twice
    """
    lines = labels.splitlines() if isinstance(labels, str) else labels
    found: dict[str, list[str]] = {}
    for line in lines:
        if not isinstance(line, str):
            raise TypeError(f"a label must be a string, not {line!r:.80}")
        if not line.strip():
            continue
        name, prompts = _read(line)
        if name in found:
            raise ValueError(f"the label {name!r} is given twice: join its prompts")
        found[name] = prompts
    if not found:
        raise ValueError("there is no label: give one a line")
    return found


def _read(line: str) -> tuple[str, list[str]]:
    name, colon, rest = line.partition(":")
    name = " ".join(name.split())
    if not name:
        raise ValueError(f"a name is missing before the colon of {line!r:.80}")
    if not colon:
        return name, [" ".join(name.replace("_", " ").split()) or name]
    prompts = [" ".join(part.split()) for part in rest.split(",")]
    prompts = [prompt for prompt in prompts if prompt]
    if not prompts:
        raise ValueError(f"a prompt is missing after the colon of {line!r:.80}")
    return name, list(dict.fromkeys(prompts))
