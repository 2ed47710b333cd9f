"""Speed: the engine against its encoder alone, by stage and decoding threads."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import simplejpeg
import torch
from torch.utils.flop_counter import FlopCounterMode

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.stream import stream
from detail_embed.images.image_file import read_image
from detail_embed.images.reader import pinned

from .report import Report
from .scale import Scale, patches, synchronise, write_pictures

_RATIO = 0.8  # of the encoder's speed that the engine has to reach on a GPU
_STAGES = ["size", "stage", "host, ms an image", "with the device, ms"]
_THREADS = (4, 8, 12, 16)


def throughput(report: Report, scale: Scale) -> None:
    """Images and patches a second, beside tower and encoder on ready patches."""
    backbone = Backbone.load(scale.model, device=str(scale.device))
    tower, alone = _alone(backbone, scale)
    peak, work = _product(backbone, scale), _flops(backbone)
    report.table("Throughput", [
        "size", "images", "tower, patches/s", "(a) encoder", "(b) engine", "b/a",
        "images/s", "MFU",
    ])
    mixed = [*((size, [size]) for size in scale.sizes), ("mixed", list(scale.sizes))]
    for name, sizes in mixed:
        with report.guarded(f"throughput {name}"), _files(scale, sizes) as files:
            _engine(backbone, files[:8], scale)
            images, count, seconds = _engine(backbone, files, scale)
            rate = count / seconds
            report.row("Throughput", name, images, tower, alone, rate, rate / alone,
                       images / seconds, rate * work / peak)
            least = _RATIO if scale.is_gpu else 0.01
            report.at_least(f"throughput {name}, b/a", rate / alone, least)


def stages(report: Report, scale: Scale) -> None:
    """What each stage takes of the host, and with the device; how far it idles."""
    backbone = Backbone.load(scale.model, device=str(scale.device))
    report.table("Stages", _STAGES)
    for size in scale.sizes:
        with report.guarded(f"stages {size}"), _files(scale, [size], 8) as files:
            _time_stages(report, backbone, files, scale, size)
    with _files(scale, scale.sizes[:1], 64 if scale.is_gpu else 6) as files:
        with report.guarded("idle"):
            _idle(report, backbone, files, scale)
        report.table("Decoding threads", ["threads", "images/s"])
        for threads in _THREADS:
            images, _, seconds = _engine(backbone, files, scale, threads)
            report.row("Decoding threads", threads, images / seconds)


def _time_stages(
    report: Report, backbone: Backbone, files: list[Path], scale: Scale,
    size: tuple[int, int],
) -> None:
    cover, device = CompleteCover(scale.cover), scale.device

    def timed(name: str, function: Callable, inputs: list) -> list:
        function(inputs[0])
        synchronise(device)
        started = time.perf_counter()
        found = [function(one) for one in inputs]
        host = time.perf_counter() - started
        synchronise(device)
        whole = time.perf_counter() - started
        each = 1000 / len(inputs)
        report.row("Stages", size, name, host * each, whole * each)
        return found

    arrays = timed("decode", read_image, files)
    arrays = [pinned(array) for array in arrays] if scale.is_gpu else arrays
    there = timed(
        "upload",
        lambda array: torch.from_numpy(array).to(device, non_blocking=True), arrays,
    )
    cut = timed(
        "resize and cut",
        lambda image: extract_patches(
            image.permute(2, 0, 1), cover, backbone.patch_spec
        ),
        there,
    )
    timed("encode", backbone.encode_patches, cut)


def _idle(report: Report, backbone: Backbone, files: list[Path], scale: Scale) -> None:
    if not scale.is_gpu:
        report.skip("share of the time that the GPU idles", "no GPU is checked")
        return
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        _engine(backbone, files, scale)
    spans = sorted(
        (event.time_range.start, event.time_range.end) for event in profile.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    )
    if not spans:
        report.skip("share of the time that the GPU idles", "the profiler saw nothing")
        return
    busy, reached = 0.0, spans[0][0]
    for start, end in spans:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    report.at_most(
        "share of the time that the GPU idles", 1 - busy / (reached - spans[0][0]), 0.4
    )


@contextmanager
def _files(
    scale: Scale, sizes: Sequence[tuple[int, int]], count: int | None = None
) -> Iterator[list[Path]]:
    """Unique JPEGs in a folder that goes again."""
    with tempfile.TemporaryDirectory() as folder:
        yield write_pictures(Path(folder), sizes, count or scale.images)


def _engine(
    backbone: Backbone, files: list[Path], scale: Scale, threads: int | None = None
) -> tuple[int, int, float]:
    """Images, patches and seconds, of all files or as many as there is time for."""
    cover, options = CompleteCover(scale.cover), EncodeOptions(num_workers=threads)
    fuser = fusers.create("mean", dim=backbone.dim)
    started, images = time.perf_counter(), 0
    chunks = stream(
        enumerate(files), backbone, cover, fuser, options, chunk_size=32,
    )
    with closing(chunks):
        for chunk in chunks:
            if chunk.errors:
                raise RuntimeError(chunk.errors[0].reason)
            images += len(chunk.ids)
            if time.perf_counter() - started > scale.seconds:
                break
        seconds = time.perf_counter() - started
    sizes = {}
    for path in itertools.islice(files, images):
        height, width, *_ = simplejpeg.decode_jpeg_header(path.read_bytes())
        sizes[width, height] = sizes.get((width, height), 0) + 1
    count = sum(n * len(cover.boxes(*size)) for size, n in sizes.items())
    return images, count, seconds


def _alone(backbone: Backbone, scale: Scale) -> tuple[float, float]:
    """Patches a second without an engine, all on the device before.

    Returns:
        of the tower on normalised patches of its own type, and of the encoder on bytes
    """
    images = patches(scale.batch, backbone.input_size).to(scale.device)
    normalised = (images.float() / 127.5 - 1).to(backbone._dtype)

    def tower() -> None:
        with torch.inference_mode(), backbone._autocast():
            backbone._model.encode_image(normalised)

    def encoder() -> None:
        backbone.encode_patches(images, batch_size=len(images))

    return _rate(tower, scale), _rate(encoder, scale)


def _rate(encode: Callable[[], None], scale: Scale) -> float:
    """Patches a second of a function that encodes a batch."""
    encode()
    synchronise(scale.device)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < scale.seconds / 5:
        for _ in range(4):  # or the device waits for the next
            encode()
            count += scale.batch
        synchronise(scale.device)
    return count / (time.perf_counter() - started)


def _flops(backbone: Backbone) -> float:
    """Operations of a patch; those of a fused attention are counted too."""
    torch.backends.mha.set_fastpath_enabled(False)
    image = patches(1, backbone.input_size)
    with FlopCounterMode(display=False) as counter:
        backbone.encode_patches(image)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops()


def _product(backbone: Backbone, scale: Scale) -> float:
    """Operations a second of a product of matrices, what the device can do."""
    side = 8192 if scale.is_gpu else 512
    one = torch.ones(side, side, dtype=backbone._dtype, device=scale.device)
    one @ one
    synchronise(scale.device)
    started = time.perf_counter()
    for _ in range(20):
        one @ one
    synchronise(scale.device)
    return 20 * 2 * side**3 / (time.perf_counter() - started)
