"""The ways of a CPU: which can be meant, which is taken, and that texts stay exact."""

import json

import pytest
import torch

from detail_embed.backbone import Backbone, cpu_rates, cpu_ways, openvino_tower
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.backbone.weights import create_model
from tests.tiny import register_tiny

FOUR = ["torch fp32", "torch bf16", "openvino fp32", "openvino bf16"]


@pytest.fixture(autouse=True)
def own_machine(monkeypatch, tmp_path):
    """Nothing is pinned, nothing is known, and there is all."""
    monkeypatch.delenv(cpu_ways.VARIABLE, raising=False)
    monkeypatch.setenv("DETAIL_EMBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cpu_rates, "_known", {})
    monkeypatch.setattr(cpu_ways.OtherWork, "share", lambda self: 0.0)
    monkeypatch.setattr(cpu_ways, "has_bf16", lambda: True)
    monkeypatch.setattr(openvino_tower, "is_installed", lambda: True)


@pytest.mark.parametrize(
    "engine, precision, wanted",
    [
        (None, "auto", FOUR),
        (None, "fp32", ["torch fp32", "openvino fp32"]),
        (None, "bf16", ["torch bf16", "openvino bf16"]),
        (None, "fp16", ["torch fp16"]),
        ("torch", "auto", ["torch fp32", "torch bf16"]),
        ("openvino", "fp32", ["openvino fp32"]),
    ],
)
def test_what_can_be_meant(engine, precision, wanted):
    assert cpu_ways.candidates(engine, precision) == wanted


def test_without_instructions_or_package_less_is_tried(monkeypatch):
    monkeypatch.setattr(cpu_ways, "has_bf16", lambda: False)
    assert cpu_ways.candidates(None, "auto") == ["torch fp32", "openvino fp32"]
    monkeypatch.setattr(openvino_tower, "is_installed", lambda: False)
    assert cpu_ways.candidates(None, "auto") == ["torch fp32"]


def test_a_way_can_be_pinned(monkeypatch):
    monkeypatch.setenv(cpu_ways.VARIABLE, "torch bf16")
    assert cpu_ways.candidates(None, "auto") == ["torch bf16"]
    assert cpu_ways.candidates(None, "fp32") == ["torch fp32"]
    assert cpu_ways.candidates("openvino", "bf16") == ["openvino bf16"]
    assert cpu_ways.candidates("openvino", "auto") == ["openvino bf16"]
    monkeypatch.setenv(cpu_ways.VARIABLE, "fast")
    with pytest.raises(ValueError, match="DETAIL_EMBED_CPU_WAY='fast': give one of"):
        cpu_ways.candidates(None, "auto")


@pytest.mark.parametrize(
    "rates, wanted",
    [
        ((1, 1.6, 2.2, 4.5), "openvino bf16"),
        ((1, 4.0, 1.1, 3.0), "torch bf16"),
        ((1, 0.5, 1.1, 1.1), "torch fp32"),
        ((1, 0.5, 2.0, 2.2), "openvino fp32"),  # bf16 hardly pays
    ],
)
def test_the_fastest_is_taken_and_kept(monkeypatch, rates, wanted):
    rates, probes = dict(zip(FOUR, map(float, rates))), []

    def probe(visual, size, ways):
        probes.append(size)
        return rates

    monkeypatch.setattr(cpu_ways, "probe", probe)
    model, _ = create_model(DEMO, None)
    for _ in range(2):
        way = cpu_ways.choose(model, DEMO, None, "auto")
        assert (way.name, way.rates) == (wanted, rates)
        cpu_rates._known.clear()  # as another process
    assert probes == [64]


def test_what_a_busy_machine_showed_is_not_kept_for_others(monkeypatch):
    probes, rates = [], dict(zip(FOUR, (1.0, 0.7, 11.8, 4.7)))
    monkeypatch.setattr(cpu_ways, "probe", lambda *_: probes.append(1) or rates)
    monkeypatch.setattr(cpu_ways.OtherWork, "share", lambda self: 0.3)
    model, _ = create_model(DEMO, None)
    for _ in range(2):
        assert cpu_ways.choose(model, DEMO, None, "auto").name == "openvino fp32"
    assert len(probes) == 1 and not cpu_rates.path().exists()
    cpu_rates._known.clear()  # as another process
    cpu_ways.choose(model, DEMO, None, "auto")
    assert len(probes) == 2


def test_a_file_of_rates_that_cannot_be_read_is_no_harm(monkeypatch):
    path = cpu_rates.path()
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(cpu_ways, "probe", lambda *_: {"torch fp32": 1.0,
                                                        "torch bf16": 3.0})
    model, _ = create_model(DEMO, None)
    for bad in ("{", "[]", '{"a": 1}'):
        path.write_text(bad)
        cpu_rates._known.clear()
        way = cpu_ways.choose(model, DEMO, "torch", "auto")
        assert way.name == "torch bf16"
    assert json.loads(path.read_text())["a"] == 1


def test_a_small_tower_is_not_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(cpu_ways, "probe", lambda *_: pytest.fail("measured"))
    loaded = Backbone.load(register_tiny(tmp_path), device="auto")
    assert loaded.way.name == "torch fp32" and loaded.way.rates == {}


def test_what_fails_leaves_the_usual_way(monkeypatch):
    monkeypatch.setattr(openvino_tower, "convert", lambda *_: 1 / 0)
    model, _ = create_model(DEMO, None)
    assert cpu_ways.choose(model, DEMO, None, "fp32").name == "torch fp32"


def test_a_real_tower_is_measured():
    """The ways of torch, of a tower cut short, which works as a whole does."""
    model, _ = create_model(DEMO, None)
    short = cpu_ways.shortened(model.visual)
    assert short(torch.zeros(1, 3, 64, 64)).shape == (1, 256)
    rates = cpu_ways.probe(model.visual, 64, ["torch fp32", "torch bf16"])
    assert rates["torch fp32"] == 1 and rates["torch bf16"] > 0
    assert next(model.visual.parameters()).dtype == torch.float32


def test_blocks_that_are_alike_are_left_out(tmp_path):
    """Of a vision transformer of several layers one is left."""
    vision = {"image_size": 32, "layers": 5, "width": 32, "patch_size": 8,
              "head_width": 16}
    name = register_tiny(tmp_path, "tiny-of-five", vision_cfg=vision)
    visual = create_model(name, None)[0].visual.eval()
    short = cpu_ways.shortened(visual)
    assert len(short.transformer.resblocks) == 1
    assert len(visual.transformer.resblocks) == 5
    assert short(torch.zeros(1, 3, 32, 32)).shape == (1, 16)


def test_words_are_the_same_in_bf16(monkeypatch):
    exact = Backbone.load(DEMO, device="torch", precision="fp32")
    fast = Backbone.load(DEMO, device="torch", precision="bf16")
    assert (fast.precision, fast.text_precision) == ("bf16", "fp32")
    words = ["a red metal cube", "fish"]
    assert torch.equal(fast.encode_texts(words), exact.encode_texts(words))
    some = torch.randint(0, 255, (9, 3, 64, 64), dtype=torch.uint8)
    near = (fast.encode_patches(some) * exact.encode_patches(some)).sum(1)
    assert 0.998 < near.min() and near.max() < 1.001
    assert not torch.equal(fast.encode_patches(some), exact.encode_patches(some))
