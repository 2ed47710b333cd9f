"""What a model of open_clip wants its images to be."""

from __future__ import annotations

from typing import Any

from detail_embed.cover.patches import PatchSpec


def spec_of(cfg: dict[str, Any]) -> PatchSpec:
    """Reads what patches have to look like.

    Args:
        cfg: ``preprocess_cfg`` of an open_clip image tower

    Raises:
        ValueError: if the model sees no squares
    """
    return PatchSpec(
        size=_side(cfg["size"]),
        interpolation=_interpolation(cfg["interpolation"]),
        resize_mode=cfg["resize_mode"],
    )


def _side(size: int | tuple[int, int]) -> int:
    width, height = (size, size) if isinstance(size, int) else size
    if width != height:
        raise ValueError(f"the model sees {width} x {height} pixels: only squares work")
    return width


def _interpolation(mode: str) -> str:
    """open_clip takes "random" for bicubic when it does not train."""
    return "bilinear" if mode == "bilinear" else "bicubic"
