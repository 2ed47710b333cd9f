"""Facts of the machine, and whether torch can use its device at all."""

from __future__ import annotations

import platform

import torch

from detail_embed.backbone.devices import (
    fast_precision,
    numbered,
    probe,
    resolve_device,
)
from detail_embed.images.cpus import cpus

from .report import Report
from .scale import Scale


def run(report: Report, scale: Scale) -> None:
    """Prints what the machine is, computes a little on it."""
    report.table("Machine", ["fact", "value"])
    for name, value in _facts(scale):
        report.row("Machine", name, value)
    with report.guarded("probe"):
        probe(scale.device)
        report.equal("probe", "works", "works")
    if not scale.is_gpu:
        report.skip("GPUs that share the work", "no GPU is checked")
        return
    report.equal("device auto", resolve_device("auto").type, "cuda")
    report.at_least("GPUs that share the work", len(numbered(torch.device("cuda"))), 1)
    major, minor = torch.cuda.get_device_capability(scale.device)
    wanted = "bf16" if major >= 8 else "fp16"
    report.equal("precision auto", fast_precision(scale.device), wanted)


def _facts(scale: Scale) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("platform", platform.platform()), ("python", platform.python_version()),
        ("torch", torch.__version__), ("CUDA of torch", torch.version.cuda),
        ("CPUs, within the quota", cpus()),
        ("threads of torch", torch.get_num_threads()),
    ]
    if scale.is_gpu:
        properties = torch.cuda.get_device_properties(scale.device)
        facts += [
            ("GPUs", torch.cuda.device_count()), ("GPU", properties.name),
            ("compute capability", f"{properties.major}.{properties.minor}"),
            ("memory, GiB", round(properties.total_memory / 2**30, 1)),
            ("multiprocessors", properties.multi_processor_count),
            ("built for", " ".join(torch.cuda.get_arch_list())),
            ("TF32 in convolutions", torch.backends.cudnn.allow_tf32),
            ("TF32 in products", torch.backends.cuda.matmul.allow_tf32),
        ]
    return facts
