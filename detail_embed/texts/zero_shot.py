"""Classification by texts alone: cosines to probabilities, and "none of these"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import numpy as np
import torch
from numpy.typing import ArrayLike

from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts.query_signs import HASHES
from detail_embed.texts.read_query import line_of, read_prompt
from detail_embed.texts.score_summary import standardise

TEMPERATURE = 0.01  # 1 / logit_scale, where CLIP's training stops it


def z_scores(scores: ArrayLike) -> np.ndarray:
    """Gives the scores of each label as standard deviations from their mean.

    Args:
        scores: ``(n, K)``, cosines of ``n`` images and ``K`` labels

    Returns:
        ``(n, K)`` float64, 0 for a label that scores the same everywhere

    Raises:
        ValueError: if the scores are no such table, or one is not finite
    """
    columns = _read(scores).T
    return np.stack([standardise(column) for column in columns], axis=1)


def probabilities(
    scores: ArrayLike,
    temperature: float = TEMPERATURE,
    none_below: float | None = None,
) -> np.ndarray:
    """Gives each image a probability for each label.

    Without ``none_below``, this is CLIP's zero-shot classification::

        softmax(scores / temperature)

    With it, a last class, "none of these", is the most likely one where no label's
    z-score over the images reaches ``none_below``::

        softmax(r * [z_1, ..., z_K, none_below] / temperature)

    ``r`` is the quadratic mean of the labels' standard deviations, so that the
    temperature means the same. A label that fits all images alike does not win then;
    nor does one that most images show: it cannot stand out.

    Args:
        scores: ``(n, K)``, cosines of ``n`` images and ``K`` labels
        temperature (TEMPERATURE): in units of the cosine; the smaller, the surer
        none_below (None): a z-score, None for no such class

    Returns:
        ``(n, K)`` float64, or ``(n, K + 1)``; each row adds up to 1

    Raises:
        ValueError: if the scores, the temperature or ``none_below`` cannot be used
    """
    if not _is_number(temperature) or temperature <= 0:
        raise ValueError(f"temperature must be above 0, not {temperature!r}")
    logits = _read(scores)
    if none_below is not None:
        if not _is_number(none_below):
            raise ValueError(f"none_below must be a z-score, not {none_below!r}")
        spread = np.sqrt(logits.var(axis=0).mean())
        none = np.full((len(logits), 1), none_below)
        logits = spread * np.concatenate([z_scores(logits), none], axis=1)
    return torch.softmax(torch.from_numpy(logits / temperature), dim=1).numpy()


def _read(scores: ArrayLike) -> np.ndarray:
    scores = np.array(scores, np.float64)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores: shape (n, K) expected, got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores hold values that are not finite")
    return scores


def _is_number(value: object) -> bool:
    is_real = is_a(Real, value)
    return is_real and math.isfinite(value)


def parse(labels: str | Sequence[str]) -> dict[str, list[str]]:
    """Reads labels, each a name or ``"name: prompt, prompt"``.

    A name alone is its own prompt, with spaces for underscores; ``#helmet`` is the
    label "helmet", whose prompt is the concept of this name.

    Args:
        labels: a list, a text with one label a line, or ``{name: prompts}``

    Returns:
        the prompts of each name, in the order given

    Raises:
        TypeError: if a label is no string
        ValueError: if there is none, one has no name or prompt, or is given twice
    """
    lines = list_labels(labels)
    found: dict[str, list[str]] = {}
    for line in lines:
        if not isinstance(line, str):
            raise TypeError(f"a label must be a string, not {line!r:.80}")
        if not line.strip():
            continue
        name, prompts = _read_label(line)
        if name in found:
            raise ValueError(f"the label {name!r} is given twice: join its prompts")
        found[name] = prompts
    if not found:
        raise ValueError("there is no label: give labels, one a line")
    return found


def prompt_of(name: str) -> str:
    """What is typed for a label that has no prompt: its name, without underscores."""
    return " ".join(name.replace("_", " ").split()) or name


def list_labels(labels: str | Sequence[str] | Mapping[str, Sequence[str]]) -> list[str]:
    """Labels as one line each.

    Raises:
        TypeError: if they are no text, list or mapping
    """
    if isinstance(labels, str):
        return labels.splitlines()
    if isinstance(labels, Mapping):
        return [f"{name}: {_join(name, labels[name])}" for name in labels]
    if not isinstance(labels, Iterable):
        raise TypeError(f"labels={labels!r:.80}: give a list of names, or a text")
    return list(labels)


def _join(name: str, prompts: str | Sequence[str]) -> str:
    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    wrong = [p for p in prompts if not isinstance(p, str) or "," in p]
    if wrong:
        raise TypeError(
            f"labels: a prompt of {name!r} must be a text without commas, not "
            f"{wrong[0]!r:.80}"
        )
    return ", ".join(prompts)


def _read_label(line: str) -> tuple[str, list[str]]:
    name, colon, rest = line.partition(":")
    name = " ".join(name.split())
    if not name:
        raise ValueError(f"a name is missing before the colon of {line!r:.80}")
    if not colon and name[0] in HASHES:
        prompt = read_prompt(name)
        return prompt.text, [line_of(prompt)]
    if not colon:
        return name, [prompt_of(name)]
    prompts = [" ".join(part.split()) for part in rest.split(",")]
    prompts = [prompt for prompt in prompts if prompt]
    if not prompts:
        raise ValueError(f"a prompt is missing after the colon of {line!r:.80}")
    return name, list(dict.fromkeys(prompts))
