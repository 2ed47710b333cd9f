"""What Pillow opened, as a person would see it: upright RGB of 8 bits."""

from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image, ImageOps

_BITS, _COLOURS, _CHANNELS, _PLANES = 258, 262, 277, 284


def upright_rgb(image: Image.Image) -> Image.Image:
    """Makes an open image what a person would see, as ``reader.read_image()`` does.

    Args:
        image: as opened by Pillow; it may be changed

    Returns:
        RGB, EXIF orientation applied

    Raises:
        Exception: of any kind, from Pillow's decoders
    """
    ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image)


def check_planes(image: Image.Image) -> None:
    """Refuses what Pillow takes for 8 bits: it would show noise.

    Raises:
        ValueError: if the image has 16-bit colours in separate planes
    """
    tags = getattr(image, "tag_v2", {})
    is_planar = tags.get(_PLANES) == 2 and tags.get(_CHANNELS, 1) > 1
    if is_planar and max(tags.get(_BITS, (1,))) > 8 and _is_raw(image):
        raise ValueError(
            "16-bit colours in separate planes, uncompressed, are not read here: "
            "save them compressed, or pixel by pixel, or as PNG"
        )


def _is_raw(image: Image.Image) -> bool:
    return image.info.get("compression") in (None, "raw")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (
        image.mode == "I" and image.format in ("PNG", "PPM")
    ):
        return _from_16_bit(image)
    if image.mode in ("I", "F"):
        raise ValueError(
            "32-bit pixels have no known range of brightness, save 8 or 16 bits"
        )
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    grey = np.asarray(image).astype(np.uint32)
    if getattr(image, "tag_v2", {}).get(_COLOURS) == 0:
        grey = 65535 - grey  # white is zero
    if isinstance(image.info.get("transparency"), int):
        grey[grey == image.info["transparency"]] = 65535
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")


try:
    import simplejpeg
except ImportError:  # Pillow decodes, too
    simplejpeg = None

Room = Callable[[int], "np.ndarray | None"]  # of so many bytes; None: it has none
JPEG_FORMATS = ("JPEG", "MPO")
_UPRIGHT = {
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
        turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
        width, height = image.size
        buffer = room(3 * width * height) if room and turn is None else None
        pixels = simplejpeg.decode_jpeg(data, "RGB", buffer=buffer)
    except ValueError:
        return None
    return pixels if turn is None else np.array(Image.fromarray(pixels).transpose(turn))
