"""Ways to run a tower: compiled, as a CUDA graph, by each kind of attention."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from detail_embed.backbone import Backbone

from .report import Report
from .scale import Scale, cosine, patches, synchronise

_TITLE = "Ways to run the tower"
_KINDS = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
}


def run(report: Report, scale: Scale) -> None:
    """Prints speed and seconds to the first batch, checks the features."""
    report.table(_TITLE, ["way", "patches/s", "first batch, s", "cosine"])
    backbone = Backbone.load(scale.model, device=str(scale.device))
    images = patches(scale.batch, backbone.input_size).to(scale.device)
    wanted = _measure(report, backbone, images, "eager", None, scale)
    for name, kind in _KINDS.items():
        try:
            with sdpa_kernel(kind), _without_fast_path():
                _measure(report, backbone, images, f"attention {name}", wanted, scale)
        except RuntimeError as error:  # torch has no such kernel for this device
            reason = str(error).partition("\n")[0]
            report.skip(f"attention {name}", reason[:80])
    if not scale.is_gpu:
        report.skip("compiled, CUDA graph", "no GPU is checked")
        return
    for name, options in (
        ("compiled", {}), ("CUDA graph", {"mode": "reduce-overhead"})
    ):
        with report.guarded(name), _compiled(backbone, **options):
            _measure(report, backbone, images, name, wanted, scale)


def _measure(
    report: Report, backbone: Backbone, images: Tensor, name: str,
    wanted: Tensor | None, scale: Scale,
) -> Tensor:
    def encode() -> Tensor:
        return backbone.encode_patches(images, batch_size=len(images))

    started = time.perf_counter()
    found = encode().clone()  # a graph writes to the same place again
    synchronise(scale.device)
    first = time.perf_counter() - started
    encode()
    synchronise(scale.device)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < scale.seconds / 5:
        encode()
        synchronise(scale.device)
        count += len(images)
    rate = count / (time.perf_counter() - started)
    same = 1.0 if wanted is None else cosine(found, wanted)
    report.row(_TITLE, name, rate, round(first, 2), same)
    report.at_least(f"{name}, cosine", same, 0.99)
    return found


@contextmanager
def _compiled(backbone: Backbone, **options: object) -> Iterator[None]:
    model, encode = backbone._model, backbone._model.encode_image
    model.encode_image = torch.compile(encode, **options)
    try:
        yield
    finally:
        del model.encode_image
        torch.compiler.reset()


@contextmanager
def _without_fast_path() -> Iterator[None]:
    """Has attention choose among the kernels that are allowed."""
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
