"""What the fields and brain keys of an index are called."""

from __future__ import annotations

import keyword


def check_brain_key(brain_key: str, what: str = "brain key") -> None:
    """Checks that a text can be a brain key and the start of field names.

    Args:
        brain_key: the text
        what ("brain key"): what it is called in the message

    Raises:
        ValueError: if it cannot
    """
    if (
        not isinstance(brain_key, str)
        or not brain_key.isidentifier()
        or keyword.iskeyword(brain_key)
        or brain_key.startswith("_")
    ):
        raise ValueError(
            f"{what} {brain_key!r}: use letters, digits and '_', starting with a "
            "letter"
        )


def vector_field(brain_key: str) -> str:
    """Name of the field that holds the vectors of an index."""
    return f"{brain_key}_embedding"


def patches_field(brain_key: str) -> str:
    """Name of the field of Detections that hold k vectors per image."""
    return f"{brain_key}_patches"


def index_field(brain_key: str, few: bool) -> str:
    """Name of the field that an index is on, of one vector per image or of a few."""
    return patches_field(brain_key) if few else vector_field(brain_key)


def error_field(brain_key: str) -> str:
    """Name of the field that says why an image has no vector."""
    return f"{brain_key}_error"


def source_field(brain_key: str) -> str:
    """Name of the field that says what each vector was made of."""
    return f"{brain_key}_source"


def global_key(brain_key: str) -> str:
    """Brain key of the whole-image index beside a detail index."""
    return f"{brain_key}_global"


def single_key(brain_key: str) -> str:
    """Brain key of the index of one vector per image beside one of a few."""
    return f"{brain_key}_single"


def boxes_key(brain_key: str) -> str:
    """Brain key of the index of the boxes of a label field beside one of images."""
    return f"{brain_key}_boxes"


def box_error(brain_key: str) -> str:
    """Name of the attribute of labels that says why a box has no vector."""
    return error_field(boxes_key(brain_key))


def box_vector(brain_key: str) -> str:
    """Name of the attribute of labels that holds the vectors of their boxes."""
    return vector_field(boxes_key(brain_key))


def map_key(brain_key: str) -> str:
    """Brain key of the map of an index."""
    return f"{brain_key}_map"


def base_key(brain_key: str) -> str:
    """Brain key of the detail index that another one is beside; else the key itself."""
    for beside in (global_key(""), single_key(""), boxes_key("")):
        if brain_key.endswith(beside):
            return brain_key.removesuffix(beside)
    return brain_key
