"""What fine-tuning takes elsewhere, estimated from the operations of a model."""

from __future__ import annotations

import open_clip
import torch
from torch.utils.flop_counter import FlopCounterMode

TEXTS = 2.75  # of a step by crop: its own, 128 others and 96 nouns for 128 crops
_BACKWARD = 3  # of a step, in forward passes
_GPUS = {"30 TFLOP/s (such as a T4 in fp16, half used)": 30e12,
         "300 TFLOP/s (such as an H100 in bf16, a third used)": 300e12}


def estimate(name: str, crops: int, passes: int) -> str:
    """Rows of a Markdown table, each named as estimated."""
    model = open_clip.create_model(name).eval()
    side = model.visual.image_size
    image = torch.zeros(1, 3, *(side if isinstance(side, tuple) else (side, side)))
    text = open_clip.get_tokenizer(name)(["a photo of a cat"])
    counts = []
    for run, given in ((model.encode_image, image), (model.encode_text, text)):
        with FlopCounterMode(display=False) as counter:  # gradients: no fused kernel
            run(given)
        counts.append(counter.get_total_flops())
    step = _BACKWARD * (counts[0] + TEXTS * counts[1])
    total = step * crops * passes
    weights = sum(p.numel() for p in model.parameters())
    lines = [
        f"{name}: {counts[0] / 1e9:.1f} GFLOP a crop, {counts[1] / 1e9:.1f} a text, "
        f"{step / 1e9:.0f} a crop of a step; {weights / 1e6:.0f} million weights, with "
        f"AdamW {16 * weights / 1e9:.1f} GB beside activations.",
        f"\n| machine, estimated | {crops:,} crops, {passes} passes |\n|--|--:|",
    ]
    lines += [f"| {gpu} | {total / speed:,.0f} s |" for gpu, speed in _GPUS.items()]
    lines.append(f"| 2 cores at 60 GFLOP/s | {total / 60e9 / 3600:,.0f} hours |")
    return "\n".join(lines)
