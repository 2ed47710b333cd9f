"""How files are encoded: the choices that travel as one, from a form to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from detail_embed.backbone.devices import resolve_device
from detail_embed.images.image_file import MAX_PIXELS, check_max_pixels
from detail_embed.images.read_pool import READ_SECONDS, check_read_seconds
from detail_embed.storage.plain_numbers import is_a


@dataclass(frozen=True)
class EncodeOptions:
    """How files are encoded; but for rounding, it does not change their features.

    Attributes:
        device: where the backbone runs, a torch device or ``"auto"``
        precision: of the backbone
        batch_size: patches per forward pass; None for a choice by device
        num_workers: threads that decode images; None for 8 a GPU, or as many as torch
            has on the CPU, 8 at most; never more than there are CPUs
        max_pixels: images with more are read by parts, for memory's sake
        skip_identical: whether a file with the same content as one shortly before,
            among some 30,000, takes its vectors; it is encoded where features are kept
            or boxes are patches, too
        read_seconds: that a file may be waited for, as one of a network that does not
            answer; it is left out then, with its reason
    """

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    num_workers: int | None = None
    max_pixels: int = MAX_PIXELS
    skip_identical: bool = True
    read_seconds: float = READ_SECONDS

    def __post_init__(self) -> None:
        for field in fields(self):  # a NumPy number, a torch.device
            value = getattr(self, field.name)
            plain = value.item() if isinstance(value, np.generic) else value
            plain = str(plain) if isinstance(plain, torch.device) else plain
            object.__setattr__(self, field.name, plain)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> EncodeOptions:
        """Those among the parameters of a form or a call.

        What is missing, None or empty takes its default.
        """
        names = {field.name for field in fields(EncodeOptions)}
        given = {name: params[name] for name in names & params.keys()}
        return EncodeOptions(**{k: v for k, v in given.items() if v not in (None, "")})

    def check_options(self) -> None:
        """Checks what can be checked without loading the backbone.

        Raises:
            ValueError: naming the option and what to do
        """
        for name in ("device", "precision"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(f"{name} must be a text, not {value!r}")
        for name in ("batch_size", "num_workers"):
            value = getattr(self, name)
            is_count = is_a(int, value)
            if value is not None and not (is_count and value >= 1):
                raise ValueError(
                    f"{name} must be a whole number of at least 1, not {value!r}"
                )
        resolve_device(self.device)
        check_max_pixels(self.max_pixels)
        check_read_seconds(self.read_seconds)


DEFAULT = EncodeOptions()
