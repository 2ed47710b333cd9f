"""The backbone: loading, encoding, errors."""

import logging
import pathlib
import threading

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch
from PIL import Image

from detail_embed.backbone import Backbone, bundled_model
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.backbone.devices import resolve_device
from detail_embed.backbone.weights import check_trained
from detail_embed.cover.patches import PatchSpec
from tests.tiny import TINY, register_tiny, tiny_checkpoint


def test_shapes_types_and_unit_length(backbone):
    patches = torch.randint(0, 255, (5, 3, 32, 32), dtype=torch.uint8)
    images = backbone.encode_patches(patches)
    texts = backbone.encode_texts(["a dog", "a red metal cube"])
    assert images.shape == (5, backbone.dim) and texts.shape == (2, backbone.dim)
    for features in (images, texts):
        assert features.dtype == torch.float32
        assert torch.allclose(features.norm(dim=1), torch.ones(len(features)))


def test_encodes_what_open_clip_encodes(backbone, tmp_path):
    torch.manual_seed(0)
    model, _, preprocess = open_clip.create_model_and_transforms(
        register_tiny(tmp_path)
    )
    model.eval()
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    with torch.no_grad():
        wanted = model.encode_image(
            preprocess(Image.fromarray(pixels))[None], normalize=True
        )
        words = open_clip.get_tokenizer(TINY)(["a dog"])
        wanted_text = model.encode_text(words, normalize=True)
    patches = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    assert torch.allclose(backbone.encode_patches(patches), wanted, atol=1e-5)
    assert torch.allclose(backbone.encode_texts(["a dog"]), wanted_text, atol=1e-5)


def test_bytes_and_floats_agree(backbone):
    patches = torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8)
    same = backbone.encode_patches(patches.float() / 255)
    assert torch.allclose(backbone.encode_patches(patches), same, atol=1e-6)


def test_other_sizes_are_resized(backbone):
    large = torch.full((2, 3, 90, 50), 128, dtype=torch.uint8)
    plain = torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    assert torch.allclose(
        backbone.encode_patches(large), backbone.encode_patches(plain), atol=1e-5
    )


def test_batches_change_nothing(backbone):
    patches = torch.randint(0, 255, (9, 3, 32, 32), dtype=torch.uint8)
    assert torch.allclose(
        backbone.encode_patches(patches, batch_size=2),
        backbone.encode_patches(patches), atol=1e-6,
    )


def test_nothing_to_encode(backbone):
    none = torch.zeros(0, 3, 32, 32, dtype=torch.uint8)
    assert backbone.encode_patches(none).shape == (0, backbone.dim)
    assert backbone.encode_texts([]).shape == (0, backbone.dim)


def test_weights_hash_follows_the_weights(backbone, tmp_path):
    same, other = (
        Backbone.load(TINY, tiny_checkpoint(tmp_path, seed)) for seed in (0, 1)
    )
    assert same.weights_hash == backbone.weights_hash != other.weights_hash
    assert len(same.weights_hash) == 12
    assert same.slug == f"{TINY}-{same.weights_hash}"
    assert backbone.slug == f"{TINY}-random-{same.weights_hash}"
    assert not same.is_random and backbone.is_random


def test_random_weights_are_the_same_every_time(backbone, tmp_path):
    torch.manual_seed(123)
    again = Backbone.load(register_tiny(tmp_path))
    assert again.weights_hash == backbone.weights_hash
    state = torch.get_rng_state()
    Backbone.load(TINY)
    assert torch.equal(torch.get_rng_state(), state)


def test_results_can_be_trained_on(backbone):
    patches = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    for features in (backbone.encode_patches(patches), backbone.encode_texts(["a"])):
        assert not features.is_inference()


def test_threads_share_a_backbone(backbone):
    patches = torch.randint(0, 255, (6, 3, 32, 32), dtype=torch.uint8)
    wanted = backbone.encode_patches(patches), backbone.encode_texts(["a dog"])
    found = []

    def work():
        for _ in range(5):
            found.append(
                (backbone.encode_patches(patches), backbone.encode_texts(["a dog"]))
            )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert all(
        torch.allclose(a, b, atol=1e-6)
        for pair in found for a, b in zip(pair, wanted)
    )


@pytest.mark.parametrize(
    "name, size, mode, interpolation, mean",
    [
        ("ViT-B-32", 224, "shortest", "bicubic", 0.48145466),
        ("ViT-B-16-SigLIP", 224, "squash", "bicubic", 0.5),
        ("MobileCLIP2-S0", 256, "shortest", "bilinear", 0.0),
    ],
)
@pytest.mark.slow
def test_stock_models_with_their_quirks(name, size, mode, interpolation, mean):
    backbone = Backbone.load(name, device="cpu")
    assert backbone.patch_spec == PatchSpec(size, interpolation, mode)
    assert backbone._mean.flatten()[0].item() == pytest.approx(mean)
    patches = torch.randint(0, 255, (1, 3, size, size), dtype=torch.uint8)
    assert backbone.encode_patches(patches).shape == (1, backbone.dim)


def test_a_file_is_prepared_as_the_tags_are(tmp_path, monkeypatch):
    name = register_tiny(tmp_path)
    monkeypatch.setitem(
        open_clip.pretrained._PRETRAINED, name,
        {"web": {"mean": (0.5, 0.4, 0.3), "std": (0.5,) * 3, "resize_mode": "squash"}},
    )
    backbone = Backbone.load(name, tiny_checkpoint(tmp_path))
    assert backbone.patch_spec.resize_mode == "squash"
    assert backbone._mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])


def test_a_tag_brings_its_activation(tmp_path, monkeypatch):
    """open_clip only warns where config and weights differ in QuickGELU."""
    name, file = register_tiny(tmp_path), tiny_checkpoint(tmp_path)
    tags = {"fast": {"quick_gelu": True, "file": str(file)},
            "exact": {"file": str(file)}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, tags)
    fast, exact = (Backbone.load(name, tag) for tag in tags)
    model = open_clip.create_model(name, str(file), force_quick_gelu=True).eval()
    words = open_clip.get_tokenizer(name)(["a dog"])
    with torch.no_grad():
        wanted = model.encode_text(words, normalize=True)
    assert torch.allclose(fast.encode_texts(["a dog"]), wanted, atol=1e-6)
    assert not torch.allclose(exact.encode_texts(["a dog"]), wanted, atol=1e-6)
    assert fast.slug == f"{name}-fast-{fast.weights_hash}"


def test_unknown_name_lists_near_matches():
    with pytest.raises(ValueError, match="ViT-B-32"):
        Backbone.load("vit_b32")
    with pytest.raises(ValueError, match="detail-demo"):
        Backbone.load("detail_dem")


def test_random_weights_are_warned_of(tmp_path, caplog):
    assert Backbone.load(register_tiny(tmp_path)).is_random
    assert "random" in caplog.text


def test_a_model_without_weights_is_told_from_one_with(tmp_path):
    name = register_tiny(tmp_path)
    with pytest.raises(ValueError, match="pretrained"):
        check_trained(name, None)
    with pytest.raises(ValueError, match="laion2b_s34b_b79k"):
        check_trained("ViT-B-32", None)
    with pytest.raises(ValueError, match="ViT-B-32"):
        check_trained("vit_b32", None)
    check_trained("ViT-B-32", "laion2b_s34b_b79k")
    check_trained(DEMO, None)


def test_unknown_tag_lists_the_tags():
    with pytest.raises(ValueError, match="laion2b_s34b_b79k"):
        Backbone.load("ViT-B-32", "laion2b")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No hub, and nothing of it kept from earlier."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def test_a_tag_that_cannot_be_downloaded_says_what_to_do(offline):
    with pytest.raises(RuntimeError, match="could not be downloaded.*file's path"):
        Backbone.load("ViT-B-32", "laion2b_s34b_b79k")


def test_images_do_without_a_tokenizer_from_a_hub(offline, tmp_path):
    text = {"context_length": 12, "vocab_size": 100, "width": 16, "heads": 2,
            "layers": 1, "hf_tokenizer_name": "no-one/no-tokenizer"}
    name = register_tiny(tmp_path, "detail-test-hub", text_cfg=text)
    backbone = Backbone.load(name)
    patches = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    assert backbone.encode_patches(patches).shape == (1, 16)
    with pytest.raises(RuntimeError, match=f"the tokenizer of {name}"):
        backbone.encode_texts(["a dog"])


def test_missing_file_and_wrong_file(tmp_path):
    name = register_tiny(tmp_path)
    with pytest.raises(ValueError, match="no checkpoint file.*gone.pt"):
        Backbone.load(name, tmp_path / "gone.pt")
    with pytest.raises(ValueError, match="is a folder"):
        Backbone.load(name, tmp_path)
    text = tmp_path / "notes.pt"
    text.write_text("not a checkpoint")
    with pytest.raises(ValueError, match="notes.pt.*is not a checkpoint"):
        Backbone.load(name, text)
    wider = register_tiny(tmp_path, "detail-test-wide", embed_dim=24)
    with pytest.raises(ValueError, match=f"not a checkpoint of {wider}.*size mismatch"):
        Backbone.load(wider, tiny_checkpoint(tmp_path))


def test_a_checkpoint_of_another_size_is_refused(tmp_path):
    """open_clip would stretch its position embeddings."""
    vision = {"image_size": 64, "layers": 1, "width": 32, "patch_size": 8,
              "head_width": 16}
    larger = register_tiny(tmp_path, "detail-test-larger", vision_cfg=vision)
    shapes = r"visual.positional_embedding is \(17, 32\).*\(65, 32\)"
    with pytest.raises(ValueError, match=shapes):
        Backbone.load(larger, tiny_checkpoint(tmp_path))
    text = {"context_length": 9, "vocab_size": 49408, "width": 16, "heads": 2,
            "layers": 1}
    for custom in (False, True):
        shorter = register_tiny(
            tmp_path, f"detail-test-shorter-{custom}", text_cfg=text,
            custom_text=custom,
        )
        with pytest.raises(ValueError, match=r"\(12, 16\).*\(9, 16\)"):
            Backbone.load(shorter, tiny_checkpoint(tmp_path))


def test_checkpoints_as_training_writes_them(backbone, tmp_path):
    weights = torch.load(tiny_checkpoint(tmp_path))
    wrapped = {f"module.{name}": tensor for name, tensor in weights.items()}
    wrapped["module.logit_scale"] = weights["logit_scale"].reshape(1)
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "epoch_3.pt")
    found = Backbone.load(TINY, tmp_path / "epoch_3.pt")
    assert found.weights_hash == backbone.weights_hash
    safetensors.torch.save_file(weights, tmp_path / "a.safetensors")
    found = Backbone.load(TINY, tmp_path / "a.safetensors")
    assert found.weights_hash == backbone.weights_hash
    custom = register_tiny(tmp_path, "detail-test-custom", custom_text=True)
    assert not Backbone.load(custom, tmp_path / "epoch_3.pt").is_random


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    weights = torch.load(tiny_checkpoint(tmp_path))
    weights["visual.proj"][0, 0] = value
    torch.save(weights, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="NaN or infinite in 1 tensors.*visual.proj"):
        Backbone.load(TINY, tmp_path / "bad.pt")


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "HTML"),
        (b"<?xml version='1.0'?>", "HTML or XML"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"import torch\n\nprint(torch.zeros(3))\n", "no file of torch.save"),
    ],
)
@pytest.mark.parametrize("suffix", ["pt", "safetensors", "py"])
def test_files_that_are_no_checkpoints(tmp_path, content, reason, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        Backbone.load(register_tiny(tmp_path), path)
    assert "weights_only" not in str(caught.value)


def test_files_with_other_things_than_weights(tmp_path):
    name = register_tiny(tmp_path)
    for content in ([torch.zeros(3)], {}, {"state_dict": {"epoch": 3}}):
        torch.save(content, tmp_path / "a.pt")
        with pytest.raises(ValueError, match="holds no weights by name"):
            Backbone.load(name, tmp_path / "a.pt")
    torch.save({"state_dict": pathlib.PurePosixPath("a")}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="Python objects.*state dict alone"):
        Backbone.load(name, tmp_path / "a.pt")


def test_a_hub_that_cannot_be_reached_says_what_to_do(offline):
    with pytest.raises(RuntimeError, match="not be downloaded.*local-dir:"):
        Backbone.load("hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K")


def test_a_local_folder_without_weights_is_named(tmp_path):
    with pytest.raises(ValueError, match="no model with weights.*config"):
        Backbone.load(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("device", ["meta", "mps", "xpu", "hpu"])
def test_devices_that_are_not_there(device):
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match=f"{device}.*choose cpu"):
        resolve_device(device)


def test_device_and_precision_are_checked(tmp_path):
    name = register_tiny(tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="cuda.*0 CUDA devices"):
            Backbone.load(name, device="cuda")
        assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="'gpu'"):
        Backbone.load(name, device="gpu")
    with pytest.raises(ValueError, match="int3"):
        Backbone.load(name, precision="int3")


def test_bad_patches_are_named(backbone):
    with pytest.raises(ValueError, match=r"\(3, 32, 32\)"):
        backbone.encode_patches(torch.zeros(3, 32, 32))
    with pytest.raises(ValueError, match="int64"):
        backbone.encode_patches(torch.zeros(1, 3, 32, 32, dtype=torch.int64))
    for value in (255.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="give 0 to 1"):
            backbone.encode_patches(torch.full((1, 3, 32, 32), value))


def test_bad_and_endless_texts(backbone, caplog):
    with pytest.raises(ValueError, match="text 1 is empty"):
        backbone.encode_texts(["a dog", "  "])
    with pytest.raises(TypeError, match="list"):
        backbone.encode_texts("a dog")
    with caplog.at_level(logging.WARNING):
        features = backbone.encode_texts(["dog " * 2500])
    assert features.shape == (1, backbone.dim)
    assert "1 of 1 texts are longer than the 12 tokens" in caplog.text


@pytest.mark.parametrize("words, is_cut", [(10, False), (11, True)])
def test_only_texts_that_are_cut_are_warned_of(backbone, caplog, words, is_cut):
    with caplog.at_level(logging.WARNING):
        backbone.encode_texts(["dog " * words, "a cat"])
    assert bool(caplog.records) == is_cut


def test_bf16_is_close(backbone):
    half = Backbone.load(TINY, device="cpu", precision="bf16")
    assert half.slug == backbone.slug
    patches = torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8)
    cosine = (half.encode_patches(patches) * backbone.encode_patches(patches)).sum(1)
    assert half.encode_patches(patches).dtype == torch.float32
    assert cosine.min() > 0.999
    texts = ["a cat", "a dog"]
    cosine = (half.encode_texts(texts) * backbone.encode_texts(texts)).sum(1)
    assert half.encode_texts(texts).dtype == torch.float32
    assert cosine.min() > 0.999


def test_a_copy_on_another_device(backbone):
    there = torch.device("meta")
    copied = backbone.on(there)
    assert copied.device == there and backbone.on(there) is copied
    assert copied.slug == backbone.slug
    patches = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert copied.encode_patches(patches).device == there
    assert backbone.on(backbone.device) is backbone
    assert backbone.encode_patches(patches).device == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.device_count() < 1, reason="needs a GPU")
def test_cuda_without_a_number_is_all_gpus(tmp_path):
    name = register_tiny(tmp_path)
    devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    assert Backbone.load(name, device="cuda").devices == tuple(devices)
    assert Backbone.load(name, device="cuda").device == devices[0]
    assert Backbone.load(name, device=str(devices[-1])).devices == (devices[-1],)


@pytest.mark.skipif(
    not bundled_model.WEIGHTS.is_file(), reason="demo weights not trained"
)
def test_the_demo_model_brings_its_weights():
    backbone = Backbone.load(DEMO)
    assert not backbone.is_random and backbone.pretrained is None
    assert backbone.slug == f"detail-demo-{backbone.weights_hash}"
    assert backbone.slug == Backbone.load(DEMO, bundled_model.WEIGHTS).slug
    assert backbone.input_size == 64


def test_the_demo_model_without_its_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(bundled_model, "WEIGHTS", tmp_path / "lost.safetensors")
    with pytest.raises(ValueError, match="no checkpoint file.*lost.safetensors"):
        Backbone.load(DEMO)
