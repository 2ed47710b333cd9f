"""Class names as captions: each wording of a name in each sentence."""

from __future__ import annotations

from collections.abc import Sequence

from detail_embed.texts.templates import apply_templates, template_set
from detail_embed.texts.wordings import class_wordings

TEMPLATES = "own"
_WORDINGS = 2  # of a name: in its own case, and lower-case


def captions(
    name: str, templates: str | Sequence[str] = TEMPLATES
) -> list[str]:
    """The captions of a class, as many for any name.

    Args:
        name: of the class, such as ``"TrafficLight"``
        templates ("own"): see
            :func:`~detail_embed.texts.templates.template_set`

    Raises:
        ValueError, TypeError: as of that, and if the name is empty
    """
    whole, _ = class_wordings(name)
    whole = (whole * _WORDINGS)[:_WORDINGS]
    sentences = template_set(templates)
    return [text for wording in whole for text in apply_templates(wording, sentences)]
