"""Where an image tower looks: its attention, from what becomes the feature to places.

A vision transformer makes its feature of one token: the class token, a learned query or
the mean of the places. ``"last"`` is the attention of that token in the last layer.
``"rollout"`` (arXiv 2005.00928) follows it through all layers down to the places of the
image: in each, a token is half itself, half what it attends to. open_clip's ResNets
have one layer of attention, on top, and so has nothing to roll out.

The layers are watched while an image goes through, in the calling thread alone: others
encode with the same model meanwhile, at full speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from detail_embed.backbone.backbone import Backbone

LAST, ROLLOUT = WAYS = ("last", "rollout")
_BATCH = 8  # patches: the weights of all heads of a layer are in memory at once


def attention_maps(backbone: Backbone, patches: Tensor, way: str = LAST) -> Tensor:
    """Where the image tower looks in patches.

    Args:
        backbone: a model whose tower has attention, see :func:`check_attention`
        patches: as :meth:`.Backbone.encode_patches` takes them
        way ("last"): ``"last"`` or ``"rollout"``

    Returns:
        ``(n, h, w)`` float32 on the device of the backbone: what share of the attention
        each place gets, the mean of all heads. A patch has 1 in all, less what goes to
        tokens that are no places

    Raises:
        ValueError: if the tower has no such attention, or an argument is wrong
    """
    check_attention(backbone, way)
    head = _head_of(backbone.image_tower)
    white = 255 if patches.dtype == torch.uint8 else 1
    found = []
    for part in patches.split(_BATCH):
        with _Watched(head.layers, is_whole=way == ROLLOUT) as watched:
            backbone.encode_patches(part.float() / white)  # bytes may go to OpenVINO
        found.append(_look(head, watched, backbone))
    return torch.cat(found)


def check_attention(backbone: Backbone, way: str = LAST) -> None:
    """Checks that there is attention to be shown.

    Raises:
        ValueError: if ``way`` is unknown, or the tower has no attention from its
            feature to places, or one layer only where all are to be rolled out
    """
    if way not in WAYS:
        raise ValueError(f"way={way!r}: give {' or '.join(map(repr, WAYS))}")
    head = _head_of(backbone.image_tower)
    if head is None:
        raise _no_attention(backbone)
    if way == ROLLOUT and not head.has_residual:
        raise ValueError(
            f"{backbone.name} has one layer of attention, on top of convolutions, so "
            f"there is nothing to roll out: give way={LAST!r}"
        )


@dataclass(frozen=True)
class _Head:
    """How a tower makes its feature of tokens.

    Attributes:
        layers: of attention among the tokens
        others: tokens before the places
        start: which tokens the feature is made of, in the last attention
        has_residual: whether a token keeps itself in a layer
    """

    layers: int
    others: int
    start: slice
    has_residual: bool = True


def _head_of(tower: nn.Module) -> _Head | None:
    if isinstance(tower, ModifiedResNet):
        return _Head(1, 1, slice(0, 1), has_residual=False)
    if isinstance(tower, VisionTransformer):
        if getattr(tower, "attn_pool_contrastive", None) is not None:
            return None  # two layers that pool, which no model of open_clip has
        start = slice(1, None) if tower.pool_type == "avg" else slice(0, 1)
        return _Head(len(tower.transformer.resblocks), 1, start)
    trunk = getattr(tower, "trunk", None)
    pool = getattr(trunk, "global_pool", None)
    is_known = pool in ("token", "avg", "map") and not hasattr(tower.head, "pool")
    if not (isinstance(tower, TimmModel) and hasattr(trunk, "blocks") and is_known):
        return None
    others = getattr(trunk, "num_prefix_tokens", 0)
    start = slice(others, None) if pool == "avg" else slice(0, 1)
    return _Head(len(trunk.blocks), others, start)


def _no_attention(backbone: Backbone) -> ValueError:
    return ValueError(
        f"{backbone.name} has no attention from what becomes its feature to the "
        "places of an image, so there is nothing to show: choose a vision transformer "
        "(ViT) or a ResNet of open_clip"
    )


def _look(head: _Head, watched: _Watched, backbone: Backbone) -> Tensor:
    if watched.seen < head.layers or watched.tokens is None:
        raise _no_attention(backbone)
    tokens, pool = watched.tokens, watched.pool
    if pool is None:
        look = tokens[:, head.start].mean(1)
    else:
        look = pool[:, head.start].mean(1)
        look = F.pad(look, (tokens.shape[2] - look.shape[1], 0))  # of places alone
        if watched.is_whole:
            look = (look[:, None] @ tokens)[:, 0]
    places = look[:, head.others :]
    side = math.isqrt(places.shape[1])
    if side * side != places.shape[1]:
        raise _no_attention(backbone)
    return places.unflatten(1, (side, side))


@dataclass
class _Watched(TorchFunctionMode):
    """Keeps what layers of attention attend to, while it is entered.

    Attributes:
        layers: how many are among the tokens; one after them pools
        is_whole: whether all layers count, or the last one only
        seen: how many layers were there
        tokens: ``(b, t, t)`` of all layers, or the last one
        pool: ``(b, q, t)`` of the one that pools
    """

    layers: int
    is_whole: bool
    seen: int = 0
    tokens: Tensor | None = None
    pool: Tensor | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Does what was asked for, and looks at attention."""
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            made, weights = func(*args, **{**kwargs, "need_weights": True})
            self._keep(weights.float())
            return made, None
        if func is F.scaled_dot_product_attention:
            self._keep(_weights(*args, **kwargs))
        return func(*args, **kwargs)

    def _keep(self, weights: Tensor) -> None:
        self.seen += 1
        if self.seen > self.layers:
            self.pool = weights
        elif not self.is_whole:
            self.tokens = weights
        else:
            rolled = (weights + torch.eye(weights.shape[1]).to(weights)) / 2
            rolled = rolled / rolled.sum(2, keepdim=True)
            self.tokens = rolled if self.tokens is None else rolled @ self.tokens


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **others: Any,
) -> Tensor:
    """``(b, q, k)``, the mean of the heads, of scaled dot product attention."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query * scale).float() @ key.float().mT
    if attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1).mean(-3)
