"""LoRA: small changes of low rank to the queries, keys and values of both towers.

``peft`` is not used: it takes open_clip's transformers, but in the attention pool of a
ModifiedResNet its weights get no gradient and yet count when they are merged (measured
with 0.21.2; that pool hands its weights to a function and calls no layer).
A parametrization of the weight itself works wherever the weight is used.
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_PARTS = {"in_proj_weight": 3, "qkv": 3, "kv": 2}  # queries, keys, values in one
_WEIGHT = re.compile(
    r"(?:^|\.)(?:(in_proj_weight)|(qkv|kv|q|k|v|[qkv]_proj|query|key|value)\.weight)$"
)


class LowRank(nn.Module):
    """Adds a product of two thin matrices to a weight; nothing at the start.

    Args:
        weight: ``(parts * m, n)``
        rank: of each part's change
        parts: how many matrices the weight is made of, each with a change of its own
    """

    def __init__(self, weight: Tensor, rank: int, parts: int):
        super().__init__()
        rows, columns = weight.shape[0] // parts, weight.shape[1]
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(weight.new_empty(parts, rank, columns))
        self.up = nn.Parameter(weight.new_zeros(parts, rows, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight."""
        return weight + (self.up @ self.down).flatten(0, 1)


def add_lora(model: nn.Module, rank: int) -> dict[str, nn.Parameter]:
    """Gives every query, key and value projection a change of low rank.

    Args:
        model: changed in place; of open_clip
        rank: 1 or more

    Returns:
        what is to be trained, by name

    Raises:
        ValueError: if the model has no such projection
    """
    targets = [
        (name, match[1] or match[2])
        for name, weight in model.named_parameters()
        if (match := _WEIGHT.search(name)) and weight.ndim == 2
    ]
    if not targets:
        raise ValueError(
            "this model has no attention that LoRA could change: choose the method "
            "'heads' or 'full'"
        )
    added = {}
    for name, kind in targets:
        place, _, attribute = name.rpartition(".")
        module = model.get_submodule(place)
        change = LowRank(module.get_parameter(attribute), rank, _PARTS.get(kind, 1))
        parametrize.register_parametrization(module, attribute, change)
        added |= {f"{name}.{key}": value for key, value in change.named_parameters()}
    return added


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model under their own names, changes of low rank merged.

    Returns:
        copies on the CPU, as the ``state_dict()`` of the unchanged model has them
    """
    merged = {}
    for name, value in model.state_dict().items():
        place, _, rest = name.partition("parametrizations.")
        if not rest:
            merged[name] = value
        elif rest.endswith(".original"):
            attribute = rest.removesuffix(".original")
            module = model.get_submodule(place.removesuffix("."))
            with torch.no_grad():
                merged[place + attribute] = getattr(module, attribute)
    return {name: value.detach().cpu().clone() for name, value in merged.items()}
