"""Backbones to choose from, and the weights that are taken if none are named."""

from __future__ import annotations

from detail_embed.backbone.bundled_model import NAME

BACKBONES: dict[str, str | None] = {
    "ViT-B-32": "laion2b_s34b_b79k",
    "ViT-B-16": "datacomp_xl_s13b_b90k",
    "ViT-L-14": "datacomp_xl_s13b_b90k",
    "ViT-B-32-SigLIP2-256": "webli",
    "ViT-B-16-SigLIP2-256": "webli",
    "ViT-L-16-SigLIP2-256": "webli",
    "MobileCLIP2-S0": "dfndr2b",
    NAME: None,
}
