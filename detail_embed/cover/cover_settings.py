"""What a cover can be told, and errors for what it cannot."""

from __future__ import annotations

MAX_C = 15
NO_COVER = "none"  # the whole image is the only window
SPACINGS = ("even", "authors")
CROPS, DENSE = FEATURES = ("crops", "dense")


def check_settings(
    c: int | str, spacing: str, input_size: int, skip_flat: bool | int, features: str
) -> None:
    """Checks the settings of a :class:`.CompleteCover`.

    Raises:
        ValueError: naming the setting and what to give instead
    """
    if c not in ("auto", NO_COVER) and not (_is_int(c) and 1 <= c <= MAX_C):
        raise ValueError(
            f'c={c!r}: give a whole number from 1 to {MAX_C}, or "auto"'
        )
    if spacing not in SPACINGS:
        raise ValueError(f"spacing={spacing!r}: give one of {', '.join(SPACINGS)}")
    if not (_is_int(input_size) and input_size >= 1):
        raise ValueError(
            f"input_size={input_size!r}: give a positive number of pixels"
        )
    if features not in FEATURES:
        raise ValueError(f"features={features!r}: give one of {', '.join(FEATURES)}")
    levels = skip_flat
    if not (isinstance(levels, bool) or _is_int(levels) and 2 <= levels <= 255):
        raise ValueError(
            f"skip_flat={levels!r}: give True, False, or from 2 to 255 grey levels"
        )
    if skip_flat and features == DENSE:
        raise ValueError(
            f'skip_flat={levels!r} leaves crops out, and features="dense" makes none: '
            "give one of the two"
        )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
