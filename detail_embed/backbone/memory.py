"""A device's memory: what its lack looks like, and how it is given back."""

from __future__ import annotations

import re

import torch

_NO_MEMORY = re.compile(
    r"\b(CUDA|HIP|XPU|MPS)\b.*out of memory"
    r"|_STATUS_(\w+_)?ALLOC(ATION)?_FAILED"
    r"|DefaultCPUAllocator: (can't allocate|not enough) memory",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or one of its libraries, got no memory.

    torch has a class for what its own allocator says. What a kernel, cuBLAS, cuDNN or
    Apple's MPS say is known by its words alone.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


def release(device: torch.device) -> None:
    """Gives memory that torch holds, but does not use, back to the device."""
    backend = getattr(torch, device.type, None)
    if hasattr(backend, "empty_cache"):
        backend.empty_cache()


def no_room(
    what: str, name: str, precision: str, device: torch.device
) -> RuntimeError:
    """The error that says that not even a small thing fits into a device's memory."""
    return RuntimeError(
        f"not even {what} fits into the memory of {device} with {name} in {precision}: "
        "end what else uses that memory, choose a smaller backbone, or device='cpu'"
    )
