"""open_clip's models, weights and tokenizers, with errors that help."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import open_clip
import torch

_SCHEMAS = ("hf-hub:", "local-dir:")


def create_model(
    name: str, pretrained: str | None, allow_random: bool
) -> tuple[torch.nn.Module, bool]:
    """Makes an open_clip model on the CPU, in float32.

    Args:
        name: an architecture, or an ``"hf-hub:"`` or ``"local-dir:"`` name
        pretrained: a tag, the path of a checkpoint, or None
        allow_random: whether None may stand for random weights

    Returns:
        the model, and whether its weights are random

    Raises:
        ValueError: if the name, tag or file is unknown or wrong, or no
            weights are named
        RuntimeError: if the weights cannot be downloaded
    """
    if name.startswith(_SCHEMAS):
        return _from_schema(name), False
    _check_name(name)
    if pretrained is None:
        if not allow_random:
            raise ValueError(
                f"{name} without pretrained weights finds nothing: name one of "
                f"its tags ({_tags(name)}) or a checkpoint file"
            )
        return _build(name, None), True
    if open_clip.is_pretrained_cfg(name, pretrained):
        return _from_tag(name, pretrained), False
    return _from_file(name, pretrained), False


def create_tokenizer(name: str):
    """Makes the tokenizer of a model.

    Raises:
        RuntimeError: if it has to be downloaded and that fails
    """
    try:
        return open_clip.get_tokenizer(name)
    except Exception as error:
        raise RuntimeError(
            f"the tokenizer of {name} could not be loaded: {error}. It comes "
            "from a hub: connect to the internet once, or use a model with "
            "open_clip's own tokenizer, such as ViT-B-32"
        ) from error


def _check_name(name: str) -> None:
    known = open_clip.list_models()
    if name not in known:
        folded = {k.lower(): k for k in known}
        near = difflib.get_close_matches(name.lower(), folded, n=5, cutoff=0.5)
        hint = ", ".join(folded[n] for n in near) or "open_clip.list_models()"
        raise ValueError(f"open_clip has no model {name!r}. Near matches: {hint}")


def _tags(name: str) -> str:
    tags = open_clip.list_pretrained_tags_by_model(name)
    return ", ".join(tags) or "it has none"


def _build(name: str, pretrained: str | None) -> torch.nn.Module:
    return open_clip.create_model(
        name, pretrained=pretrained, pretrained_image=False, pretrained_text=False
    )


def _from_schema(name: str) -> torch.nn.Module:
    try:
        return open_clip.create_model(name, require_pretrained=True)
    except FileNotFoundError as error:
        raise ValueError(f"{name}: {error}") from error


def _from_tag(name: str, tag: str) -> torch.nn.Module:
    try:
        return _build(name, tag)
    except Exception as error:
        raise RuntimeError(
            f"the weights {tag!r} of {name} could not be downloaded: {error}. "
            "Download them elsewhere and pass the file's path as pretrained"
        ) from error


def _from_file(name: str, path: str) -> torch.nn.Module:
    if not os.path.isfile(path):
        if os.sep in path or Path(path).suffix:
            raise ValueError(f"there is no checkpoint file {path!r}")
        raise ValueError(
            f"{name} has no pretrained tag {path!r}, and there is no such file. "
            f"Its tags: {_tags(name)}"
        )
    try:
        return _build(name, path)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path!r} is not a checkpoint of {name}: {reason}"
        ) from error
