"""The image tower by OpenVINO: the same features as torch's."""

import threading

import pytest
import torch

from detail_embed.backbone import Backbone, openvino_tower
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.engine.stream import stream
from detail_embed.fusers import create
from tests.tiny import register_tiny, tiny_checkpoint, write_images

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def backbones():
    """The demo backbone by torch and by OpenVINO."""
    return Backbone.load(DEMO, device="cpu"), Backbone.load(
        DEMO, device="openvino"
    )


def patches(backbone, count, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shape = (count, 3, backbone.input_size, backbone.input_size)
    return torch.randint(0, 255, shape, dtype=torch.uint8, generator=rng)


@pytest.mark.parametrize("count", [0, 1, 5, 70])
def test_the_same_features(backbones, count):
    plain, fast = backbones
    some = patches(plain, count)
    found = fast.encode_patches(some)
    assert found.shape == (count, plain.dim) and found.dtype == torch.float32
    torch.testing.assert_close(found, plain.encode_patches(some), atol=1e-5, rtol=0)
    assert torch.equal(found, fast.encode_patches(some))


def test_the_same_space(backbones):
    plain, fast = backbones
    assert (fast.slug, fast.dim, fast.device) == (plain.slug, plain.dim, plain.device)
    words = ["a red metal cube", "fish"]
    assert torch.equal(fast.encode_texts(words), plain.encode_texts(words))


def test_a_vision_transformer(tmp_path):
    name, file = register_tiny(tmp_path), tiny_checkpoint(tmp_path)
    plain = Backbone.load(name, file, device="cpu")
    fast = Backbone.load(name, file, device="openvino")
    some = patches(plain, 9)
    torch.testing.assert_close(
        fast.encode_patches(some), plain.encode_patches(some), atol=1e-5, rtol=0
    )


def test_bf16_is_close(backbones):
    plain = backbones[0]
    fast = Backbone.load(DEMO, device="openvino", precision="bf16")
    some = patches(plain, 20)
    cosines = (fast.encode_patches(some) * plain.encode_patches(some)).sum(dim=1)
    assert cosines.min() >= 0.999


def test_floats_and_other_sizes(backbones):
    plain, fast = backbones
    some = patches(plain, 3)
    for other in (some.float() / 255, some[..., :40, :40]):
        torch.testing.assert_close(
            fast.encode_patches(other), plain.encode_patches(other), atol=1e-5, rtol=0
        )


def test_results_are_kept_when_others_are_made(backbones):
    fast = backbones[1]
    first = fast.encode_patches(patches(fast, 4))
    kept = first.clone()
    fast.encode_patches(patches(fast, 4, seed=1))
    assert torch.equal(first, kept)


def test_threads_share_it(backbones):
    fast = backbones[1]
    wanted = [fast.encode_patches(patches(fast, 6, seed)) for seed in range(4)]
    found = [None] * 4

    def encode(seed):
        for _ in range(5):
            found[seed] = fast.encode_patches(patches(fast, 6, seed))

    threads = [threading.Thread(target=encode, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(found, wanted))


def test_the_engine_makes_the_same_vectors(backbones, tmp_path):
    items = list(enumerate(write_images(tmp_path, [(90, 70)] * 6)))
    fuser = create("mean", backbones[0].dim)
    plain, fast = (
        next(stream(items, backbone, CompleteCover(3), fuser)) for backbone in backbones
    )
    assert fast.ids == plain.ids == list(range(6))
    torch.testing.assert_close(
        torch.from_numpy(fast.vectors), torch.from_numpy(plain.vectors),
        atol=1e-5, rtol=0,
    )


@pytest.mark.parametrize("cores, quota, wanted, streams", [
    (9, 4, 4, 4), (31, 64, 31, 1), (1, 2, 1, 1), (24, 64, 24, 8), (9, 64, 9, 3),
])
def test_it_has_the_threads_of_torch_within_the_quota(
    monkeypatch, backbones, cores, quota, wanted, streams
):
    """As on a machine of so many cores; what is asked of OpenVINO is looked at."""
    import openvino

    asked = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(openvino_tower, "within_quota", lambda n: min(n, quota))
    monkeypatch.setattr(
        openvino.Core, "compile_model", lambda *args: asked.append(args[-1])
    )
    openvino_tower.Compiled(None, "bf16")
    (options,) = asked
    assert options["INFERENCE_NUM_THREADS"] == wanted
    assert options["NUM_STREAMS"] == streams  # which leave no thread over
    assert options["INFERENCE_PRECISION_HINT"] == "bf16"
    assert options["ENABLE_CPU_PINNING"] is False


def test_a_process_that_is_bound_to_one_core_has_one_thread(bare_python):
    """By ``taskset``: neither engine has more threads than there are cores for it."""
    found = bare_python(
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import torch; print(torch.get_num_threads())", OMP_NUM_THREADS="",
    )
    assert found.stdout.strip() == "1", found.stderr


def test_what_it_does_not_have(monkeypatch):
    with pytest.raises(ValueError, match="'fp16': OpenVINO has fp32, bf16"):
        Backbone.load(DEMO, device="openvino", precision="fp16")
    monkeypatch.setattr(openvino_tower, "is_installed", lambda: False)
    with pytest.raises(ValueError, match="pip install openvino, or choose cpu"):
        Backbone.load(DEMO, device="openvino")
