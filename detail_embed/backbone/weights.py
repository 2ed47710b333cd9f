"""open_clip's models and their weights, with errors that help."""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import open_clip
import torch

from detail_embed.backbone import bundled_model, hub
from detail_embed.backbone.root_log import untouched_root_log
from detail_embed.backbone.weight_files import (
    check_finite,
    check_positions,
    saved_shapes,
)

logger = logging.getLogger(__name__)

_SCHEMAS = ("hf-hub:", "local-dir:")
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


@untouched_root_log()
def create_model(name: str, pretrained: str | None) -> tuple[torch.nn.Module, bool]:
    """Makes an open_clip model on the CPU, in float32.

    Weights of a tag that were trained with QuickGELU get it even where the
    architecture's config says otherwise (open_clip only warns). A checkpoint
    file and random weights get the preprocessing of the architecture's tags.
    Random weights are the same every time.

    Args:
        name: an architecture, or an ``"hf-hub:"`` or ``"local-dir:"`` name
        pretrained: a tag, the path of a checkpoint, or None: the demo model's
            own weights, or random ones

    Returns:
        the model, and whether its weights are random

    Raises:
        ValueError: if the name, tag or file is unknown or wrong
        RuntimeError: if the weights cannot be downloaded
    """
    if name.startswith(_SCHEMAS):
        return _from_schema(name), False
    _check_name(name)
    if name == bundled_model.NAME:
        pretrained = pretrained or str(bundled_model.WEIGHTS)
    if pretrained is None:
        logger.warning("The weights of %s are random: it finds nothing", name)
        return _random(name), True
    if open_clip.is_pretrained_cfg(name, pretrained):
        return _from_tag(name, pretrained), False
    return _from_file(name, pretrained), False


def resolve_file(name: str, pretrained: str | Path | None) -> str | None:
    """A tag as it is, the path of a file as one from the root."""
    if pretrained is None:
        return None
    pretrained = str(pretrained)
    is_tag = open_clip.is_pretrained_cfg(name, pretrained)
    is_file = not is_tag and os.path.isfile(pretrained)
    return os.path.abspath(pretrained) if is_file else pretrained


def check_trained(name: str, pretrained: str | None) -> None:
    """Checks that :func:`create_model` would not take random weights.

    Raises:
        ValueError: if it would, or there is no such model
    """
    if name.startswith(_SCHEMAS):
        return
    _check_name(name)
    if pretrained is None and name != bundled_model.NAME:
        raise ValueError(
            f"{name} without pretrained weights finds nothing: name one of its tags "
            f"({_tags(name)}) or a checkpoint file as pretrained, or allow random "
            "weights"
        )


def has_weights(name: str, pretrained: str | None) -> bool:
    """Whether a model can be made without a download."""
    if pretrained is None or os.path.isfile(pretrained):
        return True
    config = open_clip.get_pretrained_cfg(name, pretrained)
    return bool(config) and hub.find(config) is not None


def check_weights(name: str, pretrained: str | None) -> None:
    """Checks that the weights of a model are on this disk, or can be downloaded.

    Raises:
        ValueError: if there are no such weights, or they are on a hub that is known to
            be out of reach
    """
    if name.startswith(_SCHEMAS) or has_weights(name, pretrained):
        return
    config = open_clip.get_pretrained_cfg(name, pretrained)
    if not config:
        return _check_file(name, pretrained)
    if hub.seems_out_of_reach(config):
        raise ValueError(
            f"the weights of {name!r} ({pretrained}) are not on this disk, and cannot "
            "be downloaded now: choose a model that is on this disk, or give the path "
            "of a checkpoint as Weights"
        )


def dimension(name: str) -> int | None:
    """D of an architecture, without making the model; None where that is not known."""
    _register()
    config = open_clip.get_model_config(name)
    return config and config["embed_dim"]


def input_size(name: str) -> int | None:
    """Side, in pixels, of what an architecture sees; None where that is not known."""
    _register()
    config = open_clip.get_model_config(name) or {}
    side = config.get("vision_cfg", {}).get("image_size")
    return side[0] if isinstance(side, (list, tuple)) else side


def _register() -> None:
    if bundled_model.NAME not in open_clip.list_models():
        bundled_model.register()


def _check_name(name: str) -> None:
    _register()
    known = open_clip.list_models()
    if name not in known:
        folded = {k.lower(): k for k in known}
        near = difflib.get_close_matches(name.lower(), folded, n=5, cutoff=0.5)
        hint = ", ".join(folded[n] for n in near) or "open_clip.list_models()"
        raise ValueError(f"open_clip has no model {name!r}. Near matches: {hint}")


def _tags(name: str) -> str:
    tags = open_clip.list_pretrained_tags_by_model(name)
    return ", ".join(tags) or "it has none"


def _build(
    name: str,
    path: str | None,
    preprocessing: dict[str, Any],
    quick_gelu: bool = False,
) -> torch.nn.Module:
    return open_clip.create_model(
        name,
        pretrained=path,
        pretrained_image=False,
        pretrained_text=False,
        force_quick_gelu=quick_gelu,
        force_preprocess_cfg=preprocessing,
    )


def _random(name: str) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        return _build(name, None, usual_preprocessing(name))


def _from_schema(name: str) -> torch.nn.Module:
    try:
        if name.startswith("hf-hub:"):
            hub.check_found(hub.config_of(name))
        model = open_clip.create_model(name, require_pretrained=True)
        check_finite(model)
    except (OSError, RuntimeError, ValueError) as error:
        reason = _words(error)
        if isinstance(error, ValueError) or name.startswith("local-dir:"):
            raise ValueError(f"{name}: no model with weights: {reason}") from error
        raise RuntimeError(
            f"{name} could not be downloaded: {reason}. Download it on a machine with "
            "internet and give its folder as local-dir:FOLDER, or an architecture of "
            "open_clip and the checkpoint file's path as pretrained"
        ) from error
    return model


def _from_tag(name: str, tag: str) -> torch.nn.Module:
    config = open_clip.get_pretrained_cfg(name, tag)
    path = hub.find(config) if config.get("hf_hub") else None
    path = path or _download(name, tag, config)
    quick_gelu = config.get("quick_gelu", False)
    return _read(name, path, preprocessing_of(config), quick_gelu, is_own=True)


def _download(name: str, tag: str, config: dict[str, Any]) -> str:
    try:
        hub.check_found(config)
        return open_clip.download_pretrained(config)
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"the weights {tag!r} of {name} could not be downloaded: "
            f"{str(error).rstrip('. ')}. Download them on a machine with internet and "
            "give the file's path as Weights (pretrained)"
        ) from error


def _from_file(name: str, path: str) -> torch.nn.Module:
    _check_file(name, path)
    return _read(name, path, usual_preprocessing(name))


def _check_file(name: str, path: str) -> None:
    if os.path.isdir(path):
        raise ValueError(f"{path!r} is a folder: give the checkpoint file in it")
    if not os.path.isfile(path):
        if os.sep in path or Path(path).suffix:
            raise ValueError(f"there is no checkpoint file {path!r}")
        raise ValueError(
            f"{name} has no pretrained tag {path!r}, and there is no such file. "
            f"Its tags: {_tags(name)}"
        )


def _read(
    name: str,
    path: str,
    preprocessing: dict[str, Any],
    quick_gelu: bool = False,
    is_own: bool = False,
) -> torch.nn.Module:
    """Loads a file; of a tag's own, open_clip knows whether positions must fit."""
    try:
        shapes = {} if is_own else saved_shapes(path)
        model = _build(name, path, preprocessing, quick_gelu)
        check_positions(shapes, model)
        check_finite(model)
    except ImportError:  # a text tower of another package, which is not there
        raise
    except Exception as error:  # readers of checkpoints raise errors of any kind
        raise ValueError(
            f"{path!r} is not a checkpoint of {name}: {_words(error)}"
        ) from error
    return model


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(". ") or type(error).__name__


def usual_preprocessing(name: str) -> dict[str, Any]:
    """How most of the pretrained tags of a model want their images."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    by_tag = [preprocessing_of(open_clip.get_pretrained_cfg(name, t)) for t in tags]
    if not by_tag:
        return {}
    usual = max(by_tag, key=by_tag.count)
    if by_tag.count(usual) < len(by_tag):
        logger.warning(
            "The weights of %s differ in how they want images; taken as for the tag "
            "%s. Where that is wrong, load by tag instead of file",
            name,
            tags[by_tag.index(usual)],
        )
    return usual


def preprocessing_of(config: dict[str, Any]) -> dict[str, Any]:
    """How the weights of a tag want their images, as far as its config says it."""
    return {key: config[key] for key in _PREPROCESSING if config.get(key) is not None}


def hash_weights(model: torch.nn.Module) -> str:
    """12 hex characters that name a model's weights, bit for bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(raw.numpy())
    return digest.hexdigest()[:12]
