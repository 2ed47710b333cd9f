"""LoRA in every attention of open_clip: nothing at the start, then learned, merged."""

import open_clip
import pytest
import torch

from detail_embed.adapt.lora import add_lora, weights_of
from detail_embed.adapt.trainable import choose, depths
from detail_embed.backbone.weights import create_model
from tests.tiny import register_tiny

TIMM = {
    "embed_dim": 16,
    "vision_cfg": {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "avg",
                   "timm_proj": "linear", "image_size": 224},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16,
                 "heads": 2, "layers": 1},
}


@pytest.fixture(params=["detail-demo", "tiny-lora", "timm-lora"])
def model(request, tmp_path):
    """A ModifiedResNet with an attention pool, a ViT of open_clip and one of timm."""
    changes = TIMM if request.param == "timm-lora" else {}
    if request.param != "detail-demo":
        register_tiny(tmp_path, request.param, **changes)
    return create_model(request.param, None)[0].eval()


def features(model):
    size = model.visual.preprocess_cfg["size"]
    side = size if isinstance(size, int) else size[0]
    images = torch.rand(2, 3, side, side, generator=torch.manual_seed(0))
    texts = torch.zeros(2, 12, dtype=torch.long)
    texts[:, :4] = torch.tensor([[49406, 320, 2368, 49407], [49406, 320, 1929, 49407]])
    length = getattr(model, "context_length", 12)
    texts = torch.nn.functional.pad(texts, (0, length - 12))
    return torch.cat([model.encode_image(images), model.encode_text(texts)])


def test_it_starts_as_the_model_learns_everywhere_and_is_merged(model):
    names = set(model.state_dict())
    before = features(model).detach()
    added = add_lora(model, 2)
    torch.testing.assert_close(features(model), before)
    features(model).square().sum().backward()
    ups = {name: value for name, value in added.items() if name.endswith(".up")}
    values = [name for name, up in ups.items() if up.grad is None or not up.grad.any()]
    assert not values
    with torch.no_grad():
        for up in ups.values():
            up.normal_(std=0.1)
    changed = features(model).detach()
    assert (changed - before).abs().max() > 1e-3
    merged = weights_of(model)
    assert set(merged) == names
    for module in model.modules():
        for name in list(getattr(module, "parametrizations", {})):
            torch.nn.utils.parametrize.remove_parametrizations(module, name)
    model.load_state_dict(merged)
    torch.testing.assert_close(features(model), changed)


def test_both_towers_have_it(model):
    added = add_lora(model, 4)
    assert any(name.startswith("visual.") for name in added)
    assert any(not name.startswith("visual.") for name in added)


def test_a_model_without_attention_names_the_way_out():
    with pytest.raises(ValueError, match="no attention.*'heads' or 'full'"):
        add_lora(torch.nn.Linear(3, 3), 2)


def test_the_rate_falls_towards_the_input(model):
    found = depths(name for name, _ in model.named_parameters())
    assert "logit_scale" not in found
    for is_image in (True, False):
        tower = {
            name: depth for name, depth in found.items()
            if name.startswith("visual.") == is_image
        }
        assert set(tower.values()) == set(range(max(tower.values()) + 1))
    chosen, groups = choose(model, "full", 4, 1e-3, 0.01)
    assert len(chosen) == len(found)
    assert max(group["scale"] for group in groups) == 1
    assert not model.logit_scale.requires_grad


def test_heads_and_last_blocks(model):
    chosen, _ = choose(model, "heads", 4, 1e-3, 0.01)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == set(chosen) and 0 < len(trained) < len(list(model.parameters()))


@pytest.mark.parametrize(("name", "last"), [
    ("ViT-B-32", "visual.transformer.resblocks.11.attn.in_proj_weight"),
    ("RN50", "visual.layer4.2.conv3.weight"),
    ("convnext_base", "visual.trunk.stages.3.blocks.2.conv_dw.weight"),
    ("ViT-B-16-SigLIP", "visual.trunk.blocks.11.attn.qkv.weight"),
])
def test_depths_of_the_architectures_that_people_use(name, last):
    with torch.device("meta"):
        model = open_clip.create_model(name, device="meta")
    found = depths(n for n, _ in model.named_parameters())
    assert found[last] == 1
    heads = {n for n, depth in found.items() if depth == 0}
    assert any(n.startswith("visual.") for n in heads)
    assert any(not n.startswith("visual.") for n in heads)
