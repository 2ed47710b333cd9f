"""How fast a model encodes patches on this machine, as it was measured."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detail_embed.backbone.devices import resolve_device
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.storage.user_folders import cache_directory
from detail_embed.storage.whole_files import write_whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speed:
    """What was measured of a model, by a run or by a few images.

    Attributes:
        patches: per second, with reading and cutting the files
        has_words: whether a run has encoded the words that fusers are compared by
    """

    patches: float
    has_words: bool = False


def recall(backbone: str, options: EncodeOptions) -> Speed | None:
    """The speed of a model on this machine; None where it was never measured.

    Args:
        backbone: name of the model
        options: device and precision
    """
    values = _read().get(_name(backbone, options))
    return Speed(**values) if values else None


def remember(backbone: str, options: EncodeOptions, speed: Speed) -> None:
    """Keeps the speed of a model; that it has words is never forgotten."""
    known, name = _read(), _name(backbone, options)
    had = known.get(name, {}).get("has_words", False)
    known[name] = asdict(Speed(speed.patches, speed.has_words or had))
    try:
        _path().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_path(), json.dumps(known, indent=1))
    except OSError as error:  # it only says how long things take
        logger.warning("the speed of %s cannot be kept: %s", backbone, error)


def _name(backbone: str, options: EncodeOptions) -> str:
    device = options.device
    if device == "auto":
        device = str(resolve_device(device))
    return f"{backbone} {device} {options.precision}"


def _read() -> dict[str, Any]:
    try:
        return json.loads(_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _path() -> Path:
    return cache_directory() / "speed.json"
