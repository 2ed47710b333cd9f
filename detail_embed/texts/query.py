r"""Queries of several prompts: weights, "but not", and a one-line syntax for them.

Prompts are separated by commas; a minus says "but not", a number and a star weigh::

    a car, 0.5 * snow, -a bicycle, -1.5 * at night, "salt, pepper and -20 degrees"

Quotes around a whole prompt keep what is inside as it is; ``\"`` is a quote inside
them and ``\\`` a backslash. A hyphen inside a word needs none.

What keyboards and editors write instead counts as the same: any dash at the start of a
prompt is a minus, full-width and Arabic commas, ideographic ones and semicolons are
commas, and typographic quotes are quotes. Where a line may mean two things it is
refused, with both.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from detail_embed.texts import query_signs as signs
from detail_embed.texts.templates import encode_queries, template_set

if TYPE_CHECKING:
    from detail_embed.backbone import Backbone

MAX_LENGTH = 10_000  # characters of a line
MAX_WEIGHT = 100
_CANCELLED = 1e-3  # of the summed weights; half precision rounds off about as much
_SHOWN = 40  # characters before and after the place of an error
_UNCLOSED = "this quote is not closed"


class QuerySyntaxError(ValueError):
    """A line that is no query, and where it goes wrong.

    Attributes:
        reason: what is wrong, without the line
        text: the line
        position: the place in it, counted in characters (code points) from 0
    """

    def __init__(self, reason: str, text: str, position: int):
        super().__init__(reason, text, position)
        self.reason = reason
        self.text = text
        self.position = position

    def __str__(self) -> str:
        """Gives the reason, the line, or a part of it, and a caret under the place."""
        start, end = max(0, self.position - _SHOWN), self.position + _SHOWN
        before = "…" * (start > 0) + _printable(self.text[start:self.position])
        after = _printable(self.text[self.position:end])
        after += "…" * (end < len(self.text))
        return f"{self.reason}:\n{before}{after}\n{' ' * _columns(before)}^"


@dataclass(frozen=True)
class Prompt:
    """One thing to look for, or to stay away from.

    Attributes:
        text: not blank; white space around and within it is made single spaces
        weight: up to 100, not 0; below 0 for "but not"

    Raises:
        TypeError: if the text is no string
        ValueError: if the text is blank or the weight out of range
    """

    text: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"a prompt must be a string, not {self.text!r:.80}")
        text, weight = " ".join(self.text.split()), float(self.weight)
        if not text:
            raise ValueError("the prompt is empty: say what you are looking for")
        if not 0 < abs(weight) <= MAX_WEIGHT:
            raise ValueError(
                f"a weight must be at most {MAX_WEIGHT} and not 0, not {weight}"
            )
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "weight", weight)

    def __str__(self) -> str:
        """Writes the prompt as :func:`parse` reads it."""
        minus = "-" if self.weight < 0 else ""
        number = repr(abs(self.weight)).removesuffix(".0")
        weight = "" if number == "1" else f"{number} * "
        text = self.text
        if signs.NEEDS_QUOTES.match(text):
            text = text.replace("\\", "\\\\").replace('"', '\\"')
            text = f'"{text}"'
        return f"{minus}{weight}{text}"


@dataclass(frozen=True)
class Query:
    """Prompts that are looked for together.

    ``str(query)`` is the line that :func:`parse` makes the same query of, where it is
    not too long.

    Attributes:
        prompts: at least one

    Raises:
        ValueError: if there is no prompt
    """

    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("the query has no prompt: say what you are looking for")

    def __str__(self) -> str:
        return ", ".join(map(str, self.prompts))

    @property
    def is_only_negative(self) -> bool:
        """Whether every prompt is a "but not"."""
        return all(prompt.weight < 0 for prompt in self.prompts)

    def encode(
        self, backbone: Backbone, templates: str | Sequence[str] = "own"
    ) -> Tensor:
        """Adds up the vectors of the prompts, each times its weight.

        One prompt alone, of whatever weight above 0, gives the vector of
        :func:`detail_embed.texts.templates.encode_query`.

        Args:
            backbone: the model
            templates ("own"): as of :func:`detail_embed.texts.templates.template_set`

        Returns:
            ``(d,)`` float32, unit length, on the device of the backbone

        Raises:
            TypeError: if a template is no string
            ValueError: if the prompts cancel each other out, or the templates are
                wrong
        """
        texts = [prompt.text for prompt in self.prompts]
        return self.combine(encode_queries(backbone, texts, template_set(templates)))

    def combine(self, features: Tensor) -> Tensor:
        """Adds up the vectors of the prompts, encoded elsewhere, by their weights.

        Args:
            features: ``(n, d)``, unit length, one for each prompt

        Returns:
            ``(d,)``, unit length

        Raises:
            ValueError: if the prompts cancel each other out
        """
        largest = max(abs(prompt.weight) for prompt in self.prompts)
        weights = features.new_tensor([p.weight / largest for p in self.prompts])
        if len(weights) == 1:  # of unit length as it is
            return features[0] * weights[0]
        total = (weights[:, None] * features).sum(0)
        if torch.linalg.vector_norm(total) <= _CANCELLED * weights.abs().sum():
            raise ValueError(
                f"the prompts of {str(self)!r:.200} cancel each other out, so nothing "
                f"is left to look for: change a prompt or a weight"
            )
        return F.normalize(total, dim=0)


def parse(text: str) -> Query:
    """Reads a query from one line; the syntax is that of this module.

    Args:
        text: up to 10,000 characters

    Raises:
        TypeError: if ``text`` is no string
        QuerySyntaxError: if it is no query
    """
    if not isinstance(text, str):
        raise TypeError(f"a query must be a string, not {text!r:.80}")
    if len(text) > MAX_LENGTH:
        raise QuerySyntaxError(
            f"the query has {len(text):,} characters, of {MAX_LENGTH:,} at most",
            text, MAX_LENGTH,
        )
    if not text.strip():
        raise QuerySyntaxError("the query is empty: say what to look for", text, 0)
    prompts, end = [], -1
    while end < len(text):
        prompt, end = _read_prompt(text, end + 1)
        prompts.append(prompt)
    return Query(tuple(prompts))


def _read_prompt(text: str, start: int) -> tuple[Prompt, int]:
    """Reads up to a comma or the end; returns its place too."""
    minus = signs.MINUS.match(text, start)
    at, weight = minus.end(), 1.0
    if decimal := signs.DECIMAL_COMMA.match(text, at):
        meant = decimal[0].strip().replace(",", ".")
        raise QuerySyntaxError(
            f"did you mean {meant} …, with a point? A comma ends a prompt: for two "
            "prompts put a space after it", text, at,
        )
    if not _is_quoted(text, at) and (star := signs.WEIGHT.match(text, at)):
        weight, at = _weight(star), star.end()
    read = _read_quoted if _is_quoted(text, at) else _read_plain
    words, end = read(text, at)
    if not words.strip():
        raise QuerySyntaxError("a prompt is missing here", text, at)
    return Prompt(words, -weight if minus[1] else weight), end


def _weight(star: re.Match) -> float:
    number = star[1].strip()
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if 0 < weight <= MAX_WEIGHT:
        return weight
    if math.isnan(weight):
        wrong = (
            f"{number!r:.40} before the star is not a number; a prompt with a star "
            f"needs quotes around it"
        )
    else:
        wrong = f"the weight {number:.40} is not above 0 and at most {MAX_WEIGHT}"
    raise QuerySyntaxError(wrong, star.string, star.start())


def _is_quoted(text: str, at: int) -> bool:
    return text[at : at + 1] in ('"', *signs.CURLY)


def _read_quoted(text: str, start: int) -> tuple[str, int]:
    is_curly = text[start] in signs.CURLY
    quoted = (signs.CURLY_QUOTED if is_curly else signs.QUOTED).match(text, start)
    if not quoted:
        raise QuerySyntaxError(_UNCLOSED, text, start)
    end = quoted.end()
    if end < len(text) and text[end] not in signs.COMMAS:
        raise QuerySyntaxError(
            'a comma is missing after the closing quote; a quote inside quotes is \\"',
            text, end,
        )
    words = quoted[1] if is_curly else re.sub(r'\\(["\\])', r"\1", quoted[1])
    return words, end


def _read_plain(text: str, start: int) -> tuple[str, int]:
    plain = signs.PLAIN.match(text, start)
    words, end = plain[0], plain.end()
    if words[:1] in tuple(signs.DASHES):
        raise QuerySyntaxError(
            "one minus, before the weight, is enough; a prompt that begins with a "
            "minus needs quotes around it", text, start,
        )
    if "*" in words:
        raise QuerySyntaxError(
            "a prompt has one weight; a prompt with a star needs quotes around it",
            text, text.index("*", start),
        )
    if later := signs.LATER_MINUS.search(words):
        before, after = words[: later.start()].strip(), words[later.end() :].strip()
        raise QuerySyntaxError(
            f"did you mean {before}, -{after}, which leaves out {after!r}? If not, put "
            "quotes around it all", text, start + later.end() - 1,
        )
    if words.count('"') % 2:
        raise QuerySyntaxError(_UNCLOSED, text, text.rindex('"', start, end))
    return words, end


def _printable(text: str) -> str:
    """Replaces line breaks and the like, one for one, by spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def _columns(text: str) -> int:
    """Counts the columns of a terminal that a text fills."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me")
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
