"""Memory that is lacking is known by what torch and its libraries say."""

import functools

import pytest
import torch

from detail_embed.backbone.memory import is_out_of_memory, release

ACCELERATOR = getattr(torch, "AcceleratorError", RuntimeError)  # since torch 2.8


def out_of_memory_errors():
    """Errors of all kinds that say so, in the words of torch and its libraries."""
    errors = [
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total "
            "capacity of 79.11 GiB of which 9.12 MiB is free."
        ),
        RuntimeError(
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
        ),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError(
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"
        ),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError(
            "MPS backend out of memory (MPS allocated: 8.93 GB, other allocations: "
            "9.09 GB, max allowed: 18.13 GB). Tried to allocate 256.00 MB"
        ),
        ACCELERATOR(
            "CUDA error: out of memory\nCUDA kernel errors might be asynchronously "
            "reported at some other API call"
        ),
    ]
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return [*errors, RuntimeError(str(caught.value))]


@pytest.mark.parametrize("error", out_of_memory_errors(), ids=str)
def test_all_that_say_so_are_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [
    RuntimeError("out of memory"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: no kernel image is available for execution"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"),
    ACCELERATOR("CUDA error: device-side assert triggered"),
    ValueError("CUDA out of memory"),
])
def test_others_are_not(error):
    assert not is_out_of_memory(error)


def test_memory_is_given_back_by_those_devices_that_keep_some(monkeypatch):
    given = []
    for name in ("cuda", "mps", "xpu"):
        monkeypatch.setattr(
            getattr(torch, name), "empty_cache", functools.partial(given.append, name)
        )
        release(torch.device(name))
    release(torch.device("cpu"))
    release(torch.device("meta"))
    assert given == ["cuda", "mps", "xpu"]
