"""A problem of a form, said beside the field that it is about, in a person's words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from . import app

_TERMS = {"brain key": "index name"}
_GIVEN = re.compile(r"(?:\bpass )?\b(\w+)=('[^']*'|\[[^\]]*\]|\{[^}]*\}|[\w.+-]+)")


def add(
    inputs: types.Object, params: Mapping[str, Any], text: str,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Shows a problem in a form, which cannot be sent until it is solved.

    Messages name the argument (``cover=20``, ``cover must be``) or quote its value: the
    field that is named first is marked. Where there is none, the problem stands below.

    Args:
        inputs: the form
        params: what was filled in
        text: of the error
        labels (None): of fields that the form may have, by name
    """
    shown = {name: one.view.label for name, one in inputs.properties.items()}
    said = in_words(text, {**(labels or {}), **shown})
    fields = list(_mentions(inputs, params, text))
    if not fields:
        warning = types.Warning(label="Not yet", description=said)
        field = inputs.view("problem", warning)
        field.invalid, field.error_message = True, said  # agents read the latter alone
        return
    field = inputs.properties[min(fields)[1]]
    field.invalid, field.error_message = True, said


def say_missing(inputs: types.Object, params: Mapping[str, Any]) -> None:
    """Says to an agent what is missing, and between what it may choose.

    FiftyOne would say "Required property", and "Invalid enum value".
    """
    found = {}
    for name, one in inputs.properties.items():
        value, known = params.get(name), _choices(one)
        is_missing = one.required and value in (None, "", [])
        is_enum = isinstance(one.type, types.Enum)
        is_unknown = is_enum and value is not None and value not in known
        if (is_missing or is_unknown) and not one.invalid:
            said = f"{name} is missing" if is_missing else f"{name}={value!r}"
            found[name] = f"{said}: {_what_to_give(one, known)}"
    for name in found:  # FiftyOne tells the first one alone
        one = inputs.properties[name]
        one.invalid, one.error_message = True, "; ".join(found.values())


def _what_to_give(one: types.Property, known: list[Any]) -> str:
    if known:
        some = "some" if isinstance(one.type, types.List) else "one"
        return f"give {some} of {', '.join(map(repr, known))}"
    example = "" if one.default is None else f", such as {one.default!r}"
    about = one.view.description or one.view.label
    return f"give it{example}. {about}".rstrip(".")


def _choices(one: types.Property) -> list[Any]:
    """Between what a person may choose; empty for what is typed."""
    if isinstance(one.type, types.Enum):
        return list(one.type.values)
    return one.view.values() if isinstance(one.view, types.Choices) else []


def in_words(text: str, labels: Mapping[str, str | None]) -> str:
    """A message without the names of arguments.

    Args:
        text: of an error
        labels: of fields, by name
    """

    def label(match: re.Match) -> str:
        name, value = match.groups()
        if not labels.get(name):
            return match[0]
        if value in ("True", "False"):
            return f"switch {'on' if value == 'True' else 'off'} {labels[name]!r}"
        return f"{labels[name]}: {value}"

    said = _GIVEN.sub(label, text)
    for name, title in labels.items():
        if title:
            said = re.sub(rf"\b{name}\b(?= must)", title, said)
    for term, word in _TERMS.items():
        said = said.replace(term, word)
    return said[:1].upper() + said[1:]


def _mentions(
    inputs: types.Object, params: Mapping[str, Any], text: str
) -> Iterator[tuple[int, str]]:
    """Where a message names an input, or quotes what it holds; and which one."""
    for name, one in inputs.properties.items():
        value = params.get(name)
        if value is None or value == "":
            value = one.default
        patterns = [rf"\b{name}\b( must|=)"]
        if isinstance(value, str) and value:
            quoted = re.escape(repr(value))
            patterns.append(quoted)
            if os.sep in value:
                patterns.append(re.escape(os.path.expanduser(value)))
        found = [match.start() for p in patterns if (match := re.search(p, text))]
        if found:
            yield min(found), name


def answered(
    execute: Callable[[Any, foo.ExecutionContext], dict[str, Any]],
) -> Callable[[Any, foo.ExecutionContext], dict[str, Any]]:
    """Makes ``execute`` answer an agent with what cannot work, in words.

    FiftyOne would show it a trace; the App shows the message of the error.
    """

    @wraps(execute)
    def answer(self: Any, ctx: foo.ExecutionContext) -> dict[str, Any]:
        try:
            return execute(self, ctx)
        except (ValueError, TypeError, ImportError) as error:
            if app.is_app(ctx):
                raise
            return {"problem": str(error)}

    return answer
