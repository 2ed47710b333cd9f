"""Learned words as a part of an embedding space."""

import json
import shutil

import numpy as np
import pytest

from detail_embed import fusers
from detail_embed.cover import CompleteCover
from detail_embed.space import EmbeddingSpace
from detail_embed.texts.text_adapter import TextAdapter


@pytest.fixture
def plain(backbone):
    fuser = fusers.create("mean", dim=backbone.dim)
    return EmbeddingSpace(backbone, CompleteCover(2), fuser)


@pytest.fixture
def words(plain):
    texts = plain.encode_texts(["blorfle", "zibbet"]).cpu().numpy()
    taught = np.eye(plain.dim, dtype=np.float32)[:2]
    return TextAdapter(["blorfle", "zibbet"], texts, taught, 0.999)


def test_words_name_the_space_and_not_its_vectors(plain, words):
    space = plain.with_words(words)
    assert space.slug == f"{plain.slug}-words-{words.hash[:8]}"
    assert space.vector_slug == plain.vector_slug == plain.slug
    assert space.patch_slug == plain.patch_slug
    assert space.with_words(None).slug == plain.slug
    moved = space.encode_texts(["blorfle"]).cpu().numpy()
    assert moved[0, 0] == pytest.approx(1, abs=1e-3)


def test_saved_and_loaded_it_knows_its_words(plain, words, backbone, tmp_path):
    space = plain.with_words(words)
    space.save(tmp_path / "space")
    again = EmbeddingSpace.load(tmp_path / "space", backbone=backbone)
    texts = ["a blorfle on grass", "a car"]
    assert again.slug == space.slug and again.words.words == words.words
    assert (again.encode_texts(texts) == space.encode_texts(texts)).all()
    shutil.rmtree(tmp_path / "space" / "words")
    with pytest.raises(ValueError, match="no learned words in"):
        EmbeddingSpace.load(tmp_path / "space", backbone=backbone)


def test_other_words_than_those_of_the_slug_are_refused(
    plain, words, backbone, tmp_path
):
    plain.with_words(words).save(tmp_path)
    config = json.loads((tmp_path / "space.json").read_text())
    config["slug"] = f"{plain.slug}-words-00000000"
    (tmp_path / "space.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="is the space"):
        EmbeddingSpace.load(tmp_path, backbone=backbone)


def test_words_of_another_dimension_are_refused(plain):
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="learned words have 3 dimensions"):
        plain.with_words(TextAdapter(list("abc"), rows, rows[::-1]))
