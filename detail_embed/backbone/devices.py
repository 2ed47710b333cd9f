"""Where a model runs: names of devices, all GPUs, and what fits there."""

from __future__ import annotations

import torch

from detail_embed.backbone import openvino_tower


def resolve_device(device: str) -> torch.device:
    """Turns a name into a torch device that exists; that of ``"openvino"`` is the CPU.

    Raises:
        ValueError: if the device is unknown or not there
    """
    if device == openvino_tower.NAME:
        openvino_tower.check_installed()
        return torch.device("cpu")
    has_cuda = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"device={device!r} is unknown: give auto, cpu, cuda or cuda:0"
        ) from None
    if place.type == "cuda":
        count = torch.cuda.device_count() if has_cuda else 0
        if (place.index or 0) >= count:
            raise ValueError(
                f"device={device!r}: this machine has {count} CUDA devices that "
                "torch can use; choose cpu or auto"
            )
    try:
        torch.zeros(1, device=place).item()
    except Exception as error:  # each backend raises errors of its own
        there = "cpu and cuda" if has_cuda else "cpu"
        raise ValueError(
            f"device={device!r}: torch cannot use it on this machine; choose {there} "
            "or auto"
        ) from error
    return place


def numbered(device: torch.device) -> tuple[torch.device, ...]:
    """All GPUs where CUDA is meant without a number."""
    if device.type != "cuda" or device.index is not None:
        return (device,)
    return tuple(torch.device("cuda", i) for i in range(torch.cuda.device_count()))


def fast_precision(device: torch.device) -> str:
    """What is fastest there at hardly any loss: "fp32", "bf16" or "fp16"."""
    if device.type != "cuda":
        return "fp32"
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    return "bf16" if has_bf16 else "fp16"


def no_room(
    what: str, name: str, precision: str, device: torch.device
) -> RuntimeError:
    """The error that says that not even a small thing fits into a device's memory."""
    return RuntimeError(
        f"not even {what} fits into the memory of {device} with {name} in {precision}: "
        "end what else uses that memory, choose a smaller backbone, or device='cpu'"
    )
