"""The kinds of fusers by name: made anew, or read from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from detail_embed.fusers import files
from detail_embed.fusers.base import Fuser
from detail_embed.storage.known_names import unknown

_REGISTRY: dict[str, type[Fuser]] = {}
_FuserType = TypeVar("_FuserType", bound="type[Fuser]")


def register(cls: _FuserType) -> _FuserType:
    """Class decorator: makes a fuser known under its ``name``."""
    _REGISTRY[cls.name] = cls
    return cls


def names() -> list[str]:
    """Names of the fusers that make one vector of an image, sorted.

    ``"few"`` is a fuser, too, but chosen by how many vectors it makes.
    """
    return sorted(name for name, kind in _REGISTRY.items() if not kind.makes_few)


def kind(name: str) -> type[Fuser]:
    """The class of a fuser, which says what it needs.

    Raises:
        ValueError: if there is no such fuser
    """
    if name not in _REGISTRY:
        raise unknown("fuser", name, names())
    return _REGISTRY[name]


def create(name: str, dim: int, **options: Any) -> Fuser:
    """Makes a new, unfitted fuser.

    Args:
        name: one of :func:`names`, or ``"few"``
        dim: dimension of the features
        **options: options of that fuser

    Raises:
        ValueError: if there is no such fuser, or an option has no valid value
        TypeError: if the fuser has no such option
    """
    return kind(name)(dim, **options)


def load(directory: str | Path) -> Fuser:
    """Reads a fuser that :meth:`Fuser.save` wrote.

    Raises:
        FileNotFoundError: if the directory holds no fuser
        ValueError: if its files are damaged or do not belong together
    """
    directory = Path(directory)
    config = files.read_config(directory)
    try:
        fuser = create(config["name"], config["dim"], **config["options"])
        expected = config["hash"]
    except (KeyError, TypeError) as error:
        raise files.no_fuser(directory, error) from error
    tensors = files.read_tensors(directory)
    if set(tensors) != set(fuser.state_dict()):
        raise ValueError(
            f"{directory / files.TENSORS} is not of a {fuser.name!r} fuser"
        )
    try:
        fuser.restore(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"{directory / files.TENSORS} is not of this {fuser.name!r} fuser: {error}"
        ) from error
    if fuser.hash != expected:
        raise ValueError(
            f"the fuser in {directory} is damaged: hash {fuser.hash}, not {expected}"
        )
    return fuser.eval()
