"""Which weights of a model are trained, and how fast."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import nn

from detail_embed.adapt.lora import add_lora

METHODS = ("lora", "heads", "full")
DECAY = 0.6  # of the learning rate from one block to the one below
LAST_BLOCKS = 2

_BLOCK = re.compile(
    r"(?:^|\.)((?:resblocks|blocks|layers?|stages)\.?\d+(?:\.blocks\.\d+)?)\."
)
_HEAD = re.compile(
    r"(?:^|\.)(?:proj|text_projection|attnpool|attn_pool|head|fc_norm|norm|ln_post|"
    r"ln_final)(?:\.|$)"
)
_TEMPERATURE = ("logit_scale", "logit_bias")


def choose(
    model: nn.Module, method: str, rank: int, rate: float, decay: float
) -> tuple[dict[str, nn.Parameter], list[dict]]:
    """Freezes all weights but those of a method.

    Args:
        model: changed in place
        method: ``"lora"``, changes of low rank; ``"heads"``, projections and the last
            two blocks of both towers; or ``"full"``, all weights. The rate falls from
            block to block towards the input, but for LoRA
        rank: of LoRA
        rate: learning rate of the projections
        decay: weight decay of matrices

    Returns:
        what is trained, by name, and the groups of an optimizer, each with a ``scale``
        of the learning rate

    Raises:
        ValueError: if the method does not fit the model
    """
    model.requires_grad_(False)
    if method == "lora":
        chosen = add_lora(model, rank)
        scales = dict.fromkeys(chosen, 1.0)
    else:
        found = depths(name for name, _ in model.named_parameters())
        most = LAST_BLOCKS if method == "heads" else max(found.values())
        chosen = {n: p for n, p in model.named_parameters() if found.get(n, 99) <= most}
        scales = {name: DECAY ** found[name] for name in chosen}
    groups: dict[tuple[float, bool], dict] = {}
    for name, parameter in chosen.items():
        parameter.requires_grad_(True)
        decays = parameter.ndim >= 2
        group = groups.setdefault((scales[name], decays), {
            "params": [], "scale": scales[name], "lr": rate * scales[name],
            "weight_decay": decay if decays else 0.0,
        })
        group["params"].append(parameter)
    return chosen, list(groups.values())


def depths(names: Iterable[str]) -> dict[str, int]:
    """How many blocks of its tower lie behind a weight, by its name.

    Returns:
        0 for what makes the vector, 1 for the last block, one more for each before,
        and one more again for what comes before the first; temperatures are left out
    """
    names = [name for name in names if name not in _TEMPERATURE]
    found: dict[str, int] = {}
    for is_image in (True, False):
        tower = [name for name in names if name.startswith("visual.") == is_image]
        blocks = list(dict.fromkeys(m[1] for n in tower if (m := _BLOCK.search(n))))
        for name in tower:
            if match := _BLOCK.search(name):
                found[name] = len(blocks) - blocks.index(match[1])
            else:
                found[name] = 0 if _HEAD.search(name) else len(blocks) + 1
    return found
