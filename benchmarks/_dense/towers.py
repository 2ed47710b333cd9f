"""Maps of open_clip's image towers, and features of windows made of them.

A tower answers for one crop. Before its last step, in which one query gathers what the
places hold, it has a vector for every place of a picture of any size: averaged over a
window's places, by area, that vector stands for the window without a pass of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from torch import Tensor


@dataclass(frozen=True)
class Areas:
    """Which places of the frames a window holds.

    Attributes:
        whole: ``(p, cells)`` shares of the windows, each row sums up to 1
        parts: ``(p * g * g, cells)`` likewise, of the windows' parts; None where the
            tower needs none
    """

    whole: Tensor
    parts: Tensor | None = None


class ResNetMap:
    """A ModifiedResNet: its last map, and its attention pool.

    "values": the pool's value and output projections of a window's mean, without
    attention. "attended": the pool itself, on the window's own grid of places
    (RegionCLIP's way).
    """

    kinds = ("values", "attended")
    stride = 32

    def __init__(self, visual: ModifiedResNet) -> None:
        self.visual, self._pool = visual, visual.attnpool
        self.parts = round((len(self._pool.positional_embedding) - 1) ** 0.5)

    def cells(self, images: Tensor) -> Tensor:
        """Queries, keys and values of places: ``(n, h, w, 3, width)``."""
        pool, x = self._pool, self.visual.stem(images)
        for layer in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(self.visual, layer)(x)
        x = x.permute(0, 2, 3, 1)
        return torch.stack(
            [p(x) for p in (pool.q_proj, pool.k_proj, pool.v_proj)], dim=3
        )

    def features(self, kind: str, cells: Tensor, areas: Areas) -> Tensor:
        """``(p, d)`` of windows, of the ``cells`` of one image's frames."""
        pool, flat = self._pool, cells.flatten(0, 2)
        if kind == "values":
            return pool.c_proj(areas.whole @ flat[:, 2])
        p, width = len(areas.whole), flat.shape[2]
        whole = (areas.whole @ flat.flatten(1)).view(p, 1, 3, width)
        own = (areas.parts @ flat[:, 1:].flatten(1)).view(p, -1, 2, width)
        place = pool.positional_embedding
        query = whole[:, :, 0] + F.linear(place[:1], pool.q_proj.weight)
        keys, values = (
            torch.cat([whole[:, :, i + 1], own[:, :, i]], dim=1)
            + F.linear(place, layer.weight)
            for i, layer in enumerate((pool.k_proj, pool.v_proj))
        )
        heads = [_heads(t, pool.num_heads) for t in (query, keys, values)]
        found = F.scaled_dot_product_attention(*heads)
        return pool.c_proj(found.transpose(1, 2).flatten(1))


class ViTMap:
    """A VisionTransformer of open_clip with plain blocks.

    "values": value and output projections of the last block (MaskCLIP). "three": their
    sum over the last three. "skipped": the last three blocks without attention, each
    place for itself. "tokens": what the tower has for a place at its end. "attended":
    the class token's own attention in the last block, within the window.
    """

    kinds = ("values", "three", "skipped", "tokens", "attended")
    parts = 0

    def __init__(self, visual: VisionTransformer) -> None:
        self.visual = visual
        self.stride = visual.patch_size[0]

    def cells(self, images: Tensor) -> dict[str, Tensor]:
        """What every kind needs of places, ``(n, h, w, width)``, by name."""
        x, (h, w) = self._embed(images)
        *early, last = self.visual.transformer.resblocks
        values: list[Tensor] = []
        skipped = None
        for number, block in enumerate(early):
            if number == len(early) - 2:
                skipped = x[:, 1:]
            if number >= len(early) - 2:
                values.append(_value(block, x[:, 1:]))
            x = block(x)
        values.append(_value(last, x[:, 1:]))
        for block in self.visual.transformer.resblocks[-3:]:
            skipped = skipped + block.ls_1(_value(block, skipped))
            skipped = skipped + block.ls_2(block.mlp(block.ln_2(skipped)))
        query, key, value = F.linear(
            last.ln_1(x), last.attn.in_proj_weight, last.attn.in_proj_bias
        ).chunk(3, dim=2)
        heads = last.attn.num_heads
        query, key = (_heads(t, heads) for t in (query[:, :1], key))
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
        scores = scores[:, :, 0].transpose(1, 2)  # (n, 1 + h * w, heads)
        grid = (len(images), h, w, -1)
        return {
            "values": values[-1].reshape(grid),
            "three": sum(values).reshape(grid),
            "skipped": skipped.reshape(grid),
            "tokens": last(x)[:, 1:].reshape(grid),
            "scores": scores[:, 1:].reshape(grid),
            "value": value[:, 1:].reshape(grid),
            **{name: part[:, :1, None].expand(-1, h, w, -1) for name, part in (
                ("class", x), ("class scores", scores), ("class value", value))},
        }

    def features(self, kind: str, cells: dict[str, Tensor], areas: Areas) -> Tensor:
        """``(p, d)`` of windows, of the ``cells`` of one image's frames."""
        flat = {name: part.flatten(0, 2) for name, part in cells.items()}
        if kind != "attended":
            return self._end(areas.whole @ flat[kind])
        last = self.visual.transformer.resblocks[-1]
        most = torch.maximum(flat["scores"], flat["class scores"]).amax(dim=0)
        own = 1 / math.prod(self.visual.grid_size)  # the class token, beside the places
        found, total = 0.0, 0.0
        for name, weight in (("", 1.0), ("class ", own)):
            high = weight * (flat[f"{name}scores"] - most).exp()  # (cells, heads)
            value = flat[f"{name}value"].unflatten(1, (high.shape[1], -1))
            found = found + areas.whole @ (value * high[..., None]).flatten(1)
            total = total + areas.whole @ high
        found = found.unflatten(1, (total.shape[1], -1)) / total[..., None]
        found = found.flatten(1)
        x = areas.whole @ flat["class"] + last.ls_1(last.attn.out_proj(found))
        return self._end(x + last.ls_2(last.mlp(last.ln_2(x))))

    def _end(self, x: Tensor) -> Tensor:
        return self.visual.ln_post(x) @ self.visual.proj

    def _embed(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Places of images of any size, with resized positions."""
        visual = self.visual
        x = visual.conv1(images)
        size = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        first, place = visual.positional_embedding.split([1, len(
            visual.positional_embedding) - 1])
        if size != tuple(visual.grid_size):
            grid = place.T.reshape(1, -1, *visual.grid_size)
            place = F.interpolate(grid, size, mode="bicubic", antialias=True)
            place = place.flatten(2)[0].T
        begin = (visual.class_embedding + first).expand(len(x), 1, -1)
        return visual.ln_pre(torch.cat([begin, x + place], dim=1)), size


def of(visual: torch.nn.Module) -> ResNetMap | ViTMap:
    """The map of a tower.

    Raises:
        ValueError: if there is none of such a tower
    """
    if isinstance(visual, ModifiedResNet):
        return ResNetMap(visual)
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None:
        return ViTMap(visual)
    raise ValueError(f"no map of a {type(visual).__name__}")


def _value(block: torch.nn.Module, x: Tensor) -> Tensor:
    """What attention would add if each place looked at itself alone."""
    width = x.shape[-1]
    weight, bias = (
        part[2 * width:]
        for part in (block.attn.in_proj_weight, block.attn.in_proj_bias)
    )
    return block.attn.out_proj(F.linear(block.ln_1(x), weight, bias))


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, (heads, -1)).transpose(1, 2)
