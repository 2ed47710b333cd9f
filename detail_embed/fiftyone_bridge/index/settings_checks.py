"""Checks of settings that need nothing but their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detail_embed.cover.cover_settings import DENSE


def check_plain(values: Mapping[str, Any]) -> None:
    """Checks settings, by name, one by one.

    Raises:
        ValueError: naming the setting
    """
    for name in ("backbone", "pretrained", "proxy_field", "patches_field"):
        value = values[name]
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} must be a text, not {value!r}")
    if isinstance(values["proxies"], str):
        raise ValueError(
            f"proxies must be a list of words, not {values['proxies']!r}"
        )
    if values["features"] == DENSE and values["skip_flat"]:
        raise ValueError(
            f"skip_flat={values['skip_flat']!r} leaves crops out, and "
            'features="dense" makes none: give one of the two'
        )
