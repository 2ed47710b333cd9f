"""What both generators are asked for: folder, number, seed; checked before a file."""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from typing import Any

from detail_embed.storage.plain_numbers import is_a


def check_call(out_dir: str | Path, n: int, seed: int, noun: str) -> None:
    """Checks what says where, how many, and which.

    Args:
        out_dir: the folder
        n: how many
        seed: of everything
        noun: what there shall be n of

    Raises:
        ValueError: naming what cannot be used
    """
    if not isinstance(out_dir, (str, Path)) or not str(out_dir).strip():
        raise ValueError(f"out_dir={out_dir!r}: give the path of a folder")
    if Path(out_dir).exists() and not Path(out_dir).is_dir():
        raise ValueError(f"out_dir={str(out_dir)!r} is a file: give a folder")
    if not is_a(Integral, n):
        raise ValueError(f"n={n!r}: give a whole number of {noun}s, at least 1")
    if n < 1:
        raise ValueError(f"n must be at least 1 {noun}, not {n}")
    if not is_a(Integral, seed) or seed < 0:
        raise ValueError(f"seed={seed!r}: give a whole number of at least 0")


def sides(size: Any) -> tuple[int, int]:
    """Width and height, of these or of one side.

    Raises:
        ValueError: if it is neither
    """
    pair = (size, size) if is_a(Integral, size) else size
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        pair = (None, None)
    if not all(is_a(Integral, side) for side in pair):
        raise ValueError(
            f"size={size!r}: give whole pixels, (width, height) or one for both"
        )
    return int(pair[0]), int(pair[1])


def check_number(name: str, value: Any) -> None:
    """Checks that a setting is a number.

    Raises:
        ValueError: naming it
    """
    if not is_a(Real, value):
        raise ValueError(f"{name}={value!r}: give a number")


def check_numbers(name: str, values: Any) -> None:
    """Checks that a setting is several numbers.

    Raises:
        ValueError: naming it
    """
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name}={values!r}: give several numbers, such as (1.0, 2.0)")
    for value in values:
        check_number(f"{name}: one", value)
