"""Devices: GPUs that are too old or of another kind, and copies between them."""

import logging

import pytest
import torch

from detail_embed.backbone import Backbone, backbone, devices
from detail_embed.backbone.devices import probe, resolve_device, wait_for, working
from tests.tiny import register_tiny

GPUS = [torch.device("cuda", number) for number in range(3)]
TOO_OLD = (
    "CUDA error: no kernel image is available for execution on the device\n"
    "CUDA kernel errors might be asynchronously reported at some other API call"
)


@pytest.fixture(autouse=True)
def nothing_was_said():
    devices._warn.cache_clear()


def probe_without(*broken):
    """What probes GPUs of which some cannot run a kernel."""

    def probe(device):
        if device.index in broken:
            raise RuntimeError(TOO_OLD)

    return probe


def test_the_cpu_passes_and_a_device_that_is_not_there_does_not():
    probe(torch.device("cpu"))
    for name in ("meta", "hpu"):
        with pytest.raises(Exception):  # noqa: B017  each has its own
            probe(torch.device(name))


@pytest.mark.parametrize("broken, left", [((), [0, 1, 2]), ((1,), [0, 2]),
                                          ((0,), [1, 2]), ((0, 1, 2), [])])
def test_gpus_that_run_nothing_are_left_out_by_name(caplog, broken, left):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = working(GPUS, probe_without(*broken), kind=lambda gpu: (9, 0))
    assert [gpu.index for gpu in found] == left
    assert [m.split()[0] for m in caplog.messages] == [f"cuda:{i}" for i in broken]
    assert all("no kernel image is available" in m for m in caplog.messages)
    assert not any("\n" in message for message in caplog.messages)


def test_gpus_of_another_kind_than_the_first_that_works_are_left_out(caplog):
    kinds = {0: (5, 0), 1: (9, 0), 2: (7, 5)}
    with caplog.at_level(logging.WARNING):
        found = working(GPUS, probe_without(0), kind=lambda gpu: kinds[gpu.index])
    assert found == (GPUS[1],)
    assert "cuda:2 is left out, it is of another kind than cuda:1" in caplog.messages


@pytest.fixture
def with_old_gpu(monkeypatch):
    """A machine with a GPU that this torch was not built for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def old(device):
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(devices, "probe", old)


def test_a_gpu_too_old_for_this_torch_leaves_the_cpu(with_old_gpu, caplog, tmp_path):
    with caplog.at_level(logging.WARNING):
        assert resolve_device("auto") == torch.device("cpu")
    assert any("the CPU computes" in message for message in caplog.messages)
    assert any("no kernel image" in message for message in caplog.messages)
    loaded = Backbone.load(register_tiny(tmp_path), device="auto")
    assert loaded.device.type == "cpu" and loaded.precision == "fp32"


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_too_old_that_was_asked_for_is_refused(with_old_gpu, name):
    with pytest.raises(ValueError, match="choose cpu or auto.*no kernel image"):
        resolve_device(name)


def test_a_model_is_there_before_a_copy_of_it_is_used(monkeypatch, tmp_path):
    loaded = Backbone.load(register_tiny(tmp_path), device="cpu")
    waited = []
    monkeypatch.setattr(backbone, "wait_for", waited.append)
    loaded.on(torch.device("meta"))
    assert waited == [torch.device("meta")]


def test_a_gpu_is_waited_for_as_a_whole(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    wait_for(torch.device("cpu"))
    wait_for(GPUS[1])
    assert waited == [GPUS[1]]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_copy_on_a_busy_gpu_encodes_the_same_on_any_stream(tmp_path):
    loaded = Backbone.load(register_tiny(tmp_path), device="cuda:0", precision="fp32")
    patches = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    wanted = loaded.encode_patches(patches).cpu()
    torch.cuda._sleep(10**9)  # the copy is behind it
    there = loaded.on(torch.device("cuda:1"))
    with torch.cuda.stream(torch.cuda.Stream("cuda:1")):
        found = there.encode_patches(patches).cpu()
    assert torch.allclose(found, wanted, atol=1e-4)
