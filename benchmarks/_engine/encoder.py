"""How fast a backbone encodes patches that lie on its device."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch

from detail_embed.backbone import Backbone
from detail_embed.engine.workers import compute_threads, run_in_workers, shares


class Clock:
    """By what is measured.

    Attributes:
        by_processor: whether by the seconds of the processor that this process takes,
            spread over all cores, as if none of them ever waited
    """

    by_processor = False
    _cores = torch.get_num_threads()

    def __call__(self) -> float:
        """Seconds since some moment."""
        if self.by_processor:
            return time.process_time() / self._cores
        return time.perf_counter()


clock = Clock()
_BATCHES = {"cpu": (16, 32, 48, 64), "cuda": (256, 512, 1024, 2048)}


class Way(NamedTuple):
    """How to encode: patches at a time, by one caller or by the engine's workers."""

    size: int
    in_workers: bool


def best_way(backbone: Backbone, by_workers: bool = True) -> Way:
    """Tries batch sizes, one after the other and in parallel workers.

    Args:
        backbone: the model
        by_workers (True): whether workers can run it: a CUDA graph of torch.compile
            belongs to the thread that made it
    """
    sizes = _BATCHES[backbone.device.type]
    patches = some_patches(backbone)
    ways = [
        Way(size, in_workers) for size in sizes
        for in_workers in ((False, True) if by_workers else (False,))
    ]
    in_a_second = int(rate(backbone, patches, ways[0], 1))

    def speed(way: Way) -> float:
        return rate(backbone, patches, way, max(2 * way.size, in_a_second))

    return max(ways, key=speed)


def some_patches(backbone: Backbone) -> torch.Tensor:
    """Random patches on the device, ``(64, 3, size, size)`` uint8."""
    rng = torch.Generator().manual_seed(0)
    shape = (64, 3, backbone.input_size, backbone.input_size)
    patches = torch.randint(0, 256, shape, dtype=torch.uint8, generator=rng)
    return patches.to(backbone.device)


def rate(backbone: Backbone, patches: torch.Tensor, way: Way, wanted: int) -> float:
    """Patches per second.

    Args:
        backbone: the model
        patches: ``(n, 3, size, size)`` uint8 on its device, repeated as needed
        way: how
        wanted: patches of the measurement, at least
    """
    patches = patches[: way.size]
    patches = patches.repeat(-(-way.size // len(patches)), 1, 1, 1)[: way.size]
    workers = _workers(backbone) if way.in_workers else 1
    batches = -(-wanted // way.size // workers) * workers  # the same for each
    _encode(backbone, patches, way, 2)
    synchronise(backbone)
    started = clock()
    _encode(backbone, patches, way, batches)
    synchronise(backbone)
    return batches * way.size / (clock() - started)


def _workers(backbone: Backbone) -> int:
    """How many the engine has: those of the CPU, or two for each GPU."""
    if backbone.device.type == "cpu":
        return len(shares(compute_threads()))
    return 2 * len(backbone.devices)


def synchronise(backbone: Backbone) -> None:
    """Waits for the device."""
    if backbone.device.type == "cuda":
        torch.cuda.synchronize(backbone.device)


def _encode(backbone: Backbone, patches: torch.Tensor, way: Way, times: int) -> None:
    if not way.in_workers:
        for _ in range(times):
            backbone.encode_patches(patches, batch_size=way.size)
        return

    def work(own: Backbone, *_) -> None:
        own.encode_patches(patches, batch_size=way.size)

    for _ in run_in_workers(backbone, work, range(times)):
        pass
