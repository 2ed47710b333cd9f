"""The backbone: a frozen open_clip model, its image side and its text side."""

from __future__ import annotations

import contextlib
import copy
import os
import re
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from detail_embed.backbone import cpu_ways, openvino_tower, weights
from detail_embed.backbone.cpu_ways import CpuWay
from detail_embed.backbone.devices import (
    fast_precision,
    numbered,
    resolve_device,
    wait_for,
)
from detail_embed.backbone.memory import is_out_of_memory, no_room
from detail_embed.backbone.openvino_tower import Compiled
from detail_embed.backbone.preprocessing import normalise, spec_of
from detail_embed.backbone.tokenizer import Tokenizer

_PRECISIONS = ("fp32", "bf16", "fp16")
_BATCH = {"cpu": 48, "cuda": 1024}  # CPU: what stays in its cache


class Backbone:
    """A frozen CLIP of open_clip: patches and texts into one space.

    Make one with :meth:`load`.

    Attributes:
        name: the open_clip architecture
        pretrained: the pretrained tag or file, None for the demo model's own
            or random weights
        is_random: whether the weights are random
        device: a ``torch.device``, on CUDA with its number
        precision: of the image tower, ``"fp32"``, ``"bf16"`` or ``"fp16"``
        text_precision: of the text tower; on a CPU fp32, where the other has bf16, too
        way: how a CPU runs the image tower; None elsewhere
        tokenizer: of the text tower
        patch_spec: what patches have to look like
        dim: d, the dimension of the space
        weights_hash: 12 hex characters of the SHA-256 of all weights, as they were
            loaded, and their names
        devices: those that share the work where there is much of it
        batch_size: patches per forward pass, unless told otherwise
        fitting_size: the most patches that fit into the device's memory at once, as
            far as is known; None before memory ran out
    """

    def __init__(
        self,
        model: torch.nn.Module,
        name: str,
        pretrained: str | None,
        is_random: bool,
        device: torch.device,
        precision: str,
        way: CpuWay | None = None,
    ):
        self.way = way
        self.text_precision = "fp32" if way and precision == "bf16" else precision
        self.name, self.pretrained, self.is_random = name, pretrained, is_random
        self.precision, self.weights_hash = precision, weights.hash_weights(model)
        self.tokenizer = Tokenizer.of(name)
        self.batch_size = _BATCH.get(device.type, _BATCH["cpu"])
        cfg = model.visual.preprocess_cfg
        self.patch_spec = spec_of(cfg)
        self._mean, self._std = (
            torch.tensor(cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std")
        )
        model = model.eval().requires_grad_(False)
        self._tower = None
        if way and way.engine == cpu_ways.OPENVINO:
            frame = self.input_size, self._mean, self._std
            self._tower = Compiled(openvino_tower.convert(model, *frame), precision)
        model.visual.to(dtype=self._dtype)
        self._model = model.to(
            dtype=None if way else self._dtype,
            memory_format=torch.channels_last,  # convolutions: up to 1.5 x
        )
        for module in model.modules():
            if isinstance(module, _BatchNorm):  # its statistics are not to be rounded
                module.float()
        self.devices = numbered(device)
        self._move(self.devices[0])
        blank = torch.zeros(1, 3, self.input_size, self.input_size,
                            dtype=torch.uint8)
        self.dim = self._encode(blank).shape[1]

    @classmethod
    def load(
        cls,
        name: str,
        pretrained: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> Backbone:
        """Loads a model of open_clip.

        Args:
            name: an open_clip architecture, ``"detail-demo"`` (weights
                included), or an ``"hf-hub:"`` or ``"local-dir:"`` name
            pretrained (None): a tag of open_clip, or the path of a checkpoint;
                None for random weights (the same every time, with a warning), or
                for the demo model's own
            device ("auto"): a torch device; by default CUDA where there is one. On a
                CPU by what is faster, see :mod:`.cpu_ways`, or by ``"torch"`` or
                ``"openvino"``, as named
            precision ("auto"): ``"fp32"``, ``"bf16"`` or ``"fp16"``; by
                default bf16 on CUDA (fp16 on GPUs without bf16), on a CPU as
                :mod:`.cpu_ways` says. On CUDA, convolutions of fp32 are computed in
                TF32, to three digits, unless ``torch.backends.cudnn.allow_tf32`` is
                False

        Raises:
            ValueError: if the name, tag, file, device or precision is unknown
                or wrong
            RuntimeError: if the weights cannot be downloaded, or the device lacks the
                memory
        """
        place = resolve_device(device)
        if precision not in (*_PRECISIONS, "auto"):
            raise ValueError(
                f"precision={precision!r}: give one of "
                f"{', '.join(_PRECISIONS)} or auto"
            )
        engine = cpu_ways.engine_of(device, precision)
        pretrained = weights.resolve_file(name, pretrained)
        model, is_random = weights.create_model(name, pretrained)
        try:
            way = None
            if place.type == "cpu":
                way = cpu_ways.choose(model, name, engine, precision)
                precision = way.precision
            elif precision == "auto":
                precision = fast_precision(place)
            return cls(model, name, pretrained, is_random, place, precision, way)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise no_room("the model", name, precision, place) from error

    def on(self, device: torch.device) -> Backbone:
        """The same model on one of its :attr:`devices`; copied there once."""
        if device == self.device:
            return self
        if device not in self._elsewhere:
            other = copy.copy(self)
            other._model = copy.deepcopy(self._model)
            other._move(device)
            self._elsewhere[device] = other
        return self._elsewhere[device]

    def _move(self, device: torch.device) -> None:
        self.device = device
        self.fitting_size: int | None = None
        self._model, self._mean, self._std = (
            part.to(device) for part in (self._model, self._mean, self._std)
        )
        wait_for(device)
        self._elsewhere: dict[torch.device, Backbone] = {}

    @property
    def image_tower(self) -> torch.nn.Module:
        """What makes features of images, to be looked into and left as it is."""
        return self._model.visual

    @property
    def input_size(self) -> int:
        """Side in pixels of what the image tower sees."""
        return self.patch_spec.size

    @property
    def slug(self) -> str:
        """A name for files and zoo models: architecture, tag, hash.

        A checkpoint file goes by its hash alone, wherever it lies.
        """
        parts = [self.name]
        if self.is_random:
            parts.append("random")
        elif self.pretrained and not os.path.isabs(self.pretrained):
            parts.append(self.pretrained)
        words = [re.sub(r"[^a-z0-9_]+", "-", p.lower()).strip("-") for p in parts]
        return "-".join([*words, self.weights_hash])

    def encode_patches(
        self, patches: Tensor, batch_size: int | None = None
    ) -> Tensor:
        """Encodes patches.

        Args:
            patches: ``(n, 3, h, w)``, uint8 of 0 to 255 or float of 0 to 1, on
                any device; resized where they are not of ``input_size``
            batch_size (None): rows per forward pass; None: :attr:`batch_size`

        Returns:
            ``(n, dim)`` float32, unit length, on :attr:`device`

        Raises:
            ValueError: if shape, type or range are not as above
        """
        if patches.ndim != 4 or patches.shape[1] != 3:
            raise ValueError(
                f"patches have shape {tuple(patches.shape)}: give (n, 3, h, w)"
            )
        if patches.dtype != torch.uint8 and not patches.is_floating_point():
            raise ValueError(
                f"patches are {patches.dtype}: give uint8 of 0 to 255 or float "
                "of 0 to 1"
            )
        if patches.is_floating_point() and patches.numel():
            low, high = patches.aminmax()
            if not (low >= 0 and high <= 1):
                raise ValueError(
                    f"float patches are of {low:.3g} to {high:.3g}: give 0 to 1, not "
                    "normalised, or uint8 of 0 to 255"
                )
        size = batch_size or self.batch_size
        parts = [self._encode(part) for part in patches.split(size) if len(part)]
        return torch.cat(parts) if parts else self._none()

    def encode_texts(self, texts: list[str], batch_size: int = 256) -> Tensor:
        """Encodes texts as they are, without a template.

        A text that is longer than the model reads is cut off, with a warning.

        Args:
            texts: any number of texts
            batch_size (256): texts per forward pass

        Returns:
            ``(n, dim)`` float32, unit length, on :attr:`device`

        Raises:
            ValueError: if a text is empty
            TypeError: if ``texts`` is not a list of strings
            RuntimeError: if the tokenizer cannot be loaded
        """
        if isinstance(texts, str) or not all(isinstance(t, str) for t in texts):
            raise TypeError(f"texts must be a list of strings, not {texts!r:.80}")
        for index, text in enumerate(texts):
            if not text.strip():
                raise ValueError(f"text {index} is empty: say what you are looking for")
        parts = []
        for start in range(0, len(texts), batch_size):
            tokens = self.tokenizer(list(texts[start:start + batch_size]))
            with torch.inference_mode(), self._autocast():
                features = self._model.encode_text(tokens.to(self.device))
            parts.append(F.normalize(features.float(), dim=-1))
        return torch.cat(parts) if parts else self._none()

    def _encode(self, patches: Tensor) -> Tensor:
        side = (self.input_size, self.input_size)
        if self._tower and patches.dtype == torch.uint8 and patches.shape[2:] == side:
            return self._tower(patches)
        with torch.inference_mode(), self._autocast():
            images = patches.to(self.device, non_blocking=True)
            if images.shape[2:] != side:
                images = F.interpolate(
                    images.float(), side, mode=self.patch_spec.interpolation,
                    antialias=True,
                ).clamp(0, 255 if patches.dtype == torch.uint8 else 1)
            features = self._model.encode_image(self._normalised(images, patches.dtype))
            return F.normalize(features.float(), dim=-1)

    def run_tower(
        self, images: Tensor, run: Callable[[torch.nn.Module, Tensor], Tensor]
    ) -> Tensor:
        """What ``run(tower, normalised)`` makes of ``(n, 3, h, w)`` uint8 images."""
        with torch.inference_mode(), self._autocast():
            pixels = self._normalised(images.to(self.device), images.dtype)
            return run(self.image_tower, pixels)

    def _normalised(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        white = 255 if dtype == torch.uint8 else 1
        return normalise(images, white, self._mean, self._std, self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        """Of the image tower's weights; fp16 has too small a range to be theirs."""
        is_half = self.precision == "bf16" and not self._tower
        return torch.bfloat16 if is_half else torch.float32

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.precision == "fp16":
            return torch.autocast(self.device.type, torch.float16)
        return contextlib.nullcontext()

    def _none(self) -> Tensor:
        return torch.zeros(0, self.dim, device=self.device)
