"""Objects of a store as GDAL reads them: by parts, with the store's credentials."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, BinaryIO

from detail_embed.images.tiff_pages import AtPage, Page
from detail_embed.storage.addresses import Object

_numbers = itertools.count()


def opener(
    address: str, directory: int | None = None
) -> tuple[str, Callable[..., BinaryIO]]:
    """What rasterio opens an object by.

    Args:
        address: of the object
        directory (None): offset of the image in a TIFF whose first one is another

    Returns:
        a name, and what opens it for ``rasterio.open(name, opener=...)``
    """
    own = f"object-{next(_numbers)}"

    def open_part(name: str, mode: str = "rb", **more: Any) -> BinaryIO:
        if name != own:  # of what GDAL looks for beside a file
            raise FileNotFoundError(name)
        file = Object(address).read(0)
        return file if directory is None else AtPage(file, Page(directory, 0, {}))

    return own, open_part
