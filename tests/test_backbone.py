"""The backbone: loading, encoding, errors."""

import logging

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from detail_embed import demo
from detail_embed.backbone import Backbone, resolve_device
from tests.tiny import TINY, register_tiny, tiny_backbone, tiny_checkpoint


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return tiny_backbone(tmp_path_factory.mktemp("tiny"))


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
    assert same.slug == f"{TINY}-tiny-0-{same.weights_hash}"
    assert not same.is_random and backbone.is_random
    assert "random" in backbone.slug


@pytest.mark.parametrize(
    "name, size, mode, mean",
    [
        ("ViT-B-32", 224, "shortest", 0.48145466),
        ("ViT-B-16-SigLIP", 224, "squash", 0.5),
        ("MobileCLIP2-S0", 256, "shortest", 0.0),
    ],
)
def test_stock_models_with_their_quirks(name, size, mode, mean):
    tag = open_clip.list_pretrained_tags_by_model(name)[0]
    cfg = open_clip.get_pretrained_cfg(name, tag)
    torch.manual_seed(0)
    backbone = Backbone.load(name, allow_random=True, device="cpu")
    # The quirks come with a pretrained tag: give them to the random model.
    model = backbone._model
    open_clip.model.set_model_preprocess_cfg(
        model, {**model.visual.preprocess_cfg, **{
            k: cfg[k] for k in ("mean", "std", "interpolation", "resize_mode")
            if cfg.get(k) is not None
        }},
    )
    backbone = Backbone(model, name, None, True, torch.device("cpu"), "fp32")
    assert backbone.input_size == size
    assert backbone.patch_spec.resize_mode == mode
    assert backbone._mean.flatten()[0].item() == pytest.approx(mean)
    patches = torch.randint(0, 255, (1, 3, size, size), dtype=torch.uint8)
    assert backbone.encode_patches(patches).shape == (1, backbone.dim)


def test_unknown_name_lists_near_matches():
    with pytest.raises(ValueError, match="ViT-B-32"):
        Backbone.load("vit_b32")


def test_random_weights_are_refused_unless_asked_for(tmp_path):
    name = register_tiny(tmp_path)
    with pytest.raises(ValueError, match="pretrained"):
        Backbone.load(name)
    assert Backbone.load(name, allow_random=True).is_random


def test_unknown_tag_lists_the_tags():
    with pytest.raises(ValueError, match="laion2b_s34b_b79k"):
        Backbone.load("ViT-B-32", "laion2b")


def test_a_tag_that_cannot_be_downloaded_says_what_to_do(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(open_clip.factory, "download_pretrained", refuse)
    with pytest.raises(RuntimeError, match="could not be downloaded.*file's path"):
        Backbone.load("ViT-B-32", "laion2b_s34b_b79k")


def test_missing_file_and_wrong_file(tmp_path):
    name = register_tiny(tmp_path)
    with pytest.raises(ValueError, match="no checkpoint file.*gone.pt"):
        Backbone.load(name, tmp_path / "gone.pt")
    text = tmp_path / "notes.pt"
    text.write_text("not a checkpoint")
    with pytest.raises(ValueError, match="notes.pt.*is not a checkpoint"):
        Backbone.load(name, text)
    wider = register_tiny(tmp_path, "detail-test-wide", embed_dim=24)
    with pytest.raises(ValueError, match=f"not a checkpoint of {wider}"):
        Backbone.load(wider, tiny_checkpoint(tmp_path))


def test_device_and_precision_are_checked(tmp_path):
    name = register_tiny(tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="cuda.*0 CUDA devices"):
            Backbone.load(name, allow_random=True, device="cuda")
        assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="'gpu'"):
        Backbone.load(name, allow_random=True, device="gpu")
    with pytest.raises(ValueError, match="int3"):
        Backbone.load(name, allow_random=True, precision="int3")


def test_bad_patches_are_named(backbone):
    with pytest.raises(ValueError, match=r"\(3, 32, 32\)"):
        backbone.encode_patches(torch.zeros(3, 32, 32))
    with pytest.raises(ValueError, match="int64"):
        backbone.encode_patches(torch.zeros(1, 3, 32, 32, dtype=torch.int64))


def test_bad_and_endless_texts(backbone, caplog):
    with pytest.raises(ValueError, match="text 1 is empty"):
        backbone.encode_texts(["a dog", "  "])
    with pytest.raises(TypeError, match="list"):
        backbone.encode_texts("a dog")
    with caplog.at_level(logging.WARNING):
        features = backbone.encode_texts(["dog " * 2500])
    assert features.shape == (1, backbone.dim)
    assert "10000 characters" in caplog.text


def test_bf16_is_close(backbone):
    half = Backbone(backbone._model, TINY, None, True, torch.device("cpu"), "bf16")
    patches = torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8)
    cosine = (half.encode_patches(patches) * backbone.encode_patches(patches)).sum(1)
    assert half.encode_patches(patches).dtype == torch.float32
    assert cosine.min() > 0.99


def test_the_demo_model_brings_its_weights():
    backbone = Backbone.load(demo.NAME)
    assert not backbone.is_random
    assert backbone.slug == f"detail-demo-{backbone.weights_hash}"
    assert backbone.input_size == 64
