"""What competes: crops of a cover, and ways of reading one pass."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks._dense.looks import Dense, Look, Pass
from benchmarks._dense.ridge import Ridge
from detail_embed.backbone import dense
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import extract_patches

RIDGE = ", ridge"


@dataclass(frozen=True)
class Method:
    """A way to the features of an image's windows.

    Attributes:
        name: for the table
        crops: a cover whose crops are encoded, and nothing else
        scale: the library's one pass, so many sides of the input wide
        is_distilled: whether by the tower whose map learned from its crops
        asked: another pass; without a ridge each window takes the look that shows it
            nearest to the size of the backbone's input
    """

    name: str
    crops: int | None = None
    scale: int | None = None
    asked: Pass | None = None
    is_distilled: bool = False

    @property
    def ridge(self) -> bool:
        """Whether a closed-form ridge to the true crops is fitted on the sample."""
        return self.name.endswith(RIDGE)

    def raw(self, tool: Dense, image: Tensor) -> Tensor:
        """``(p, g, d)`` of an image, ``(3, H, W)`` uint8, before a ridge."""
        size = image.shape[2], image.shape[1]
        backbone = tool.distilled if self.is_distilled else tool.backbone
        if self.crops:
            patches = extract_patches(
                image, CompleteCover(self.crops), backbone.patch_spec
            )
            return backbone.encode_patches(patches)[:, None]
        if self.scale:
            boxes = tool.cover.boxes(*size)
            return dense.encode_windows(backbone, image, boxes, self.scale)[:, None]
        return tool.encode(image, self.asked)

    @property
    def pass_name(self) -> str:
        """Of what ``raw`` makes; ways that differ in a ridge alone share it."""
        return re.sub(r"\W+", "-", self.name.removesuffix(RIDGE))

    def end(
        self, tool: Dense, found: Tensor, ridge: Ridge | None, size: tuple[int, int]
    ) -> Tensor:
        """Unit features of windows, ``(..., p, d)``, of what ``raw`` made."""
        if ridge is not None:
            made = ridge(found, tool.cover.levels(*size))
            return torch.nn.functional.normalize(made, dim=-1)
        if self.asked is None:
            return found[..., 0, :]
        rows = torch.arange(found.shape[-3])
        return found[..., rows, self._nearest(tool, size), :]

    def _nearest(self, tool: Dense, size: tuple[int, int]) -> Tensor:
        boxes = tool.cover.boxes(*size)
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / min(size)
        shown = [sides * look.tiles * look.side for look in self.asked.looks]
        off = np.abs(np.log(np.stack(shown, axis=1) / tool.backbone.input_size))
        return torch.from_numpy(off.argmin(axis=1))


def of_resnet(side: int) -> list[Method]:
    """All for a ModifiedResNet, whose input has a side in pixels."""
    whole = (Look(1, 4 * side),)
    pyramid = tuple(Look(1, round(scale * side)) for scale in (10, 5, 2.5))
    values, pooled = Pass(whole, "values", 1), Pass(whole, "attended", 1)
    return [
        *_crops(3, 4, 5, 6, 10),
        *(Method(f"one pass, {s} x, attention pool", scale=s) for s in (4, 3, 6)),
        Method("one pass, 4 x, attention pool, distilled", scale=4, is_distilled=True),
        Method("one pass, 4 x, values", asked=values),
        Method(f"one pass, 4 x, values{RIDGE}", asked=values),
        Method(f"one pass, 4 x, pool{RIDGE}", asked=pooled),
        Method("4 tiles of 2 x, attention pool",
               asked=Pass((Look(2, 2 * side),), "attended", 1)),
        Method("three passes, 10, 5 and 2.5 x, attention pool",
               asked=Pass(pyramid, "attended", 1)),
    ]


def to_confirm(side: int) -> list[Method]:
    """What is looked at again on fresh scenes."""
    names = {f"crops, c = {c}" for c in (4, 5, 6)}
    return [m for m in of_resnet(side)
            if m.name in names or m.scale in (4, 6) or "tiles" in m.name]


def of_vit(side: int) -> list[Method]:
    """All for a ViT, whose input has a side in pixels."""
    titles = {"attended": "class token's attention", "values": "values",
              "three": "values of three layers",
              "skipped": "last three layers without attention", "tokens": "tokens"}
    native, found = (Look(4, side),), _crops(3, 4, 5, 10)
    for kind, title in titles.items():
        asked = Pass(native, kind, 1)
        found.append(Method(f"16 tiles of 1 x, {title}", asked=asked))
        if kind in ("attended", "values"):
            found.append(Method(f"16 tiles of 1 x, {title}{RIDGE}", asked=asked))
    for name, look in (("one pass, 4 x", Look(1, 4 * side)),
                       ("4 tiles of 2 x", Look(2, 2 * side))):
        found.append(Method(f"{name}, {titles['attended']}",
                            asked=Pass((look,), "attended", 1)))
    return found


def _crops(*covers: int) -> list[Method]:
    return [Method(f"crops, c = {c}", crops=c) for c in covers]
