r"""Queries of several prompts: weights, "but not", and a one-line syntax for them.

Prompts are separated by commas; a minus says "but not", a number and a star weigh::

    a car, 0.5 * snow, -a bicycle, -1.5 * at night, "salt, pepper and -20 degrees"

A search compares each prompt by itself with the patches of an image, or with its few
vectors, see :func:`detail_embed.patch_search.rerank.rerank_parts`; elsewhere the
vectors of prompts are added up.

Quotes around a whole prompt keep what is inside as it is; ``\"`` is a quote inside
them and ``\\`` a backslash. A hyphen inside a word needs none. ``#helmet``, or
``#"red helmet"``, is a concept that was taught by examples.

What keyboards and editors write instead counts as the same: any dash at the start of a
prompt is a minus, full-width and Arabic commas, ideographic ones and semicolons are
commas, and typographic quotes are quotes. Where a line may mean two things it is
refused, with both.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from detail_embed.texts import query_signs as signs
from detail_embed.texts.query_error import QuerySyntaxError
from detail_embed.texts.query_parts import encode_parts

if TYPE_CHECKING:
    from detail_embed.backbone import Backbone
    from detail_embed.texts.text_adapter import TextAdapter

MAX_LENGTH = 10_000  # characters of a line
MAX_WEIGHT = 100
_CANCELLED = 1e-3  # of the summed weights; half precision rounds off about as much
_UNCLOSED = "this quote is not closed"


@dataclass(frozen=True)
class Prompt:
    """One thing to look for, or to stay away from.

    Attributes:
        text: not blank; white space around and within it is made single spaces
        weight: up to 100, not 0; below 0 for "but not"
        is_concept: whether the text is the name of a concept, see
            :mod:`detail_embed.concepts`; letters with accents are made one character

    Raises:
        TypeError: if the text is no string
        ValueError: if the text is blank or the weight out of range
    """

    text: str
    weight: float = 1.0
    is_concept: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"a prompt must be a string, not {self.text!r:.80}")
        text, weight = " ".join(self.text.split()), float(self.weight)
        if not text:
            raise ValueError("the prompt is empty: say what you are looking for")
        if self.is_concept:
            text = unicodedata.normalize("NFC", text)
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
        text, sign = self.text, "#" if self.is_concept else ""
        if signs.NEEDS_QUOTES.match(text) or (sign and " " in text):
            text = text.replace("\\", "\\\\").replace('"', '\\"')
            text = f'"{text}"'
        return f"{minus}{weight}{sign}{text}"


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

    @property
    def concepts(self) -> tuple[str, ...]:
        """The names of the concepts among the prompts, each once."""
        return tuple(dict.fromkeys(p.text for p in self.prompts if p.is_concept))

    @property
    def parts(self) -> list[tuple[str, bool]]:
        """The texts of the prompts, and whether each is the name of a concept."""
        return [(prompt.text, prompt.is_concept) for prompt in self.prompts]

    def encode(
        self, backbone: Backbone, templates: str | Sequence[str] = "own",
        concept: Callable[[str], Tensor] | None = None,
        words: TextAdapter | None = None,
    ) -> Tensor:
        """Adds up the vectors of the prompts, each times its weight.

        One prompt alone, of whatever weight above 0, gives the vector of
        :func:`detail_embed.texts.templates.encode_query`.

        Args:
            backbone: the model
            templates ("own"): as of :func:`detail_embed.texts.templates.template_set`
            concept (None): gives the vector ``(d,)`` of a concept by its name, on that
                device, too; None where nobody knows any
            words (None): learned words, which move texts that mean them

        Returns:
            ``(d,)`` float32, unit length, on the device of the backbone

        Raises:
            TypeError: if a template is no string
            ValueError: if the prompts cancel each other out, the templates are wrong,
                or a concept is not known
        """
        parts = encode_parts(self.parts, backbone, templates, concept, words)
        return self.combine(parts)

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
    hash = signs.HASH.match(text, at)
    is_whole = hash[1] or _is_quoted(text, at)
    if not is_whole and (star := signs.WEIGHT.match(text, at)):
        weight, at = _weight(star), star.end()
        hash = signs.HASH.match(text, at)
    at = hash.end()
    is_quoted = _is_quoted(text, at)
    words, end = (_read_quoted if is_quoted else _read_plain)(text, at)
    if not words.strip():
        missing = "the name of a concept" if hash[1] else "a prompt"
        raise QuerySyntaxError(f"{missing} is missing here", text, at)
    if hash[1] and not is_quoted and len(parts := words.split(None, 1)) > 1:
        raise QuerySyntaxError(
            f'did you mean the concept #"{words.strip()}", or #{", ".join(parts)}? A '
            "text that begins with # needs quotes around it all",
            text, at + len(parts[0]),
        )
    return Prompt(words, -weight if minus[1] else weight, bool(hash[1])), end


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
