"""The fastest way to run an image tower on this CPU, measured in a moment.

torch or OpenVINO, in fp32 or, where the CPU has instructions for it, in bf16: which
is fastest depends on the machine, see ``docs/performance.md``. A few patches are
encoded in each way by the tower without its repeated blocks, once for a machine and
model; on a machine that other programs keep busy, once for a process.
"""

from __future__ import annotations

import copy
import functools
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from detail_embed.backbone import cpu_rates, openvino_tower
from detail_embed.backbone.preprocessing import spec_of
from detail_embed.images.cpus import OtherWork, within_quota

logger = logging.getLogger(__name__)

TORCH, OPENVINO = "torch", openvino_tower.NAME
VARIABLE = "DETAIL_EMBED_CPU_WAY"
_SMALL = 1_000_000  # weights: a smaller tower takes no time in any way
_GAIN = 1.15  # what OpenVINO has to be faster by than torch, and bf16 than fp32
_PATCHES = 4
_SLOW = 0.04  # seconds for one, beyond which one is enough to compare by
_SECONDS = 0.2  # that are measured, at the least one pass of each way
_OTHERS = 0.1  # share of the CPUs that others may take while we measure
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # the last one of ARM


@dataclass(frozen=True)
class CpuWay:
    """How a CPU runs an image tower.

    Attributes:
        engine: ``"torch"`` or ``"openvino"``
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``
        rates: how fast each way was that was tried, torch in fp32 being 1; empty where
            nothing had to be measured
    """

    engine: str
    precision: str
    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Engine and precision, such as ``"openvino bf16"``."""
        return f"{self.engine} {self.precision}"


def candidates(engine: str | None, precision: str) -> list[str]:
    """The ways that can be meant, by name, the first one being the usual one.

    Args:
        engine: ``"torch"``, ``"openvino"``, or None for either, as far as it is there
        precision: one of these, or ``"auto"``: fp32, and bf16 where the CPU has
            instructions for it: mAP stays within its interval, see
            docs/performance.md

    Raises:
        ValueError: if ``$DETAIL_EMBED_CPU_WAY`` names no way that is there
    """
    precisions = [precision]
    if precision == "auto":
        precisions = ["fp32", "bf16"] if has_bf16() else ["fp32"]
    engines = [engine]
    if engine is None:
        has_openvino = openvino_tower.is_installed() and precision != "fp16"
        engines = [TORCH, OPENVINO] if has_openvino else [TORCH]
    found = [f"{one} {other}" for one in engines for other in precisions]
    pinned = os.environ.get(VARIABLE)
    if pinned is None or precision == "fp16":
        return found
    known = [f"{one} {two}" for one in (TORCH, OPENVINO) for two in ("fp32", "bf16")]
    if pinned not in known:
        raise ValueError(f"{VARIABLE}={pinned!r}: give one of {', '.join(known)}")
    if engine is None and pinned.startswith(OPENVINO):
        openvino_tower.check_installed()
    mine, _, asked = pinned.partition(" ")
    return [f"{engine or mine} {asked if precision == 'auto' else precision}"]


def engine_of(device: str, precision: str) -> str | None:
    """What a name of a device says of the engine; None for nothing.

    Raises:
        ValueError: if OpenVINO lacks the precision
    """
    if device == OPENVINO:
        openvino_tower.check_precision(precision)
    return device if device in (TORCH, OPENVINO) else None


def choose(
    model: nn.Module, name: str, engine: str | None, precision: str
) -> CpuWay:
    """Chooses the fastest way, if there are several.

    Args:
        model: a model of open_clip, in fp32 on the CPU
        name: of the architecture; towers of one name are measured once
        engine: as of :func:`candidates`
        precision: likewise
    """
    ways, visual = candidates(engine, precision), model.eval().visual
    weights = sum(weight.numel() for weight in visual.parameters())
    usual = CpuWay(*ways[0].split())
    if len(ways) == 1 or weights < _SMALL:
        return usual
    key = _key(name, ways)
    rates = cpu_rates.recall(key, ways)
    if rates is None:
        others = OtherWork()
        rates = probe(visual, spec_of(visual.preprocess_cfg).size, ways)
        if rates:
            cpu_rates.remember(key, rates, for_others=others.share() <= _OTHERS)
    if not rates:
        return usual
    return CpuWay(*_best(rates, ways).split(), rates)


def probe(visual: nn.Module, size: int, ways: list[str]) -> dict[str, float]:
    """Measures ways to encode.

    Args:
        visual: the tower, in fp32
        size: side of a patch in pixels
        ways: names of them

    Returns:
        how fast each is, the first one being 1; nothing if one of them fails
    """
    generator = torch.Generator().manual_seed(0)
    shape = _PATCHES, 3, size, size
    patches = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    short, seconds = shortened(visual), {}
    try:
        if _timed(_torch(short, "fp32"), patches[:1]) > _SLOW:
            patches = patches[:1]
        runs = _runs(short, size, ways)
        for run in runs.values():
            run(patches)  # what is done once is no part of it
        started = time.perf_counter()
        while not seconds or time.perf_counter() - started < _SECONDS:
            for way, run in runs.items():
                took = _timed(run, patches)
                seconds[way] = min(took, seconds.get(way, took))
    except Exception as error:  # of OpenVINO, of a tower that cannot be shortened
        logger.warning("the ways of this CPU could not be compared: %s", error)
        return {}
    usual = seconds[ways[0]]
    return {way: round(usual / took, 3) for way, took in seconds.items()}


def _best(rates: Mapping[str, float], ways: list[str]) -> str:
    """The fastest, but the usual engine and the exact precision where it hardly pays.

    Args:
        rates: of the ways
        ways: the usual one first
    """
    best = ways[0]
    for precision in ("fp32", "bf16"):
        same = [way for way in ways if way.endswith(precision)]
        way = max(same, key=rates.__getitem__, default=best)
        if rates[way] >= _GAIN * rates[best]:
            best = way
    return best


@functools.cache
def has_bf16() -> bool:
    """Whether the CPU has instructions for bf16; else it is slower than fp32."""
    return not set(_INSTRUCTIONS).isdisjoint(_facts()[1].split())


def cpu_name() -> str:
    """What the CPU calls itself."""
    return _facts()[0]


def _timed(run: Callable[[Tensor], object], patches: Tensor) -> float:
    started = time.perf_counter()
    run(patches)
    return time.perf_counter() - started


def _runs(
    short: nn.Module, size: int, ways: list[str]
) -> dict[str, Callable[[Tensor], object]]:
    zero, one = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    converted, runs = None, {}
    for way in ways:
        engine, precision = way.split()
        if engine == OPENVINO:
            if converted is None:
                converted = openvino_tower.convert(_Image(short), size, zero, one)
            runs[way] = openvino_tower.Compiled(converted, precision)
        else:
            runs[way] = _torch(short, precision)
    return runs


def _torch(short: nn.Module, precision: str) -> Callable[[Tensor], object]:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    tower = short if dtype == torch.float32 else copy.deepcopy(short)
    tower = tower.to(dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(patches: Tensor) -> object:
        return tower((patches.float() / 255).to(dtype))

    return run


class _Image(nn.Module):
    """An image tower as a model, as :func:`.openvino_tower.convert` takes it."""

    def __init__(self, visual: nn.Module):
        super().__init__()
        self.visual = visual

    def encode_image(self, images: Tensor) -> Tensor:
        found = self.visual(images)
        return found[0] if isinstance(found, tuple) else found


def shortened(visual: nn.Module) -> nn.Module:
    """A tower with the same weights, but one of each row of blocks that are alike."""
    own = {id(t): t for t in (*visual.parameters(), *visual.buffers())}
    short = copy.deepcopy(visual, own)
    for row in list(short.modules()):
        if isinstance(row, (nn.Sequential, nn.ModuleList)):
            shapes = [[p.shape for p in block.parameters()] for block in row]
            for i in reversed(range(1, len(shapes))):
                if shapes[i] and shapes[i] == shapes[i - 1]:
                    del row[i]
    return short


def _key(name: str, ways: list[str]) -> str:
    threads = within_quota(torch.get_num_threads())
    machine = f"{cpu_name()}, {threads} threads, torch {torch.__version__}"
    return f"{name}: {', '.join(ways)}; {machine}, OpenVINO {openvino_tower.version()}"


@functools.cache
def _facts() -> tuple[str, str]:
    """Name and instructions of the CPU, as Linux says them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in
             (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or platform.machine()
    return name, facts.get("flags") or facts.get("Features") or ""
