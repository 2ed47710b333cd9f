"""A model of open_clip while it is trained: pixels and texts to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.backbone.devices import resolve_device
from detail_embed.backbone.preprocessing import normalise, spec_of
from detail_embed.backbone.tokenizer import Tokenizer
from detail_embed.backbone.weights import create_model

_BATCH = 256


class Towers:
    """Both towers, in fp32; bf16 where a GPU computes.

    They stay in evaluation mode in training, too: statistics of batch normalisation
    are those of the data of the model's own training, which are many more.

    Attributes:
        model: of open_clip
        name: of the architecture
        device: where it computes
        spec: what crops have to look like
    """

    def __init__(self, name: str, pretrained: str | None, device: str = "auto"):
        self.name, self.device = name, resolve_device(device)
        model, _ = create_model(name, pretrained)
        self.model = model.eval().to(self.device)
        config = model.visual.preprocess_cfg
        self.spec = spec_of(config)
        self._tokenizer = Tokenizer.of(name)
        self._mean, self._std = (
            torch.tensor(config[key], device=self.device).view(1, 3, 1, 1)
            for key in ("mean", "std")
        )

    @property
    def scale(self) -> Tensor:
        """Of the scores, as the model has it; it is not trained."""
        return self.model.logit_scale.detach().exp().float()

    def images(self, crops: Tensor) -> Tensor:
        """Unit vectors of crops ``(b, 3, size, size)`` uint8."""
        crops = crops.to(self.device, non_blocking=True)
        pixels = normalise(crops, 255, self._mean, self._std, torch.float32)
        with self._autocast():
            return F.normalize(self.model.encode_image(pixels).float(), dim=-1)

    def texts(self, sentences: Sequence[str]) -> Tensor:
        """Unit vectors of texts."""
        tokens = self._tokenizer(list(sentences)).to(self.device)
        with self._autocast():
            return F.normalize(self.model.encode_text(tokens).float(), dim=-1)

    @torch.no_grad()
    def all_images(self, cut, rows: Sequence[int] | None = None) -> Tensor:
        """Unit vectors of many crops, in steps."""
        rows = range(len(cut)) if rows is None else rows
        return torch.cat([
            self.images(cut.batch(rows[start : start + _BATCH]))
            for start in range(0, len(rows), _BATCH)
        ])

    @torch.no_grad()
    def all_texts(self, texts: Sequence[str], templates: Sequence[str]) -> Tensor:
        """Unit vectors of many texts, each the mean of its wordings."""
        parts = []
        for start in range(0, len(texts), _BATCH):
            some = texts[start : start + _BATCH]
            rows = [self.texts([t.replace("{}", x) for x in some]) for t in templates]
            parts.append(F.normalize(torch.stack(rows).mean(0), dim=-1))
        return torch.cat(parts)

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"
        )
