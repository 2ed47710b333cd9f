"""Complete Cover: which windows of an image are looked at, and what that finds.

A cover of parameter ``c`` looks at an image through square windows of side
``m/c`` of its short side, ``m = c..1``. Levels with equal window counts are
reduced to the one of smallest windows, as the authors of "Injecting Image
Details into CLIP's Feature Space" (arXiv 2208.14649) do, so a square image has
1, 5, 14, 30, 39, 66, 79, 103, 136, 166 windows for ``c = 1..10``.
"""

import dataclasses
import functools
import logging
from fractions import Fraction
from typing import Any

import numpy as np

from detail_embed.cover.cover_settings import (
    CROPS,
    DENSE,
    MAX_C,
    NO_COVER,
    check_settings,
)
from detail_embed.cover.guarantee import Guarantee, chain, in_pixels
from detail_embed.cover.windows import (
    HUGE_WINDOWS,
    MAX_WINDOWS,
    authors_windows,
    even_windows,
    exact_gap,
    finest,
    grid,
    kept_levels,
    windows_per_side,
)

logger = logging.getLogger(__name__)

HUGE_PIXELS = 2**28  # of images with more, "auto" goes on beyond MAX_C


@dataclasses.dataclass(frozen=True)
class CompleteCover:
    """Windows of all scales over an image of any size.

    ``spacing="even"``: windows are square in pixels, ``ceil(m * short / c)`` on
    a side, and evenly spaced. The long side gets as many windows as it takes to
    space them no wider than along the short side. Where the image is not
    square, squares of the full short side slide along it too, at the next
    level's spacing (half a window for ``c=1``).

    ``spacing="authors"``: the authors' boxes, for comparison. Windows have the
    image's aspect ratio, ``m/c`` of each side; their overlap is piled up at the
    right and bottom edge. The authors stretch the image to multiples of ``c``;
    their windows are mapped back to the smallest box of whole pixels that holds
    them. Sides below ``c`` pixels can make some of these equal.

    An image so long that its windows would number more than ``MAX_WINDOWS``
    (never below an aspect ratio of 1:8) goes without its smallest levels. Where
    even the squares of the full short side would be more, they are spaced wider,
    at most edge to edge; longer still, the whole image is the only window.

    Args:
        c (10): number of levels before reduction, 1 to 15, or "auto": as many as
            leave the smallest window ``input_size`` pixels, so that none is a blur
            that was enlarged: ``floor(short side / input_size)``, 1 to 15, and on
            beyond 15 in an image of more than ``HUGE_PIXELS``, as far as it has no
            more than ``HUGE_WINDOWS``. "none": the whole image is the only window
        spacing ("even"): "even" or "authors"
        input_size (224): side, in pixels, of what the backbone sees; of use to
            ``c="auto"`` only
        skip_flat (False): whether a window without detail takes the feature of the
            smallest larger one around it, see :mod:`.flat_windows`; or, as 2 to 255,
            the range of grey levels below which it has too little
        features ("crops"): of each window its own crop's; "dense": of all from one
            pass over the image, see :mod:`detail_embed.backbone.dense`

    Raises:
        ValueError: if a value is none of the above
    """

    c: int | str = 10
    spacing: str = "even"
    input_size: int = 224
    skip_flat: bool | int = False
    features: str = CROPS

    def __post_init__(self) -> None:
        check_settings(**self.to_dict())

    @property
    def slug(self) -> str:
        """Short name for identifiers, such as ``"cc10-even"``."""
        c = f"auto{self.input_size}" if self.c == "auto" else self.c
        flat = "-flat" if self.skip_flat else ""
        flat += "" if isinstance(self.skip_flat, bool) else str(self.skip_flat)
        return f"cc{c}-{self.spacing}{flat}{'-dense' if self.is_dense else ''}"

    @property
    def is_dense(self) -> bool:
        """Whether one pass answers for all windows."""
        return self.features == DENSE

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as a dict fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> "CompleteCover":
        """Rebuilds a cover from ``to_dict()``.

        Raises:
            ValueError: if a setting is unknown or bad
        """
        unknown = sorted(set(d) - {f.name for f in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown cover settings: {', '.join(unknown)}")
        return cls(**d)

    def for_image(self, width: int, height: int) -> "CompleteCover":
        """Returns this cover with ``c`` fixed for an image of this size.

        Raises:
            ValueError: if ``width`` or ``height`` is below 1
        """
        for name, side in (("width", width), ("height", height)):
            if side < 1:
                raise ValueError(f"{name}={side!r}: an image has at least 1 pixel")
        if self.c != "auto":
            return self
        c = min(width, height) // self.input_size
        fixed = dataclasses.replace(self, c=min(max(c, 1), MAX_C))
        if c > MAX_C and width * height > HUGE_PIXELS and self.spacing == "even":
            # which may be had of "auto" only
            object.__setattr__(fixed, "c", finest(MAX_C, c, width, height))
        return fixed

    def boxes(self, width: int, height: int) -> np.ndarray:
        """Lists the windows of an image.

        Args:
            width: the image's width in pixels
            height: the image's height in pixels

        Returns:
            ``(p, 4)`` int64 array of ``x0, y0, x1, y1`` in pixels, ends
            exclusive. Row 0 is the whole image; the others go from large to
            small windows and, within a level, row by row

        Raises:
            ValueError: if ``width`` or ``height`` is below 1
        """
        return np.concatenate([boxes for _, boxes in _layout(self, width, height)])

    def levels(self, width: int, height: int) -> np.ndarray:
        """Returns the ``m`` of each row of ``boxes()``: ``(p,)`` int64.

        Row 0 (the whole image) has ``m = c``, as have the full-height (or
        full-width) squares of an image that is not square.

        Raises:
            ValueError: if ``width`` or ``height`` is below 1
        """
        layout = _layout(self, width, height)
        m = np.array([m for m, _ in layout], dtype=np.int64)
        return np.repeat(m, [len(boxes) for _, boxes in layout])

    def guarantee(
        self, width: int | None = None, height: int | None = None
    ) -> tuple[Guarantee, ...]:
        """States which objects are sure to lie wholly inside which window.

        Objects larger than the last row's ``object_side`` lie wholly inside the
        whole image and maybe in no other window.

        For an image whose size is given, all of it holds exactly for objects of
        whole pixels, and the rows name levels that ``levels()`` has.

        Without a size, the statement is the one for images of many pixels. For
        ``spacing="even"`` its containment holds for all objects of whole pixels
        in images of any size (of which no level had to be left out, see the
        class), but a window is rounded up to whole pixels, by less than one, so
        it is filled accordingly less; and of levels whose windows are equal in
        pixels ``levels()`` has one only.

        For ``spacing="authors"`` read all sides as fractions of the respective
        image side; without a size, valid for at least ``10 * c`` pixels a side.

        Args:
            width (None): the image's width in pixels
            height (None): the image's height in pixels

        Returns:
            rows from small to large objects

        Raises:
            ValueError: if ``c="auto"`` and no size is given, or half of one
        """
        if width is not None and height is not None:
            return _exact_guarantee(self, width, height)
        if width is not None or height is not None:
            raise ValueError("give both width and height, or neither")
        if self.c == "auto":
            raise ValueError(
                'c="auto" depends on the image: ask for_image(w, h).guarantee()'
            )
        if self.c == NO_COVER:
            return ()
        return chain(
            (m, self._overlap(m), Fraction(m, self.c))
            for m in reversed(kept_levels(self.c))
        )

    def window_for(
        self, object_side: float, width: int | None = None, height: int | None = None
    ) -> float | None:
        """Returns the side of the smallest window sure to hold an object.

        Args:
            object_side: longer side of the object's bounding box, as a fraction
                of the image's short side
            width (None): as in ``guarantee()``
            height (None): as in ``guarantee()``

        Returns:
            the window's side as a fraction of the image's short side, or None
            where only the whole image is certain

        Raises:
            ValueError: as in ``guarantee()``
        """
        for row in self.guarantee(width, height):
            if object_side <= row.object_side:
                return row.window
        return None

    def _overlap(self, m: int) -> Fraction:
        """Overlap of neighbours at level ``m``, as a fraction of the short side."""
        c, n = self.c, windows_per_side(self.c, m)
        if self.spacing == "even":
            return Fraction(m, c) - exact_gap(c, m, c) / c
        if m == c:
            return Fraction(1)
        return max(Fraction(2 * m - c, c), Fraction(0)) if n == 2 else Fraction(0)


@functools.lru_cache(maxsize=64)
def _layout(
    cover: CompleteCover, width: int, height: int
) -> tuple[tuple[int, np.ndarray], ...]:
    """Pairs of level and ``(n, 4)`` boxes; the first is the whole image."""
    cover = cover.for_image(width, height)
    if cover.c == NO_COVER:
        return ((1, np.array([[0, 0, width, height]], dtype=np.int64)),)
    levels = even_windows if cover.spacing == "even" else authors_windows
    result = [(cover.c, np.array([[0, 0, width, height]], dtype=np.int64))]
    most = MAX_WINDOWS if cover.c <= MAX_C else HUGE_WINDOWS
    total = 1
    for m, x, y in levels(cover.c, width, height):
        total += len(x) * len(y)
        if total > most:
            logger.warning(
                "Images of %d x %d pixels go without windows of level %d and below: "
                "they would be more than %d",
                width,
                height,
                m,
                most,
            )
            break
        result.append((m, grid(x, y)))
    return tuple(result)


@functools.lru_cache(maxsize=64)
def _exact_guarantee(
    cover: CompleteCover, width: int, height: int
) -> tuple[Guarantee, ...]:
    """Measures the levels of one image, from small to large windows."""
    even = cover.spacing == "even"
    full = (min(width, height),) * 2 if even else (width, height)
    first = 1 if even and width != height else 0  # the whole image is no square
    layout = _layout(cover, width, height)[first:]
    return chain(in_pixels(m, boxes, full) for m, boxes in reversed(layout))
