"""Where towers look: against softmax and roll-out by hand, for each kind of tower."""

import math
import threading

import pytest
import torch

from detail_embed.backbone import Backbone
from detail_embed.backbone.attention_maps import (
    LAST,
    ROLLOUT,
    attention_maps,
    check_attention,
)
from detail_embed.backbone.bundled_model import NAME as DEMO
from tests.tiny import register_tiny

VISION = {
    "image_size": 32, "layers": 3, "width": 32, "patch_size": 8, "head_width": 16
}


def load(folder, name, **vision):
    config = vision if "timm_model_name" in vision else VISION | vision
    register_tiny(folder, name, vision_cfg=config)
    return Backbone.load(name, device="torch")


def patches_of(backbone, count=3, seed=0):
    torch.manual_seed(seed)
    size = backbone.input_size
    return torch.randint(0, 255, (count, 3, size, size), dtype=torch.uint8)


def prepared(backbone, patches):
    cfg = backbone.image_tower.preprocess_cfg
    mean, std = (torch.tensor(cfg[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    return (patches / 255 - mean) / std


def softmax(query, key, heads):
    """Mean over heads of softmax(q k^T / sqrt(d)), of ``(b, t, width)``."""
    total = 0
    for q, k in zip(query.chunk(heads, 2), key.chunk(heads, 2)):
        total += torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[2]), 2)
    return total / heads


def tokens_by_hand(backbone, patches):
    """Each block's attention, and the tokens that come out of the last one."""
    tower = backbone.image_tower
    x, found = tower._embeds(prepared(backbone, patches)), []
    for block in tower.transformer.resblocks:
        both = block.ln_1(x) @ block.attn.in_proj_weight.T + block.attn.in_proj_bias
        query, key, _ = both.chunk(3, dim=2)
        found.append(softmax(query, key, block.attn.num_heads))
        x = block(x)
    return found, x


def roll_out(layers):
    """By loops over tokens."""
    b, n, _ = layers[0].shape
    rolled = torch.eye(n).expand(b, n, n).clone()
    for weights in layers:
        new = torch.zeros(b, n, n)
        for i in range(n):
            row = 0.5 * weights[:, i] + 0.5 * torch.eye(n)[i]
            row = row / row.sum(1, keepdim=True)
            for j in range(n):
                new[:, i] += row[:, j : j + 1] * rolled[:, j]
        rolled = new
    return rolled


def close(found, wanted, side=4):
    torch.testing.assert_close(found, wanted.reshape(-1, side, side), atol=1e-5, rtol=0)


def test_the_class_token_of_a_vit(tmp_path):
    backbone = load(tmp_path, "attention-vit")
    patches = patches_of(backbone, 11)  # more than go through at once
    with torch.no_grad():
        layers, _ = tokens_by_hand(backbone, patches)
    found = attention_maps(backbone, patches)
    assert found.dtype == torch.float32 and found.shape == (11, 4, 4)
    last, rolled = layers[-1][:, 0, 1:], roll_out(layers)[:, 0, 1:]
    close(found, last)
    close(attention_maps(backbone, patches, ROLLOUT), rolled)
    assert not torch.allclose(last, rolled, atol=1e-3)


def test_the_mean_of_places(tmp_path):
    backbone = load(tmp_path, "attention-mean", pool_type="avg")
    patches = patches_of(backbone)
    with torch.no_grad():
        layers, _ = tokens_by_hand(backbone, patches)
    close(attention_maps(backbone, patches), layers[-1][:, 1:, 1:].mean(1))
    rolled = roll_out(layers)[:, 1:, 1:].mean(1)
    close(attention_maps(backbone, patches, ROLLOUT), rolled)


@pytest.mark.parametrize("pool", ["tok", "avg"])
def test_learned_queries(tmp_path, pool):
    backbone = load(
        tmp_path, f"attention-queries-{pool}", attentional_pool=True, pool_type=pool,
        attn_pooler_queries=5, attn_pooler_heads=2,
    )
    patches, pooler = patches_of(backbone), backbone.image_tower.attn_pool
    attn = pooler.attn
    with torch.no_grad():
        layers, x = tokens_by_hand(backbone, patches)
        query = pooler.ln_q(pooler.query)[None].expand(len(x), -1, -1)
        query = query @ attn.q_proj_weight.T + attn.in_proj_bias[:16]
        key = pooler.ln_k(x) @ attn.k_proj_weight.T + attn.in_proj_bias[16:32]
        weights = softmax(query, key, attn.num_heads)
    start = slice(1, None) if pool == "avg" else slice(0, 1)
    look = weights[:, start].mean(1, keepdim=True)
    close(attention_maps(backbone, patches), look[:, 0, 1:])
    rolled = (look @ roll_out(layers))[:, 0, 1:]
    close(attention_maps(backbone, patches, ROLLOUT), rolled)


def test_two_layers_that_pool(tmp_path):
    register_tiny(
        tmp_path, "attention-two", embed_dim=32,
        vision_cfg=VISION | {"attentional_pool": "parallel", "attn_pooler_heads": 2},
    )
    with pytest.raises(ValueError, match="attention-two has no attention"):
        check_attention(Backbone.load("attention-two", device="torch"))


def test_the_attention_pool_of_a_resnet():
    backbone = Backbone.load(DEMO, device="torch")
    patches, tower = patches_of(backbone), backbone.image_tower
    with torch.no_grad():
        x = tower.stem(prepared(backbone, patches))
        for layer in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
            x = layer(x)
        pool, x = tower.attnpool, x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + pool.positional_embedding
        wanted = softmax(pool.q_proj(x), pool.k_proj(x), pool.num_heads)
    close(attention_maps(backbone, patches), wanted[:, 0, 1:], side=2)
    with pytest.raises(ValueError, match="one layer of attention.*give way='last'"):
        attention_maps(backbone, patches, ROLLOUT)


def timm_by_hand(backbone, patches):
    trunk, layers = backbone.image_tower.trunk, []
    hooks = [
        block.attn.register_forward_hook(
            lambda module, inputs, _: layers.append(inputs[0])
        )
        for block in trunk.blocks
    ]
    tokens = trunk.forward_features(prepared(backbone, patches))
    for hook in hooks:
        hook.remove()
    found = []
    for block, x in zip(trunk.blocks, layers):
        query, key, _ = block.attn.qkv(x).chunk(3, 2)
        found.append(softmax(query, key, block.attn.num_heads))
    return found, tokens


@pytest.mark.parametrize(
    "model, pool", [("test_vit", "token"), ("test_vit", "avg"), ("test_vit3", "map")]
)
def test_towers_of_timm(tmp_path, model, pool):
    backbone = load(
        tmp_path, f"attention-{model}-{pool}", timm_model_name=model, timm_pool=pool,
        timm_proj="linear", image_size=160,
    )
    patches, trunk = patches_of(backbone), backbone.image_tower.trunk
    others = trunk.num_prefix_tokens
    with torch.no_grad():
        layers, x = timm_by_hand(backbone, patches)
        if pool == "map":
            attn = trunk.attn_pool
            query = attn.q(attn.latent).expand(len(x), -1, -1)
            look = softmax(query, attn.kv(x).chunk(2, 2)[0], attn.num_heads)
        else:
            start = slice(0, 1) if pool == "token" else slice(others, None)
            look = torch.zeros(len(x), 1, x.shape[1])
            look[:, :, start] = 1 / look[0, 0, start].numel()
    if pool == "map":
        last, rolled = look, look @ roll_out(layers)
    else:
        last, rolled = look @ layers[-1], look @ roll_out(layers)
    close(attention_maps(backbone, patches), last[:, 0, others:], side=10)
    close(attention_maps(backbone, patches, ROLLOUT), rolled[:, 0, others:], side=10)


def test_a_tower_without_attention(tmp_path):
    backbone = load(
        tmp_path, "attention-none", timm_model_name="test_resnet", timm_pool="avg",
        timm_proj="linear", image_size=64,
    )
    with pytest.raises(ValueError, match="attention-none has no attention.*choose a"):
        attention_maps(backbone, patches_of(backbone))


def test_an_unknown_way(tmp_path):
    backbone = load(tmp_path, "attention-way")
    with pytest.raises(ValueError, match="way='first': give 'last' or 'rollout'"):
        check_attention(backbone, "first")


def test_others_encode_as_before_meanwhile(tmp_path):
    backbone = load(tmp_path, "attention-threads")
    patches = patches_of(backbone, 64)
    wanted = backbone.encode_patches(patches)
    maps = attention_maps(backbone, patches)
    found, stop = [], threading.Event()

    def encode():
        while not stop.is_set():
            found.append(backbone.encode_patches(patches))

    thread = threading.Thread(target=encode)
    thread.start()
    for _ in range(5):
        assert torch.equal(attention_maps(backbone, patches, LAST), maps)
    stop.set()
    thread.join()
    assert found and all(torch.equal(each, wanted) for each in found)


def test_openvino_is_passed_by(tmp_path):
    pytest.importorskip("openvino")
    load(tmp_path, "attention-openvino")
    fast = Backbone.load("attention-openvino", device="openvino")
    slow = Backbone.load("attention-openvino", device="torch")
    patches = patches_of(slow)
    torch.testing.assert_close(
        attention_maps(fast, patches), attention_maps(slow, patches)
    )
