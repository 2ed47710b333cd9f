"""Settings and what they are written down as: there and back."""

from dataclasses import replace

import pytest

from detail_embed.fiftyone_bridge.index.settings import Settings
from tests.tiny import tiny_backbone


@pytest.mark.parametrize(
    "choices",
    [
        {"cover": 3, "fuser": "gmp", "fuser_options": {"lam": 2.0}},
        {"cover": "auto", "proxies": ("a", "b"), "proxy_field": "ground_truth"},
        {"vectors": 4, "vectors_by": "facility-location", "spacing": "authors"},
        {"vectors": 2, "fuser_options": {"power": 1.0}, "skip_flat": True},
        {"fuser": "trained_here"},
    ],
)
def test_an_identity_is_read_back(choices):
    settings = Settings(**choices)
    identity = settings.identity()
    again = Settings.from_identity(identity, device="cpu", keep_features="int8")
    assert again.identity() == identity
    assert (again.device, again.keep_features) == ("cpu", "int8")
    assert again.vectors == settings.vectors
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
    assert Settings.of_space(settings.make_space(backbone)) == settings


def test_who_needs_words():
    needs = {
        name: Settings(fuser=name).needs_vocabulary
        for name in ("auto", "mean", "gmp", "ridge", "attention", "of_the_user")
    }
    assert needs == {
        "auto": True, "mean": False, "gmp": False, "ridge": True, "attention": True,
        "of_the_user": False,
    }
    few = Settings(fuser="ridge", vectors=3)
    assert not few.needs_vocabulary
    assert replace(few, vectors_by="facility-location").needs_vocabulary
