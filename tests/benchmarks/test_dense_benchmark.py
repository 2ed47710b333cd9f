"""The benchmark of one pass: towers' maps, ridges, and what is said of places."""

import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks._dense import (  # noqa: E402
    clipself,
    looks,
    methods,
    page,
    ridge,
    uses,
)
from benchmarks._dense.measure import Row  # noqa: E402
from detail_embed.backbone import Backbone, dense  # noqa: E402
from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402
from detail_embed.cover import CompleteCover  # noqa: E402
from tests.tiny import register_tiny  # noqa: E402

COVER = CompleteCover(3)


@pytest.fixture(scope="module")
def demo():
    return Backbone.load(DEMO, device="torch", precision="fp32")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    vision = {"image_size": 32, "layers": 4, "width": 32, "patch_size": 8,
              "head_width": 16}
    name = register_tiny(tmp_path_factory.mktemp("vit"), "detail-test-vit",
                         vision_cfg=vision)
    return Backbone.load(name, device="torch", precision="fp32")


def picture(side=128, seed=0):
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.integers(0, 255, (1, 3, 6, 6)).astype(np.float32))
    found = torch.nn.functional.interpolate(small, (side, side), mode="bilinear")
    return found[0].to(torch.uint8)


@pytest.mark.parametrize("which", ["demo", "vit"])
def test_attention_within_a_whole_crop_is_what_the_tower_says(which, request):
    backbone = request.getfixturevalue(which)
    side = backbone.input_size
    tool = looks.Dense(backbone, CompleteCover(1))
    asked = looks.Pass((looks.Look(1, side),), "attended", 1)
    found = tool.encode(picture(side), asked)
    torch.testing.assert_close(found[:, 0], found[:, 1], atol=1e-4, rtol=1e-3)


def test_the_librarys_pool_is_that_of_the_benchmark(demo):
    tool, image = looks.Dense(demo, COVER), picture(256)
    found = tool.encode(image, looks.Pass((looks.Look(1, 256),), "attended", 1))[:, 0]
    wanted = dense.encode_windows(demo, image, COVER.boxes(256, 256))
    torch.testing.assert_close(found[1:], wanted[1:], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", ["values", "three", "skipped", "tokens"])
def test_every_kind_of_a_vit_answers_for_every_window(vit, kind):
    tool = looks.Dense(vit, COVER)
    native = looks.Look(2, vit.input_size)
    found = tool.encode(picture(), looks.Pass((native,), kind, 1))
    assert found.shape == (len(COVER.boxes(128, 128)), 2, vit.dim)
    torch.testing.assert_close(found.norm(dim=2), torch.ones(found.shape[:2]))


def test_tokens_are_those_of_open_clip(vit):
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tower = vit._model.visual
    cells = looks.towers.of(tower).cells(pixels)
    last = tower.forward_intermediates(pixels, indices=1)["image_intermediates"][0]
    torch.testing.assert_close(cells["tokens"].permute(0, 3, 1, 2), last)


def test_a_tower_without_a_map_is_refused():
    tower = open_clip.create_model("convnext_tiny").visual
    with pytest.raises(ValueError, match="no map of a TimmModel"):
        looks.towers.of(tower)


def test_a_ridge_finds_a_linear_map_and_needs_images():
    rng = torch.Generator().manual_seed(0)
    found = torch.randn(12, 9, 2, 4, generator=rng)
    levels = [3, 2, 2, 2, 2, 1, 1, 1, 1]
    targets = found.flatten(2) @ torch.randn(8, 5, generator=rng)
    made = ridge.fit(found, targets[..., :4], levels)
    torch.testing.assert_close(
        made(found, levels)[:, 1:], targets[:, 1:, :4], atol=0.05, rtol=0.05
    )
    with pytest.raises(ValueError, match="3 images: give at least 4"):
        ridge.fit(found[:3], targets[:3, :, :4], levels)


def test_of_several_looks_each_window_takes_the_nearest_in_size(demo):
    tool, image = looks.Dense(demo, COVER), picture(192)
    pair = (looks.Look(1, 192), looks.Look(1, 64))
    method = methods.Method("two", asked=looks.Pass(pair, "attended", 1))
    raw = method.raw(tool, image)
    found = method.end(tool, raw, None, (192, 192))
    fine = COVER.levels(192, 192) == 1
    torch.testing.assert_close(found[fine], raw[fine, 0])
    torch.testing.assert_close(found[:1], raw[:1, 1])


def test_distillation_brings_the_map_nearer_to_the_crops(demo, tmp_path):
    images = [picture(seed=i) for i in range(8)]
    boxes = COVER.boxes(128, 128)
    crops = methods.Method("crops", crops=3)
    tool = looks.Dense(demo, COVER)
    targets = torch.stack([crops.raw(tool, image)[:, 0] for image in images])

    def near(backbone):
        found = [dense.encode_windows(backbone, image, boxes) for image in images]
        return float((torch.stack(found) * targets)[:, 1:].sum(dim=2).mean())

    before = {n: p.clone() for n, p in demo._model.state_dict().items()}
    kept = tmp_path / "kept.safetensors"
    made = clipself.distil(kept, demo, images, targets, COVER, 3)
    assert near(made) > near(demo) + 0.01
    again = clipself.distil(kept, demo, images, targets, COVER, 3)
    assert near(again) == pytest.approx(near(made), abs=1e-5)
    after = demo._model.state_dict()
    assert all(torch.equal(after[name], part) for name, part in before.items())


def test_proposals_and_places_are_judged():
    exact = np.array([[0.9, 0.8, 0.1, 0.0]])
    cheap = np.array([[0.1, 0.9, 0.8, 0.0]])
    shown = np.array([[True, False, False, False]])
    (two, kept, precision), (four, all_kept, best) = uses.proposed(
        cheap, exact, shown, (2, 4)
    )
    assert (two, kept, four, all_kept, best) == (2, 0.5, 4, 1.0, 1.0)
    assert precision == pytest.approx(1 / 3)
    truth = [{0: np.array([[0.1, 0.1, 0.2, 0.2]])}]
    assert list(uses.correct_hits(exact, truth)) == [(0, 0)]
    assert uses.judge(np.array([[0.1, 0.1, 0.2, 0.2]]), truth[0][0]) == (1.0, 1.0)
    assert uses.judge(np.array([[0.5, 0.5, 0.2, 0.2]]), truth[0][0]) == (0.0, 0.0)
    assert uses.judge(np.empty((0, 4)), truth[0][0]) == (0.0, 0.0)


def test_a_way_that_finds_more_in_no_more_time_stands_out():
    def row(method, precisions, cpu_ms):
        means = {s: (np.mean(precisions), 0.0, 1.0) for s in ("all", "0-1")}
        return Row(method, 30, means, 0.5, 0.9, precisions, 2 * cpu_ms, cpu_ms)

    bar = row(methods.Method("crops, c = 4", crops=4), [0.4, 0.5, 0.6], 40.0)
    good = row(methods.Method("good", scale=4), [0.5, 0.6, 0.7], 39.0)
    slow = row(methods.Method("slow", scale=6), [0.5, 0.6, 0.7], 41.0)
    said = page.verdict([bar, good, slow])
    assert "| good | **+10.0 (+10.0 to +10.0), 0.97 x** |" in said
    assert "| slow | +10.0 (+10.0 to +10.0), 1.02 x |" in said
    assert "| good | 30 | 78 | 39 | 60.0 (0-100) | 60.0 | 50.0 | 0.900 |" in (
        page.table([bar, good])
    )
