"""Where a model runs: names of devices, and all GPUs that work."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable

import torch

from detail_embed.backbone import openvino_tower

logger = logging.getLogger(__name__)


def resolve_device(device: str) -> torch.device:
    """Turns a name into a torch device that exists.

    That of ``"openvino"`` and of ``"torch"`` is the CPU, see :mod:`.cpu_ways`.

    Raises:
        ValueError: if the device is unknown or not there
    """
    if device == openvino_tower.NAME:
        openvino_tower.check_installed()
    if device in ("torch", openvino_tower.NAME):
        return torch.device("cpu")
    has_cuda = torch.cuda.is_available()
    if device == "auto":
        gpus = _gpus()
        if has_cuda and not gpus:
            _warn("this torch can use none of the GPUs here: the CPU computes")
        return torch.device("cuda" if gpus else "cpu")
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
    if place == torch.device("cuda") and _gpus():
        return place
    try:
        probe(place)
    except Exception as error:  # each backend raises errors of its own
        there = "cpu and cuda" if has_cuda and place.type != "cuda" else "cpu"
        raise ValueError(
            f"device={device!r}: torch cannot use it on this machine; choose {there} "
            f"or auto ({_first_line(error)})"
        ) from error
    return place


def numbered(device: torch.device) -> tuple[torch.device, ...]:
    """All GPUs that can share the work, where CUDA is meant without a number."""
    if device.type != "cuda" or device.index is not None:
        return (device,)
    return _gpus() or (device,)


@functools.cache  # what raised is tried again
def probe(device: torch.device) -> None:
    """Computes a little on a device, and looks whether it is right.

    A GPU that is older than what this torch was built for is seen by torch, yet runs
    nothing.

    Raises:
        Exception: of any kind, if the device cannot be used
    """
    ones = torch.ones(8, 8, device=device)
    found = (ones @ ones + ones).sum().item()
    if found != 8 * 8 * 9:
        raise RuntimeError(f"it computes {found} where it should be {8 * 8 * 9}")


def working(
    gpus: Iterable[torch.device],
    probe: Callable[[torch.device], None],
    kind: Callable[[torch.device], object],
) -> tuple[torch.device, ...]:
    """Of several GPUs, those that work and are like the first of these.

    What is left out is logged, once. A GPU of another kind may lack what the model was
    set up for, such as bf16.

    Args:
        gpus: devices, in the order of their numbers
        probe: called with a device, raises if it cannot be used
        kind: called with a device that works, returns what makes it alike
    """
    found: list[torch.device] = []
    for gpu in gpus:
        try:
            probe(gpu)
        except Exception as error:  # of CUDA, of its libraries, of a driver
            _warn(f"{gpu} is left out, torch cannot use it: {_first_line(error)}")
        else:
            if found and kind(gpu) != kind(found[0]):
                _warn(f"{gpu} is left out, it is of another kind than {found[0]}")
            else:
                found.append(gpu)
    return tuple(found)


def _gpus() -> tuple[torch.device, ...]:
    if not torch.cuda.is_available():
        return ()
    gpus = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return working(gpus, probe, torch.cuda.get_device_capability)


@functools.cache
def _warn(message: str) -> None:
    """Logs a warning, the first time."""
    logger.warning("%s", message)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def wait_for(device: torch.device) -> None:
    """Waits for all that a GPU was told, on any stream, to be done.

    A copy from one GPU to another runs on by itself, and only the default stream waits
    for it.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fast_precision(device: torch.device) -> str:
    """What is fastest there at hardly any loss: "fp32", "bf16" or "fp16"."""
    if device.type != "cuda":
        return "fp32"
    has_bf16 = torch.cuda.get_device_capability(numbered(device)[0]) >= (8, 0)
    return "bf16" if has_bf16 else "fp16"
