"""Embedding spaces as zoo models that any process can load."""

import json

import fiftyone.zoo as foz
import numpy as np
import pytest
import torch

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.model.detail_model import DetailModel
from detail_embed.images.image_file import read_image
from detail_embed.space import DetailEmbedder


@pytest.fixture(scope="module")
def space():
    backbone = Backbone.load(DEMO, device="cpu")
    fuser = fusers.create("mean", dim=backbone.dim)
    return DetailEmbedder(backbone, CompleteCover(2), fuser)


@pytest.fixture
def model(space):
    return foz.load_zoo_model(zoo.publish(space), cache=False)


def _snapshot():
    root = zoo.source_directory()
    return {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}


def test_a_published_space_is_a_zoo_model(space, model):
    assert space.slug in foz.list_zoo_models()
    described = foz.get_zoo_model(space.slug)
    assert all(described.has_tag(tag) for tag in zoo.TAGS)
    assert foz.find_zoo_model(space.slug).endswith(f"{space.slug}.json")
    assert (model.media_type, model.can_embed_prompts) == ("image", True)


def test_publishing_again_changes_no_file(space, model):
    before = _snapshot()
    zoo.publish(space)
    assert _snapshot() == before


def test_the_source_is_repaired(space):
    zoo.publish(space)
    (zoo.source_directory() / "manifest.json").write_text("{")
    (zoo.source_directory() / "__init__.py").unlink()
    zoo.publish(space)
    assert foz.load_zoo_model(space.slug, cache=False).has_embeddings


def test_making_the_model_loads_no_backbone(space, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the backbone was loaded")

    monkeypatch.setattr(Backbone, "load", refuse)
    zoo.publish(space)
    assert foz.load_zoo_model(space.slug, cache=False).can_embed_prompts


def test_texts_are_encoded_as_the_space_does(space, model):
    texts = ["red metal cube", "tiger"]
    vectors = model.embed_prompts(texts)
    assert vectors.dtype == np.float32 and vectors.shape == (2, space.dim)
    np.testing.assert_allclose(vectors, space.encode_texts(texts).numpy(), atol=1e-6)
    np.testing.assert_allclose(model.embed_prompt(texts[0]), vectors[0], atol=1e-6)


def test_an_uploaded_image_is_embedded_as_the_index_was(space, model, scenes):
    path = next((scenes / "images").iterdir())
    expected = space.embed_files([path]).vectors[0]
    vector = model.embed(read_image(path))
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, expected, atol=1e-5)
    np.testing.assert_array_equal(model.get_embeddings(), vector[None])


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_other_arrays_are_refused(model, image):
    with pytest.raises(ValueError, match="uint8"):
        model.embed(image)


def test_an_empty_text_is_refused_and_an_endless_one_is_cut(model):
    with pytest.raises(ValueError, match="empty"):
        model.embed_prompt("  ")
    assert np.isfinite(model.embed_prompt("cube " * 2000)).all()


def test_two_spaces_share_their_backbone(space):
    other = DetailEmbedder(space.backbone, CompleteCover(1), space.fuser)
    models = [foz.load_zoo_model(zoo.publish(s), cache=False) for s in (space, other)]
    assert models[0].space.backbone is models[1].space.backbone


def test_a_space_with_other_weights_is_refused(space, tmp_path):
    directory = tmp_path / zoo.SPACES / "changed"
    space.save(directory)
    config = json.loads((directory / "space.json").read_text())
    config["slug"] = config["slug"].replace(space.backbone.weights_hash, "0" * 12)
    (directory / "space.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="0{12}.*" + space.backbone.weights_hash):
        DetailModel("changed", tmp_path).embed_prompt("cube")


def test_a_space_that_is_not_here_says_what_to_do(space):
    with pytest.raises(FileNotFoundError, match="overwrite=True"):
        zoo.load("nowhere", space.backbone)


def test_a_slug_that_is_no_name_is_refused():
    with pytest.raises(ValueError, match="'a@b'"):
        zoo.space_directory("a@b")


def test_vectors_are_unit_length(model):
    vectors = torch.from_numpy(model.embed_prompts(["a", "b", "c"]))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
