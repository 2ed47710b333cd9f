"""Towers of all families, image and text, against the CPU in fp32.

Of some towers with random weights, all images have nearly the same feature: a plain
cosine is 1.000 whatever was computed. So the mean of the features is taken off first
(the centred cosine), and where hardly anything is left of them in half precision, that
is said instead.
"""

from __future__ import annotations

import copy
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.backbone import Backbone
from detail_embed.backbone.devices import fast_precision

from .report import Report
from .scale import Scale, centred_cosine, cosine, patches, spread, synchronise

NAMES = (
    "ViT-B-32", "ViT-B-32-quickgelu", "ViT-B-16-SigLIP2", "ViT-L-14-CLIPA", "RN50",
    "convnext_base", "EVA02-B-16", "MobileCLIP2-S0", "MobileCLIP-B",
    "PE-Core-T-16-384", "coca_ViT-B-32", "ViTamin-S", "swin_base_patch4_window7_224",
    "vit_medium_patch16_gap_256",
)
_SMALL = ("detail-demo",)  # on a CPU
_IMAGES = 8
_SPREAD = 0.05  # below it, half precision is too coarse for what sets images apart
_BATCHES = (1, 7, 581, 1024)


def run(report: Report, scale: Scale) -> None:
    """Checks each tower, then a model at several batch sizes."""
    precision = fast_precision(scale.device)
    columns = ["architecture", "precision", "side", "cosine", "centred", "spread", "s"]
    report.table("Towers against the CPU in fp32", columns)
    for name in NAMES if scale.is_gpu else _SMALL:
        with report.guarded(f"tower {name}"):
            _check_tower(report, scale, name, ("fp32", precision))
    with report.guarded("batches"):
        _check_batches(report, scale)


def _check_tower(
    report: Report, scale: Scale, name: str, precisions: tuple[str, str]
) -> None:
    reference = Backbone.load(name, device="cpu", precision="fp32")
    model = copy.deepcopy(reference._model)
    images, tokens = patches(_IMAGES, reference.input_size), _tokens(reference)
    wanted = {
        "image": reference.encode_patches(images), "text": _texts(reference, tokens),
    }
    for precision in dict.fromkeys(precisions):
        started = time.perf_counter()
        there = Backbone(
            copy.deepcopy(model), name, None, True, scale.device, precision
        )
        torch.backends.cudnn.allow_tf32 = precision != "fp32"
        found = {
            "image": there.encode_patches(images), "text": _texts(there, tokens),
        }
        synchronise(scale.device)
        seconds = time.perf_counter() - started
        for side, features in found.items():
            _judge(report, name, precision, side, features, wanted[side], seconds)


def _judge(
    report: Report, name: str, precision: str, side: str, found: Tensor,
    wanted: Tensor, seconds: float,
) -> None:
    plain, centred = cosine(found, wanted), centred_cosine(found, wanted)
    width = spread(wanted)
    report.row(
        "Towers against the CPU in fp32", name, precision, side, plain, centred, width,
        round(seconds, 2),
    )
    what = f"{name} {side} {precision}"
    report.at_least(f"{what}, cosine", plain, 0.9999 if precision == "fp32" else 0.99)
    if precision == "fp32":
        report.at_least(f"{what}, centred", centred, 0.99)
    elif width < _SPREAD:
        report.skip(f"{what}, centred", f"features differ by {width:.2g} only")
    else:
        report.at_least(f"{what}, centred", centred, 0.95)


def _tokens(backbone: Backbone) -> Tensor:
    """Texts as numbers; the last is the largest, which some towers pool at.

    Tokenizers of some families come from a hub, which is out of reach here.
    """
    model = backbone._model
    length = getattr(model, "context_length", 77)
    size = getattr(model, "vocab_size", 49408)
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, size - 2, (_IMAGES, length), generator=rng)
    tokens[:, -1] = size - 1
    return tokens


def _texts(backbone: Backbone, tokens: Tensor) -> Tensor:
    with torch.inference_mode(), backbone._autocast():
        features = backbone._model.encode_text(tokens.to(backbone.device))
        return F.normalize(features.float(), dim=-1)


def _check_batches(report: Report, scale: Scale) -> None:
    backbone = Backbone.load(scale.model, device=str(scale.device))
    sizes = _BATCHES if scale.is_gpu else (1, 7, 32)
    images = patches(max(sizes), backbone.input_size)
    wanted = backbone.encode_patches(images[:64], batch_size=8)
    for size in sizes:
        found = backbone.encode_patches(images[:size], batch_size=size)
        count = min(size, 64)
        report.at_least(
            f"{scale.model}, {size} at a time, cosine",
            cosine(found[:count], wanted[:count]), 0.999,
        )
        report.equal(
            f"{scale.model}, {size} at a time, finite",
            bool(torch.isfinite(found).all()), True,
        )
