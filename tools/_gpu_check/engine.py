"""The engine under pressure: delayed streams, short memory, a second run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.engine import cut
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions

from .report import Report
from .scale import Scale, cosine, synchronise, write_pictures

_CYCLES = 20_000_000  # of a GPU: about 10 ms
_OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory, as it is made here")


def streams(report: Report, scale: Scale) -> None:
    """Features are the same when work on the GPU starts late, stage by stage."""
    with _case(scale) as (backbone, files):
        wanted = _features(backbone, files, scale)
        for late in (("cut",), ("encode",), ("cut", "encode")):
            name = f"streams, late {' and '.join(late)}"
            with report.guarded(name), _delayed(scale, late):
                found = _features(backbone, files, scale)
                report.at_least(f"{name}, cosine", cosine(found, wanted), 0.9999)
    if not scale.is_gpu or torch.cuda.device_count() < 2:
        report.skip("streams, several GPUs", "there are not two")
        return
    with report.guarded("streams, several GPUs"):
        with _case(scale) as (backbone, files):
            wanted = _features(backbone, files, scale)
        with _case(scale, "cuda") as (backbone, files):
            torch.cuda._sleep(10 * _CYCLES)  # the copies to other GPUs are behind it
            found = _features(backbone, files, scale)
        report.at_least("streams, several GPUs", cosine(found, wanted), 0.999)


def memory(report: Report, scale: Scale) -> None:
    """Batches are halved until they fit; what does not fit at all says so."""
    limited = _limited_gpu if scale.is_gpu else _limited_tower
    share = 0.6 if scale.is_gpu else 0.3  # of what a full batch needs
    with _case(scale) as (backbone, files):
        wanted = _features(backbone, files, scale)
        report.equal("memory, size of a batch with room", backbone.fitting_size, None)
        with report.guarded("memory, short"), limited(backbone, scale, share):
            found = _features(backbone, files, scale)
            size = backbone.fitting_size or scale.batch
            report.at_most("memory, size that fits", size, scale.batch - 1)
            report.at_least("memory, short, cosine", cosine(found, wanted), 0.999)
        with report.guarded("memory, none"), limited(backbone, scale, 0):
            try:
                _features(backbone, files, scale)
            except RuntimeError as error:
                message = str(error)
            else:
                message = "it fits"
            report.equal("memory, none", message[:18], "not even one patch")
    with _case(scale) as (backbone, files):
        with report.guarded("memory, a second run"):
            _growth(report, backbone, files, scale)


def _growth(
    report: Report, backbone: Backbone, files: list[Path], scale: Scale
) -> None:
    if not scale.is_gpu:
        report.skip("memory, growth of a second run", "no GPU is checked")
        return
    used = []
    for _ in range(2):
        _features(backbone, files, scale)
        synchronise(scale.device)
        used.append(torch.cuda.memory_allocated(scale.device))
    growth = (used[1] - used[0]) / 2**20
    report.at_most("memory, growth of a second run, MiB", growth, 1.0)
    kept = torch.cuda.memory_reserved(scale.device) - used[1]
    report.at_most("memory, kept after a run, MiB", kept / 2**20, 256.0)


@contextmanager
def _case(scale: Scale, device: str | None = None) -> Iterator[tuple[Backbone, list]]:
    count = 24 if scale.is_gpu else 6
    with tempfile.TemporaryDirectory() as folder:
        files = write_pictures(Path(folder), scale.sizes[:2], count)
        yield Backbone.load(scale.model, device=device or str(scale.device)), files


def _features(backbone: Backbone, files: list[Path], scale: Scale) -> torch.Tensor:
    images = list(iter_patch_features(
        enumerate(files), backbone, CompleteCover(scale.cover),
        EncodeOptions(batch_size=scale.batch),
    ))
    reasons = [image.reason for image in images if image.reason]
    if reasons:
        raise RuntimeError(f"{len(reasons)} files were not read: {reasons[0]}")
    return torch.cat([image.features for image in images]).cpu()


@contextmanager
def _delayed(scale: Scale, late: tuple[str, ...]) -> Iterator[None]:
    """Has stages begin late, on the stream of whoever calls them."""

    def after_a_while(function: Callable) -> Callable:
        def delayed(*arguments: Any, **options: Any) -> Any:
            if scale.is_gpu:
                torch.cuda._sleep(_CYCLES)
            else:
                time.sleep(0.002)
            return function(*arguments, **options)

        return delayed

    stages = {"cut": (cut, "extract_patches"), "encode": (Backbone, "_encode")}
    with ExitStack() as stack:
        for place, name in map(stages.get, late):
            delayed = after_a_while(getattr(place, name))
            stack.enter_context(mock.patch.object(place, name, delayed))
        yield


@contextmanager
def _limited_gpu(backbone: Backbone, scale: Scale, share: float) -> Iterator[None]:
    """Leaves a share of what a full batch needs; of the rest, all is taken."""
    device = scale.device
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    shape = (scale.batch, 3, backbone.input_size, backbone.input_size)
    backbone.encode_patches(torch.zeros(shape, dtype=torch.uint8), scale.batch)
    needed = torch.cuda.max_memory_allocated(device) - before
    torch.cuda.empty_cache()
    backbone.fitting_size = None
    total = torch.cuda.get_device_properties(device).total_memory
    limit = torch.cuda.memory_reserved(device) + share * needed
    torch.cuda.set_per_process_memory_fraction(limit / total, device)
    taken = [] if share else _fill(device)
    try:
        yield
    finally:
        del taken
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()


def _fill(device: torch.device) -> list[torch.Tensor]:
    """Takes what is left, in smaller and smaller pieces."""
    taken: list[torch.Tensor] = []
    for size in (2**26, 2**22, 2**18, 2**14, 2**9):
        try:
            while True:
                taken.append(torch.empty(size, dtype=torch.uint8, device=device))
        except torch.OutOfMemoryError:
            continue
    return taken


@contextmanager
def _limited_tower(backbone: Backbone, scale: Scale, share: float) -> Iterator[None]:
    """A tower that raises as a GPU does, where a CPU is checked."""
    room, encode = int(share * scale.batch), backbone._model.encode_image

    def short(images: torch.Tensor) -> torch.Tensor:
        if len(images) > room:
            raise _OUT_OF_MEMORY
        return encode(images)

    backbone.fitting_size = None
    with mock.patch.object(backbone._model, "encode_image", short):
        yield
