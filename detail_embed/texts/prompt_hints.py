"""What a person should know of a prompt that a model cannot read as it is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from detail_embed.texts.query import Query
from detail_embed.texts.templates import apply_templates, template_set

if TYPE_CHECKING:
    from detail_embed.backbone import Backbone

_SHOWN = 40  # characters of a prompt
_BETWEEN = re.compile(r"(\S.*?) (?:beside|next to|and(?= (?:an?|the) )) (.*\S)", re.I)
_FEW = 2  # letters of another script: fewer are a symbol in an English text


def prompt_hints(
    backbone: Backbone, query: Query, templates: str | Sequence[str] = "own"
) -> tuple[str, ...]:
    """Says which prompts are cut off, hardly understood, or name several things.

    Args:
        backbone: whose text tower reads the prompts
        query: the prompts; names of concepts are not read
        templates ("own"): around them, as of
            :func:`~detail_embed.texts.templates.template_set`

    Returns:
        a sentence for each prompt that needs one

    Raises:
        RuntimeError: if the tokenizer cannot be loaded
    """
    sentences = template_set(templates)
    texts = [prompt.text for prompt in query.prompts if not prompt.is_concept]
    hints = (_hint(backbone, text, sentences) for text in texts)
    return tuple(hint for hint in hints if hint)


def _hint(backbone: Backbone, text: str, templates: Sequence[str]) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    if _is_spelled(backbone, text):
        return (
            f"{backbone.name} hardly knows the script of “{shown}”: it reads it letter "
            "by letter. Ask in English, or use a model that knows your language."
        )
    if backbone.tokenizer.cut(apply_templates(text, templates)):
        return (
            f"The end of “{shown}” is not read: it is longer than {backbone.name} "
            "takes in. Say it in fewer words, or as several prompts."
        )
    if two := _BETWEEN.fullmatch(text):
        return (
            f"“{shown}” names two things: as two prompts, “{two[1]}, {two[2]}”, more "
            "images with both are found as a rule."
        )
    return ""


def _is_spelled(backbone: Backbone, text: str) -> bool:
    """Whether letters of another script than Latin take a token each, or more."""
    letters = unicodedata.normalize("NFC", text)
    other = "".join(c if _is_other(c) else " " for c in letters)
    count = len(other.replace(" ", ""))
    return count >= _FEW and backbone.tokenizer.count(other) >= count


def _is_other(letter: str) -> bool:
    is_letter = unicodedata.category(letter)[0] in "LM"
    return is_letter and not unicodedata.name(letter, "").startswith("LATIN")
