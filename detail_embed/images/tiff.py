"""TIFF files: the right image of several, its colours of many bands, all its bits."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from detail_embed.images.bit_depth import over_white, to_8_bits
from detail_embed.images.decode import UPRIGHT, upright_rgb
from detail_embed.images.file_reasons import NotReadHere, install
from detail_embed.images.late_image import LateImage
from detail_embed.images.other_formats import open_raw
from detail_embed.images.tiff_pages import AtPage, Page, photograph

_COLOURS = {0: 1, 1: 1, 2: 3, 5: 4}  # bands of colour, by photometric
_MEANINGS = {
    0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 4: "mask",
    5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab",
}
_KINDS = {1: "unsigned", 2: "signed", 3: "floating point", 5: "complex", 6: "complex"}
_ALPHA = (1, 2)  # associated, unassociated


def open_tiff(file: BinaryIO, first: Image.Image | None) -> Image.Image:
    """Opens the photograph of a TIFF file, which need not be its first image.

    Args:
        file: the file
        first: what Pillow makes of its first image, None if it knows no such pixels

    Returns:
        the image; it is decoded when its pixels are used

    Raises:
        NotReadHere: with the reason
        ValueError: if the file is damaged
    """
    name = str(getattr(file, "name", "the picture"))
    try:
        page, is_raw = photograph(file)
    except (ValueError, OverflowError, struct.error):
        if first is not None:
            return first
        raise NotReadHere("is a damaged TIFF") from None
    if is_raw:
        return open_raw(file, "DNG" if 50706 in page.tags else "TIFF of a camera")
    image = first if first and page.offset == first.tag_v2.offset else None
    image = image or _by_pillow(file, page)
    if image is not None and not _is_hard(page):
        return image
    _check(page)
    width, height = page.size
    size = (height, width) if page.orientation >= 5 else (width, height)
    return LateImage(size, "TIFF", lambda: _decode(file, page, image, name))


def _is_hard(page: Page) -> bool:
    """Whether Pillow keeps half the bits of its colours, or mixes up its bands."""
    is_deep = max(page.bits) > 8 and page.samples > 1
    return is_deep or (page.is_planar and bool(page.extras))


def _by_pillow(file: BinaryIO, page: Page) -> Image.Image | None:
    try:
        return Image.open(AtPage(file, page), formats=["TIFF"])
    except UnidentifiedImageError:
        return None


def _check(page: Page) -> None:
    """Raises ``NotReadHere`` for pixels of which nobody knows what they look like."""
    kinds = {_KINDS.get(kind, "unknown") for kind in page.kinds}
    bits = max(page.bits)
    if kinds != {"unsigned"} or bits > 16:
        raise NotReadHere(
            f"is a TIFF of {' and '.join(sorted(kinds))} samples of {bits} bits, which "
            "have no known range of brightness: save 8 or 16 bits"
        )
    colours = _COLOURS.get(page.photometric, page.samples + 1)
    if page.samples < colours or (colours == 1 and page.samples > 2):
        raise NotReadHere(
            f"is a TIFF that does not say which bands are red, green and blue: "
            f"{_layout(page)}. Write these three as its first bands with photometric "
            "RGB, such as gdal_translate -b 3 -b 2 -b 1 -co PHOTOMETRIC=RGB"
        )


def _layout(page: Page) -> str:
    bits = " + ".join(map(str, sorted(set(page.bits))))
    meaning = _MEANINGS.get(page.photometric, str(page.photometric))
    layout = "one band after the other" if page.is_planar else "pixel by pixel"
    return (
        f"it has {page.samples} {'bands' if page.samples > 1 else 'band'} of {bits} "
        f"bits, {layout}, photometric {meaning}"
    )


def _decode(
    file: BinaryIO, page: Page, image: Image.Image | None, name: str
) -> np.ndarray:
    try:
        samples = _samples(file, page)
    except NotReadHere:
        if image is None:
            raise
        return _high_bytes(image, page)
    pixels = Image.fromarray(_rgb(samples, page, name))
    turn = UPRIGHT.get(page.orientation)
    return np.array(pixels if turn is None else pixels.transpose(turn))


def _samples(file: BinaryIO, page: Page) -> np.ndarray:
    """``(h, w, bands)`` as stored."""
    try:
        import tifffile
    except ImportError:
        raise NotReadHere(
            f"is a TIFF that needs a package, pip install tifffile: {_layout(page)}"
        ) from None
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        tiff.filehandle.seek(page.offset)
        own = tifffile.TiffPage(tiff, 0)
        ends = map(sum, zip(own.dataoffsets, own.databytecounts))
        if max(ends, default=0) > tiff.filehandle.size:
            raise ValueError("the file is truncated")
        try:
            stored = own.asarray(squeeze=False, maxworkers=1)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise NotReadHere(
                f"is a TIFF compressed as {own.compression.name}, which needs a "
                f"package here: {install('imagecodecs')}, or save it uncompressed: "
                f"{_layout(page)}"
            ) from None
    samples = stored[:, 0]  # planes, depth, height, width, samples
    return np.moveaxis(samples, 0, -1)[..., 0, :] if page.is_planar else samples[0]


def _rgb(samples: np.ndarray, page: Page, name: str) -> np.ndarray:
    """``(h, w, 3)`` uint8 of the bands that are colour."""
    count, bits = _COLOURS[page.photometric], max(page.bits)
    if page.bits[:count] != (bits,) * count:
        raise NotReadHere(f"is a TIFF of a kind not read here: {_layout(page)}")
    colours = to_8_bits(samples[..., :count], bits, name, _no_data(page))
    if page.photometric == 0:
        colours = 255 - colours
    if page.photometric == 5:
        paper = 255 - colours.astype(np.uint16)
        colours = ((paper[..., :3] * paper[..., 3:] + 127) // 255).astype(np.uint8)
    bands = page.extras or (2,)  # as what has a fourth band, and no word about it
    opacity = next((i for i, kind in enumerate(bands) if kind in _ALPHA), None)
    if opacity is not None and count + opacity < page.samples:
        alpha = samples[..., count + opacity]
        colours = over_white(colours, alpha, bands[opacity] == 1)
    return np.repeat(colours, 3, axis=-1) if colours.shape[-1] == 1 else colours


def _no_data(page: Page) -> int | None:
    """The value that GDAL has written for no data, if it is a whole number."""
    try:
        value = float(str(page.tags.get(42113)).strip(" \0"))
        return int(value) if value.is_integer() else None
    except ValueError:
        return None


def _high_bytes(image: Image.Image, page: Page) -> np.ndarray:
    """What Pillow makes of 16 bits, unless it would be nearly black."""
    pixels = np.array(upright_rgb(image))
    if max(page.bits) > 8 and pixels.max() < 64:
        raise NotReadHere(
            "is a TIFF of 16 bits whose samples need fewer, so it would be nearly "
            f"black: {install('imagecodecs')}, or save it uncompressed"
        )
    return pixels
