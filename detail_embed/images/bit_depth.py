"""Samples of more than 8 bits to 8, and bands beside the colours."""

from __future__ import annotations

import logging
import threading

import numpy as np

logger = logging.getLogger(__name__)

_OPACITY = 0.9  # of its samples are empty or full, else it is a band such as NIR
_said = threading.Event()


def to_8_bits(samples: np.ndarray, bits: int, name: str, empty: int | None = None):
    """Scales samples to 8 bits, by the range of their type, or by their own maximum.

    Sensors of 10 to 14 bits are written as 16. What has 16 bits and no value that
    needs more than 14 (is below a quarter of the range) would be nearly black, and
    is stretched by its own maximum. The log says so once in a process.

    Args:
        samples: uint8 or uint16, of all colours of an image
        bits: that a sample has by the file, 1 to 16
        name: of the file, for the log
        empty (None): a value that stands for no data, and says nothing of the range

    Returns:
        uint8 of the same shape
    """
    top = 2**bits - 1
    if bits == 16:
        known = samples if empty is None else samples[samples != empty]
        highest = int(known.max()) if known.size else 0
        if 0 < highest < 2**14:
            top = highest
            _say(name, highest)
    values = np.minimum(np.arange(2**16, dtype=np.uint32), top)
    return ((values * 255 + top // 2) // top).astype(np.uint8)[samples]


def over_white(colours: np.ndarray, alpha: np.ndarray, associated: bool) -> np.ndarray:
    """Paints pixels over white where a band beside them says that they are empty.

    Programs write bands such as near infrared as if they were opacity. Opacity is
    nearly everywhere nothing or full, and somewhere more than nothing; another band
    leaves the colours as they are.

    Args:
        colours: ``(h, w, c)`` uint8
        alpha: ``(h, w)`` unsigned
        associated: whether colours are multiplied by it

    Returns:
        ``(h, w, c)`` uint8
    """
    full = int(alpha.max())
    if not full or np.mean((alpha == 0) | (alpha == full)) < _OPACITY:
        if not associated:
            return colours
        full = int(np.iinfo(alpha.dtype).max)
    share = (alpha / np.float32(full))[..., None]
    parts = colours if associated else colours * share
    return np.rint(np.minimum(parts + 255 * (1 - share), 255)).astype(np.uint8)


def _say(name: str, highest: int) -> None:
    if not _said.is_set():
        _said.set()
        logger.warning(
            "%s has 16 bits a sample, but no value above %d: it is stretched by that "
            "maximum, as every such file is, which is said once", name, highest,
        )
