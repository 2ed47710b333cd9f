"""What is special about fusers with parameters."""

import pytest
import torch
from torch.nn import functional as F

from detail_embed import fusers
from detail_embed.fusers import FitSample
from detail_embed.fusers.transformer import SIZES
from detail_embed.training import fit

D = 24


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator) + 0.5, dim=-1)


@pytest.fixture(scope="module")
def images():
    return unit(12, 7, D, seed=1)


@pytest.fixture(scope="module")
def proxies():
    return unit(40, D, seed=2)


@pytest.fixture(scope="module")
def boxes():
    """``(12, 7, 4)`` boxes as fractions, the first the whole image."""
    low = torch.rand(12, 7, 2, generator=torch.manual_seed(3)) / 2
    boxes = torch.cat([low, low + 0.3], dim=2)
    boxes[:, 0] = torch.tensor([0.0, 0, 1, 1])
    return boxes


@pytest.fixture(scope="module")
def attention(images, proxies):
    """Fitted, and with values that are no longer zero."""
    fuser = fusers.create("attention", D)
    fit(fuser, FitSample.of_images(images, None, proxies))
    torch.manual_seed(0)
    torch.nn.init.normal_(fuser.value.weight, std=0.1)
    torch.nn.init.normal_(fuser.direct.weight, std=0.1)
    return fuser


@pytest.fixture(scope="module")
def transformer(images, proxies):
    return fit(
        fusers.create("transformer", D), FitSample.of_images(images, None, proxies)
    )


@pytest.mark.parametrize(
    "size, millions", [("tiny", 22.07), ("small", 44.14), ("base", 88.28)]
)
def test_transformer_has_the_size_of_the_papers(size, millions):
    with torch.device("meta"):
        fuser = fusers.create("transformer", 512, size=size)
    count = sum(parameter.numel() for parameter in fuser.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.01)


def test_transformer_does_not_depend_on_the_order_of_patches(transformer, images):
    shuffled = images[:, [0, 4, 2, 6, 1, 5, 3]]
    torch.testing.assert_close(
        transformer(shuffled), transformer(images), atol=1e-5, rtol=1e-4
    )


def test_transformer_asks_with_the_whole_image(transformer, images):
    other = images.clone()
    other[:, [0, 1]] = images[:, [1, 0]]
    assert (transformer(other) - transformer(images)).abs().max() > 1e-3


def test_transformer_options():
    with pytest.raises(ValueError, match="size must be one of"):
        fusers.create("transformer", D, size="huge")
    with pytest.raises(ValueError, match="dim=25 cannot be shared by the 2 heads"):
        fusers.create("transformer", 25)
    assert list(SIZES) == ["tiny", "small", "base"]


def test_gradients_reach_every_parameter(transformer, attention, images, boxes):
    for fuser in (transformer, attention):
        fuser.zero_grad()
        fuser(images, boxes=boxes)[:, 0].sum().backward()
        without = [
            name
            for name, parameter in fuser.named_parameters()
            if parameter.grad is None or not parameter.grad.abs().any()
        ]
        assert [name for name in without if not name.endswith("bias")] == []


def test_attention_is_the_closed_form_at_first(images, proxies):
    fuser = fusers.create("attention", D)
    fuser.prepare(images, torch.ones(12, 7, dtype=torch.bool), proxies)
    fuser.epochs_trained = torch.zeros(1)
    torch.testing.assert_close(fuser(images), fuser.base(images))


def test_attention_follows_its_formula(attention, images, boxes):
    weights = attention.patch_weights(images, boxes=boxes)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(12))
    u = (images - attention.mean) @ attention.whitening
    _, _, hidden = attention._weigh(images, torch.ones(12, 7, dtype=torch.bool), boxes)
    learned = torch.zeros(12, D)
    for p in range(7):
        value = attention.direct(u[:, p]) + attention.value(hidden[:, p])
        learned = learned + weights[:, p : p + 1] * value
    vector = attention.base(images) + learned @ attention.text_whitening
    expected = F.normalize(vector, dim=1)
    torch.testing.assert_close(attention(images, boxes=boxes), expected)


def test_attention_learns_where_texts_differ(images, proxies):
    """``H`` is ``(T^T T + lam m I)^-1/2``, of norm ``sqrt(d) / 4``."""
    attention = fusers.create("attention", D)
    attention.prepare(images, torch.ones(12, 7, dtype=torch.bool), proxies)
    texts = proxies.double()
    gram = texts.T @ texts
    regular = gram + 1e-3 * gram.trace() / D * torch.eye(D)
    root = attention.text_whitening.double()
    inverse = torch.linalg.inv(regular)
    scale = root.norm() ** 2 / inverse.trace()
    torch.testing.assert_close(root @ root, scale * inverse, rtol=1e-3, atol=1e-5)
    assert root.norm().item() == pytest.approx(D**0.5 / 4)


def test_attention_sees_where_a_patch_lies(attention, images, boxes):
    there = attention(images, boxes=boxes)
    elsewhere = boxes.clone()
    elsewhere[:, 3] = elsewhere[:, 3] / 2
    assert (attention(images, boxes=elsewhere) - there).abs().max() > 1e-5
    assert (attention(images) - there).abs().max() > 1e-5
    with pytest.raises(ValueError, match=r"boxes: shape \(12, 7, 4\) expected"):
        attention(images, boxes=boxes[:, :3])


def test_others_take_boxes_and_do_not_mind(images, boxes):
    fuser = fusers.create("mean", D)
    assert torch.equal(fuser(images, boxes=boxes), fuser(images))


@pytest.mark.parametrize("option", [{"hidden": 0}, {"heads": "four"}])
def test_attention_options(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        fusers.create("attention", D, **option)


def test_a_fuser_of_another_size_is_not_loaded(transformer, tmp_path):
    transformer.save(tmp_path)
    config = (tmp_path / "fuser.json").read_text()
    (tmp_path / "fuser.json").write_text(config.replace("tiny", "small"))
    with pytest.raises(ValueError, match="not of a 'transformer' fuser"):
        fusers.load(tmp_path)


@pytest.mark.parametrize("name", ["attention", "transformer"])
def test_bad_fits(name, images, proxies):
    fuser = fusers.create(name, D)
    for arguments, message in [
        ({"images": images}, "needs proxies"),
        ({"proxies": proxies}, "needs images"),
        ({"proxies": proxies[:2], "images": images}, "held-out words: at least 2"),
        ({"proxies": proxies, "images": images[:5]}, "5 images are too few"),
        ({"proxies": proxies * torch.nan, "images": images}, "proxies: NaN"),
        ({"proxies": proxies, "images": images / 0}, "hold NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit(fuser, FitSample(**arguments))
    assert not fuser.is_fitted


@pytest.mark.parametrize("name", ["attention", "transformer"])
def test_a_trained_fuser_says_what_trains_it(name, images, proxies):
    with pytest.raises(NotImplementedError, match="detail_embed.training.fit"):
        fusers.create(name, D).fit(FitSample.of_images(images, None, proxies))
