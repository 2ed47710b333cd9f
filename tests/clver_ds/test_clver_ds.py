"""CLVER-DS: banks, scenes, files."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from detail_embed.clver_ds import (
    ANNOTATIONS,
    IMAGES,
    Jitter,
    SceneConfig,
    backgrounds,
    concepts,
    generate,
    make_scene,
    read_queries,
    solids,
    sprites,
    things,
)
from detail_embed.clver_ds.concepts import HELD_OUT, UNSEEN

SMALL = dict(width=320, height=320, objects=(3, 5))


def test_banks_are_as_large_as_promised():
    assert len(concepts("things")) >= 600
    assert len(concepts("solids")) == len(solids.SHAPES) * 8 * 2 >= 160
    names = [c.name for c in concepts("both")]
    assert len(set(names)) == len(names)
    assert "red metal cube" in names and "dog" in names


def test_the_things_file_is_small():
    assert things.BANK.stat().st_size <= 8 * 2**20


def test_held_out_words_are_a_fixed_share():
    for bank in ("things", "solids"):
        share = np.mean([c.held_out for c in concepts(bank)])
        assert abs(share - HELD_OUT) < 0.06, bank
    unseen = [c for c in concepts("solids") if c.unseen]
    assert abs(len(unseen) / 160 - UNSEEN) < 0.06
    assert not any(c.held_out for c in unseen)
    assert not any(c.unseen for c in concepts("things"))


def test_every_word_of_an_unseen_solid_occurs_elsewhere():
    known = [c for c in concepts("solids") if not c.unseen]
    for part, values in (
        ("shape", solids.SHAPES),
        ("colour", solids.COLOURS),
        ("material", solids.MATERIALS),
    ):
        assert {getattr(c, part) for c in known} == set(values)


def test_the_split_never_changes():
    marks = [(c.name, c.held_out, c.unseen) for c in concepts("solids")]
    digest = hashlib.sha256(repr(marks).encode()).hexdigest()
    assert digest.startswith("34b875ec4b8e")


def test_unknown_bank_is_named():
    with pytest.raises(ValueError, match="'toys'"):
        concepts("toys")


@pytest.mark.parametrize("shape", solids.SHAPES)
def test_a_solid_is_whole_and_materials_differ(shape):
    rubber = solids.cutout(shape, "red", "rubber", 2)
    metal = solids.cutout(shape, "red", "metal", 2)
    alpha = rubber[..., 3]
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert border.max() == 0
    assert 0.1 < (alpha > 127).mean() < 0.9
    difference = np.abs(rubber[..., :3].astype(int) - metal[..., :3])
    assert difference[alpha > 127].mean() > 10


def test_solids_look_different_from_different_views():
    masks = [solids.cutout("cube", "red", "rubber", v)[..., 3] > 127
             for v in range(solids.NUM_VIEWS)]
    assert len({m.tobytes() for m in masks}) == solids.NUM_VIEWS


def test_a_thing_has_alpha():
    image = things.cutout("dog")
    assert image.shape == (256, 256, 4)
    assert image[..., 3].min() == 0 and image[..., 3].max() == 255
    with pytest.raises(ValueError, match="flying pig"):
        things.cutout("flying pig")


@pytest.mark.parametrize("kind", backgrounds.KINDS)
def test_backgrounds_are_textured_and_seeded(kind):
    first, again = (
        backgrounds.background(np.random.default_rng(3), kind, 96, 64)
        for _ in range(2)
    )
    assert first.shape == (64, 96, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert first.std() > 1


def test_scene_is_deterministic_and_annotated():
    config = SceneConfig(**SMALL)
    first, again = (make_scene(config, [1, 2]) for _ in range(2))
    assert np.array_equal(first.pixels, again.pixels)
    assert first.objects == again.objects
    assert 1 <= len(first.objects) <= 5
    for item in first.objects:
        left, top, width, height = item.box
        assert 0 <= left and left + width <= 320
        assert 0 <= top and top + height <= 320
        assert item.scale == pytest.approx(np.sqrt(width * height) / 320)


def test_scales_are_what_was_asked_for():
    config = SceneConfig(width=1000, height=500, scales=(0.05, 0.2),
                         objects=(6, 6))
    found = [o.scale for i in range(6)
             for o in make_scene(config, [0, i]).objects]
    assert found
    for scale in found:
        assert min(abs(scale / 0.05 - 1), abs(scale / 0.2 - 1)) < 0.06
    config = SceneConfig(**SMALL, scale_range=(0.1, 0.3))
    for item in make_scene(config, [5]).objects:
        assert 0.09 <= item.scale <= 0.3


def test_nothing_is_hidden_where_no_occlusion_is_allowed():
    config = SceneConfig(width=256, height=256, objects=(10, 10),
                         scales=(0.3,), max_occlusion=0.0)
    for seed in range(4):
        items = make_scene(config, [seed]).objects
        assert all(o.visible == 1 for o in items)


def test_occlusion_stays_within_its_limit_and_occurs():
    config = SceneConfig(width=256, height=256, objects=(14, 14),
                         scales=(0.3,), max_occlusion=0.4)
    visible = [o.visible for seed in range(4)
               for o in make_scene(config, [seed]).objects]
    assert min(visible) >= 0.6 - 1e-9
    assert min(visible) < 1


def test_an_object_is_really_drawn_in_its_box():
    config = SceneConfig(**SMALL, scales=(0.2,), bank="solids")
    empty = SceneConfig(width=320, height=320, objects=(0, 0))
    for seed in range(3):
        scene, ground = make_scene(config, [seed]), make_scene(empty, [seed])
        for item in scene.objects:
            x, y, w, h = item.box
            change = np.abs(scene.pixels[y:y + h, x:x + w].astype(int)
                            - ground.pixels[y:y + h, x:x + w])
            assert (change.max(-1) > 8).mean() > 0.3


def test_turns_and_mirror_images_can_be_switched_off():
    image = things.cutout("dog")
    still = Jitter(rotation=0, flip=False, light=0)
    first, second = (sprites.vary(image, np.random.default_rng(s), still)
                     for s in (1, 2))
    assert np.array_equal(first, second)
    lively = sprites.vary(image, np.random.default_rng(1), Jitter())
    assert lively.shape != first.shape or not np.array_equal(lively, first)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(width=5000), "5000"),
        (dict(height=8), "8"),
        (dict(objects=(5, 2)), r"\(5, 2\)"),
        (dict(scales=(0.1, 1.5)), "1.5"),
        (dict(scales=()), "empty"),
        (dict(scale_range=(0.0, 0.5)), "0.0"),
        (dict(max_occlusion=1.0), "1.0"),
        (dict(backgrounds=("lava",)), "lava"),
        (dict(bank="toys"), "toys"),
    ],
)
def test_bad_settings_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        SceneConfig(**wrong)


def test_files_and_coco(tmp_path):
    path = generate(tmp_path, 4, size=(320, 256), seed=7, objects=(2, 4))
    coco = json.loads(path.read_text())
    assert path == tmp_path / ANNOTATIONS
    assert [i["id"] for i in coco["images"]] == [0, 1, 2, 3]
    names = {c["id"]: c["name"] for c in coco["categories"]}
    assert len(names) == len(concepts("both"))
    for image in coco["images"]:
        with Image.open(tmp_path / IMAGES / image["file_name"]) as file:
            assert file.format == "JPEG"
            assert file.size == (image["width"], image["height"]) == (320, 256)
    for note in coco["annotations"]:
        x, y, w, h = note["bbox"]
        assert x >= 0 and y >= 0 and x + w <= 320 and y + h <= 256
        assert note["area"] == w * h
        attributes = note["attributes"]
        assert names[note["category_id"]] == attributes["concept"]
        assert attributes["scale"] == pytest.approx(
            np.sqrt(w * h / (320 * 256)), abs=1e-4
        )
        assert (attributes["shape"] is None) == (attributes["bank"] == "things")


def test_scenes_do_not_depend_on_their_number_or_on_workers(tmp_path):
    generate(tmp_path / "a", 2, size=128)
    generate(tmp_path / "b", 3, size=128, num_workers=2)
    for i in range(2):
        name = f"scene_{i:06d}.jpg"
        first, second = (
            (tmp_path / folder / IMAGES / name).read_bytes()
            for folder in ("a", "b")
        )
        assert first == second


def test_an_equal_call_reuses_and_another_is_refused(tmp_path):
    path = generate(tmp_path, 2, size=128)
    before = path.stat().st_mtime_ns
    assert generate(tmp_path, 2, size=128) == path
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="other settings"):
        generate(tmp_path, 3, size=128)
    with pytest.raises(ValueError, match="0"):
        generate(tmp_path / "new", 0)


def test_what_somebody_else_put_there_stays(tmp_path):
    theirs = tmp_path / IMAGES / "scene_000000.jpg"
    theirs.parent.mkdir()
    theirs.write_bytes(b"a picture of a cat")
    with pytest.raises(ValueError, match="images holds something else"):
        generate(tmp_path, 2, size=64)
    assert theirs.read_bytes() == b"a picture of a cat"
    assert [p.name for p in theirs.parent.iterdir()] == [theirs.name]
    theirs.unlink()
    assert generate(tmp_path, 2, size=64).is_file()


@pytest.mark.parametrize("content", ['{"images": []}', "[]", "none"])
def test_annotations_of_another_tool_are_refused(tmp_path, content):
    (tmp_path / ANNOTATIONS).write_text(content)
    with pytest.raises(ValueError, match="other settings"):
        generate(tmp_path, 1, size=64)


def test_a_call_that_was_cut_short_goes_on(tmp_path, monkeypatch):
    def full_disk(*args):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("detail_embed.clver_ds.dataset._tables", full_disk)
        with pytest.raises(OSError, match="no space"):
            generate(tmp_path, 2, size=64)
    assert any((tmp_path / IMAGES).iterdir())
    with pytest.raises(ValueError, match="other settings"):
        generate(tmp_path, 2, size=64, seed=1)
    assert generate(tmp_path, 2, size=64).is_file()
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {ANNOTATIONS, IMAGES}


@pytest.mark.parametrize("size", [320, 448])
def test_small_objects_are_not_smaller_than_asked(size):
    """Sides are whole pixels, at most half a pixel off."""
    config = SceneConfig(width=size, height=size, objects=(8, 8),
                         scale_range=(0.04, 0.045))
    found = [o for i in range(4) for o in make_scene(config, [0, i]).objects]
    assert len(found) == 32
    scales = np.array([o.scale for o in found])
    off = np.array([0.5 / min(o.box[2:]) for o in found])
    assert (scales >= 0.04 * (1 - off)).all()
    assert (scales <= 0.045 * (1 + off)).all()
    assert abs(scales.mean() - 0.0425) < 0.001


@pytest.mark.parametrize(
    "setting, value",
    [("objects", 5), ("objects", (3, 2)), ("objects", (1, 2, 3)),
     ("objects", (-1, 2)), ("scale_range", (0.1, 0.2, 0.3)),
     ("scale_range", 0.2), ("scale_range", (0.3, 0.1))],
)
def test_what_is_no_range_is_named(setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be"):
        SceneConfig(**{setting: value})


def test_queries_read_back(tmp_path):
    generate(tmp_path, 5, size=256, seed=2, objects=(3, 4))
    queries = read_queries(tmp_path)
    coco = json.loads((tmp_path / ANNOTATIONS).read_text())
    assert len(queries.paths) == 5 and all(p.is_file() for p in queries.paths)
    shape = (len(queries.words), 5)
    assert queries.target_scale.shape == shape
    assert queries.target_scale.any(1).all()
    known = {c.name: c for c in concepts("both")}
    for word, bank, group in zip(queries.words, queries.banks, queries.groups):
        concept = known[word]
        assert bank == concept.bank
        assert (group == "proxy") == concept.is_proxy
        assert (group == "unseen") == concept.unseen
    for note in coco["annotations"]:
        row = queries.words.index(note["attributes"]["concept"])
        scale = note["attributes"]["scale"]
        assert queries.target_scale[row, note["image_id"]] >= scale
    with pytest.raises(ValueError, match="nowhere"):
        read_queries(tmp_path / "nowhere")


def test_scenes_of_chosen_words():
    words = [concept.name for concept in concepts("things")[:2]]
    config = SceneConfig(bank="things", width=128, height=128, words=words)
    scenes = [make_scene(config, [0, i]) for i in range(3)]
    shown = {thing.concept.name for scene in scenes for thing in scene.objects}
    assert shown and shown <= set(words)
    with pytest.raises(ValueError, match="at least one of the solids"):
        SceneConfig(bank="both", words=words)
