"""Prompts: the words a user types, in the sentences that CLIP was trained on."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from detail_embed.backbone import Backbone
    from detail_embed.texts.text_adapter import TextAdapter

TEMPLATES = (
    "{}",
    "a photo of a {}",
    "a photo of a small {}",
    "a picture of the {}",
)
TEMPLATE_SETS = ("own", "openai-80", "simple-7", "plain")


def template_set(templates: str | Sequence[str] = "own") -> tuple[str, ...]:
    """Finds a set of templates by its name.

    Args:
        templates ("own"): one of ``TEMPLATE_SETS``: ``"own"`` (``TEMPLATES``),
            ``"openai-80"`` and ``"simple-7"`` (open_clip's, for ImageNet) or
            ``"plain"`` (the text as it is); or templates of one's own

    Raises:
        TypeError: if a template of one's own is no string
        ValueError: if the name is unknown, there is no template, or one does not
            hold ``{}`` once
    """
    if not isinstance(templates, str):
        return _checked(templates)
    if templates == "own":
        return TEMPLATES
    if templates == "plain":
        return ("{}",)
    if templates not in TEMPLATE_SETS:
        near = difflib.get_close_matches(templates, TEMPLATE_SETS, cutoff=0.3)
        raise ValueError(
            f"there is no template set {templates!r}. Near matches: "
            f"{', '.join(near or TEMPLATE_SETS)}. Templates of your own go in a list"
        )
    import open_clip  # slow, and needed for its own sets only

    theirs = {
        "openai-80": open_clip.OPENAI_IMAGENET_TEMPLATES,
        "simple-7": open_clip.SIMPLE_IMAGENET_TEMPLATES,
    }
    return tuple(template("{}") for template in theirs[templates])


def _checked(templates: Sequence[str]) -> tuple[str, ...]:
    if not templates:
        raise ValueError('there is no template: give one at least, such as "{}"')
    for template in templates:
        if not isinstance(template, str):
            raise TypeError(f"a template must be a string, not {template!r:.80}")
        if template.count("{}") != 1:
            raise ValueError(f"template {template!r} must hold {{}} once")
    return tuple(templates)


def apply_templates(
    text: str, templates: Sequence[str] = TEMPLATES
) -> list[str]:
    """Puts a text into every template.

    Args:
        text: what is looked for
        templates (TEMPLATES): sentences that hold ``{}`` once

    Raises:
        TypeError: if the text or a template is no string
        ValueError: if the text is empty, there is no template or one lacks its
            ``{}``
    """
    if not isinstance(text, str):
        raise TypeError(f"a text must be a string, not {text!r:.80}")
    if not text.strip():
        raise ValueError("the text is empty: say what you are looking for")
    return [t.replace("{}", text.strip()) for t in _checked(templates)]


def encode_queries(
    backbone: Backbone, texts: Sequence[str],
    templates: Sequence[str] = TEMPLATES,
    words: TextAdapter | None = None,
) -> Tensor:
    """Encodes texts, each as the mean of its templates.

    Args:
        backbone: the model
        texts: what is looked for
        templates (TEMPLATES): sentences that hold ``{}`` once
        words (None): learned words, which move texts that mean them

    Returns:
        ``(n, d)`` float32, unit length

    Raises:
        TypeError: if ``texts`` is not a list of strings
        ValueError: as of :func:`apply_templates`
    """
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of strings, not {texts!r:.80}")
    texts = list(texts)
    sentences = [s for t in texts for s in apply_templates(t, templates)]
    features = backbone.encode_texts(sentences)
    means = features.unflatten(0, (len(texts), len(templates))).mean(1)
    encoded = F.normalize(means, dim=-1)
    return encoded if words is None else words(encoded, texts)


def encode_query(
    backbone: Backbone, text: str, templates: Sequence[str] = TEMPLATES
) -> Tensor:
    """Encodes one text as the mean of its templates: ``(d,)``, unit length."""
    return encode_queries(backbone, [text], templates)[0]
