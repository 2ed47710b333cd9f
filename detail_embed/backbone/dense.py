"""Features of all windows of an image from one pass over it, instead of a pass each.

A ModifiedResNet (open_clip's RN50 and its kin, the demo backbone) ends in an attention
pool over the map of its last layer. The map of a larger picture is as good as that of a
crop, so a window gets its own grid of places from it, by the area that they share, and
the pool looks at these (RegionCLIP's way, arXiv 2112.09106). Nothing is learned. Of a
crop's own map that is what the tower says of the crop, exactly; of the whole image's it
is near it, as the places see beyond the window. What it finds and costs:
``docs/results/dense.md``.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor

from detail_embed.backbone.backbone import Backbone
from detail_embed.cover.patches import resized, whole_image

SCALE = 4  # short side of the picture that is passed, in sides of the backbone's input
_STRIDE = 32  # pixels of a place
_MOST = 8  # pixels of a picture, in squares of its usual short side
_NUMBERS = 2**24  # of windows' places at once


def check(backbone: Backbone) -> None:
    """Checks that a backbone can do this.

    Raises:
        ValueError: if its image tower is no ModifiedResNet
    """
    tower = backbone.image_tower
    if not isinstance(tower, ModifiedResNet):
        raise ValueError(
            f"{backbone.name} has a {type(tower).__name__}: one pass for all windows "
            "takes a ModifiedResNet, such as RN50's; choose features=\"crops\""
        )


def encode_windows(
    backbone: Backbone, image: Tensor, boxes: np.ndarray, scale: int = SCALE
) -> Tensor:
    """Encodes the windows of an image.

    Args:
        backbone: of a ModifiedResNet
        image: ``(3, H, W)`` uint8 RGB, on any device
        boxes: ``(p, 4)`` windows, ``x0, y0, x1, y1`` in pixels, row 0 the whole image,
            which has a pass of its own
        scale (SCALE): short side of the picture that is passed, in sides of the
            backbone's input

    Returns:
        ``(p, d)`` float32, unit length, on the backbone's device

    Raises:
        ValueError: if the backbone's image tower is no ModifiedResNet
    """
    check(backbone)
    image = image.to(backbone.device)
    height, width = image.shape[1:]
    spec = backbone.patch_spec
    picture = resized(image, *_sides(height, width, scale * spec.size), spec)
    whole = backbone.encode_patches(whole_image(image, spec)[None])
    parts = boxes / ([width, height] * 2)
    found = backbone.run_tower(picture[None], lambda *seen: pool(*seen, parts))
    return torch.cat([whole, F.normalize(found[1:].float(), dim=1)])


def pool(tower: ModifiedResNet, pixels: Tensor, boxes: np.ndarray) -> Tensor:
    """What the attention pool says of each window of a picture.

    Args:
        tower: the image tower
        pixels: ``(1, 3, h, w)``, normalised
        boxes: ``(p, 4)`` windows, as shares of the picture

    Returns:
        ``(p, d)``, not of unit length
    """
    x = tower.stem(pixels.contiguous(memory_format=torch.channels_last))
    for layer in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
        x = layer(x)
    last, x = tower.attnpool, x[0].permute(1, 2, 0)
    position = last.positional_embedding.float()
    queries, keys, values = (
        way(x).float() for way in (last.q_proj, last.k_proj, last.v_proj)
    )
    at_query, at_keys, at_values = (
        F.linear(position, way.weight.float())
        for way in (last.q_proj, last.k_proj, last.v_proj)
    )
    side = round((len(position) - 1) ** 0.5)
    step = max(1, _NUMBERS // (side * side * x.shape[2]))
    found = []
    for part in np.array_split(boxes, -(-len(boxes) // step)):
        asked = [grids(queries, part, 1).flatten(1, 2) + at_query[:1]]
        for places, at in ((keys, at_keys), (values, at_values)):
            own = grids(places, part, side).flatten(1, 2)
            asked.append(torch.cat([own.mean(dim=1, keepdim=True), own], dim=1) + at)
        heads = [t.unflatten(2, (last.num_heads, -1)).transpose(1, 2) for t in asked]
        seen = F.scaled_dot_product_attention(*heads)[:, :, 0].flatten(1)
        out = last.c_proj
        found.append(F.linear(seen, out.weight.float(), out.bias.float()))
    return torch.cat(found)


def grids(places: Tensor, boxes: np.ndarray, side: int) -> Tensor:
    """Cuts windows into cells and averages a map over each, by the area they share.

    Args:
        places: ``(h, w, k)``
        boxes: ``(p, 4)`` windows, as shares of the map
        side: cells along one side of a window

    Returns:
        ``(p, side, side, k)``
    """
    height, width = places.shape[:2]
    found = places.new_empty(len(boxes), side, side, places.shape[2])
    across = torch.from_numpy(shares(boxes[:, [0, 2]], side, width)).to(places)
    ends, row_of = np.unique(boxes[:, [1, 3]], axis=0, return_inverse=True)
    down = torch.from_numpy(shares(ends, side, height)).to(places)
    for row, weight in enumerate(down):  # windows beside each other
        some = torch.from_numpy(np.flatnonzero(row_of.ravel() == row)).to(places.device)
        band = (weight @ places.flatten(1)).view(side, width, -1)
        made = across[some].flatten(0, 1) @ band  # (side, n * side, k)
        found[some] = made.unflatten(1, (-1, side)).transpose(0, 1)
    return found


def shares(ends: np.ndarray, cells: int, places: int) -> np.ndarray:
    """How much of each cell of some stretches lies in each place of a line.

    Args:
        ends: ``(p, 2)`` starts and ends, as shares of the line
        cells: equal ones that each stretch is cut into
        places: equal ones that the line is cut into

    Returns:
        ``(p, cells, places)`` float32; each row sums up to 1

    Raises:
        ValueError: if a stretch is empty, or leaves the line
    """
    start, end = ends[:, :1], ends[:, 1:]
    if not ((start >= 0) & (start < end) & (end <= 1 + 1e-9)).all():
        raise ValueError("a window is empty, or leaves the image")
    edges = places * (start + (end - start) * np.arange(cells + 1) / cells)
    line = np.arange(places)
    low = np.maximum(edges[:, :-1, None], line)
    high = np.minimum(edges[:, 1:, None], line + 1)
    shared = np.clip(high - low, 0, None)
    return (shared / shared.sum(axis=2, keepdims=True)).astype(np.float32)


def _sides(height: int, width: int, short: int) -> tuple[int, int]:
    """Height and width of the picture that is passed, in whole places."""
    factor = short / min(height, width)
    factor = min(factor, short * (_MOST / (height * width)) ** 0.5)
    return tuple(max(1, round(s * factor / _STRIDE)) * _STRIDE for s in (height, width))
