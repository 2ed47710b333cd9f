"""What Pillow opened, as a person would see it: upright RGB of 8 bits."""

from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image, ImageOps

from detail_embed.images.bit_depth import over_white, to_8_bits
from detail_embed.images.file_reasons import NotReadHere

_BITS, _PHOTOMETRIC = 258, 262


def upright_rgb(image: Image.Image, name: str = "a picture") -> Image.Image:
    """Makes an open image what a person would see, as ``reader.read_image()`` does.

    Args:
        image: as opened by Pillow; it may be changed
        name ("a picture"): of its file, for the log

    Returns:
        RGB, EXIF orientation applied

    Raises:
        Exception: of any kind, from Pillow's decoders
    """
    ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image, name)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (
        image.mode == "I" and image.format in ("PNG", "PPM")
    ):
        return _from_16_bit(image, name)
    if image.mode in ("I", "F"):
        raise NotReadHere(
            f"is {image.format or 'an image'} of {_kind(image)}, which have no known "
            "range of brightness: save 8 or 16 bits"
        )
    if image.format == "TIFF" and image.mode in ("RGBA", "LA"):
        return _from_bands(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _kind(image: Image.Image) -> str:
    bits = max(getattr(image, "tag_v2", {}).get(_BITS, (32,)))
    return f"{bits}-bit {'fractions' if image.mode == 'F' else 'signed numbers'}"


def _from_bands(image: Image.Image) -> Image.Image:
    """Colours and a band beside them, which is called opacity."""
    bands = np.asarray(image)
    colours = over_white(bands[..., :-1], bands[..., -1], associated=False)
    return Image.fromarray(colours.squeeze(2) if image.mode == "LA" else colours
    ).convert("RGB")


def _from_16_bit(image: Image.Image, name: str) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS, (16,)))
    deep = np.asarray(image).astype(np.uint16)
    grey = to_8_bits(deep, min(bits, 16), name)
    if tags.get(_PHOTOMETRIC) == 0:
        grey = 255 - grey  # white is zero
    if isinstance(image.info.get("transparency"), int):
        grey[deep == image.info["transparency"]] = 255
    return Image.fromarray(grey).convert("RGB")


try:
    import simplejpeg
except ImportError:  # Pillow decodes, too
    simplejpeg = None

Room = Callable[[int], "np.ndarray | None"]  # of so many bytes; None: it has none
JPEG_FORMATS = ("JPEG", "MPO")
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_jpeg(
    data: bytes, image: Image.Image, room: Room | None = None
) -> np.ndarray | None:
    """Decodes a JPEG of colours.

    Args:
        data: the file
        image: the same, as Pillow opened it, of one of ``JPEG_FORMATS``
        room (None): makes the memory that the pixels are decoded to

    Returns:
        ``(h, w, 3)`` uint8 RGB, upright; None for what Pillow has to look at: other
        colours, and damaged files
    """
    if simplejpeg is None or image.mode != "RGB":
        return None
    try:
        turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
        width, height = image.size
        buffer = room(3 * width * height) if room and turn is None else None
        pixels = simplejpeg.decode_jpeg(data, "RGB", buffer=buffer)
    except ValueError:
        return None
    return pixels if turn is None else np.array(Image.fromarray(pixels).transpose(turn))
