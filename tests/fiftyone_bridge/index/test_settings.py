"""Settings and what they are written down as: there and back."""

import re
from dataclasses import replace

import pytest

from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.space import EmbeddingSpace
from tests.tiny import tiny_backbone


@pytest.mark.parametrize(
    "choices",
    [
        {"cover": 3, "fuser": "gmp", "fuser_options": {"lam": 2.0}},
        {"cover": "auto", "proxies": ("a", "b"), "proxy_field": "ground_truth"},
        {"vectors": 4, "vectors_by": "facility-location", "spacing": "authors"},
        {"vectors": 2, "fuser_options": {"power": 1.0}, "skip_flat": True},
        {"vectors": 2, "fuser": "gmp"},
        {"vector_bytes": 9000},
        {"vectors": 1},
        {"fuser": "trained_here"},
        {"patches_field": "ground_truth", "padding": 0.3, "cover": 3},
    ],
)
def test_an_identity_is_read_back(choices):
    settings = Settings(**choices)
    identity = settings.identity()
    again = Settings.from_identity(identity, device="cpu", keep_features="int8")
    assert again.identity() == identity
    assert (again.device, again.keep_features) == ("cpu", "int8")
    assert again.count == settings.count
    assert again.vector_bytes == settings.vector_bytes
    assert again.needs_vocabulary == settings.needs_vocabulary


@pytest.mark.parametrize(
    "choices",
    [
        {"fuser": "mean", "spacing": "authors"},
        {"fuser": "gmp", "fuser_options": {"lam": 2.0}, "skip_flat": True},
        {"vectors": 4, "fuser_options": {"power": 1.0}},
        {"vectors": 3, "vectors_by": "facility-location"},
    ],
)
def test_a_space_says_what_it_was_made_with(choices, tmp_path):
    backbone = tiny_backbone(tmp_path)
    settings = Settings(
        backbone=backbone.name, pretrained=backbone.pretrained, cover=2, **choices
    )
    cover, dim = settings.make_cover(), backbone.dim
    fuser = settings.make_few(dim) if settings.makes_few else None
    space = EmbeddingSpace(backbone, cover, fuser or settings.make_single(dim, ""))
    assert Settings.of_space(space).identity() == settings.identity()


def test_who_needs_words():
    needs = {
        name: Settings(fuser=name).needs_vocabulary
        for name in ("auto", "mean", "gmp", "ridge", "attention", "of_the_user")
    }
    assert needs == {
        "auto": True, "mean": False, "gmp": False, "ridge": True, "attention": True,
        "of_the_user": False,
    }
    few = Settings(fuser="gmp", vectors=3)
    assert not few.needs_vocabulary
    assert replace(few, vectors_by="facility-location").needs_vocabulary
    assert replace(few, fuser="ridge").needs_vocabulary  # the one beside them
    assert replace(few, fuser="auto").needs_vocabulary


def test_how_many_vectors():
    assert Settings().count == "auto"
    assert Settings(fuser="gmp").count == 1  # who names it wants its vector
    assert Settings(fuser="gmp", vectors=8).count == 8
    assert Settings(vectors=1).count == 1


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"vectors": 0}, "0 vectors per image: give 2 to 16"),
        ({"vectors": True}, "True vectors per image"),
        ({"vectors": "many"}, "'many' vectors per image"),
        ({"vector_bytes": 0}, "vector_bytes=0: give bytes per image"),
        ({"keep_features": "float64"}, "keep_features='float64': give False, True or"),
        ({"fuser_options": {"lam": 1.0}}, "name it instead of 'auto'"),
        ({"vectors": 4, "fuser_options": {"k": 3}}, "'k' and 'method' are said by"),
    ],
)
def test_what_cannot_be_is_said(choices, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Settings(backbone="detail-demo", **choices).check()
