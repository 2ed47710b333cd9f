"""Trained fusers by name."""

import pytest
import torch
from torch.nn import functional as F

from detail_embed import fuser_library, fusers
from detail_embed.fuser_library import TrainedFacts

D = 8


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))


def facts(name, **changes):
    known = dict(
        name=name, kind="gmp", patch_slug="demo-cc10", words=["hat", "bee"],
        vocabulary="words", images=12, config={},
        history=[{"held_out": 0.25}, {"held_out": 0.5}],
    )
    return TrainedFacts(**(known | changes))


@pytest.fixture
def fuser():
    torch.manual_seed(0)
    return fusers.create("gmp", D).fit(F.normalize(torch.randn(50, D), dim=1))


def test_round_trip(fuser):
    assert fuser_library.names() == []
    fuser_library.save(fuser, facts("drones"))
    fuser_library.save(fuser, facts("boats_2"))
    assert fuser_library.names() == ["boats_2", "drones"]
    assert fuser_library.load("drones", "demo-cc10").hash == fuser.hash
    known = fuser_library.describe("drones")
    assert known.held_out == 0.5 and known.versions["torch"]
    assert known == facts("drones", created=known.created)


def test_a_name_is_used_again_as_a_whole(fuser):
    fuser_library.save(fuser, facts("drones"))
    other = fusers.create("gmp", D, lam=2).fit(F.normalize(torch.randn(50, D), dim=1))
    fuser_library.save(other, facts("drones", words=["cat"]))
    assert fuser_library.load("drones", "demo-cc10").hash == other.hash
    assert fuser_library.describe("drones").num_words == 1
    with pytest.raises(RuntimeError, match="not fitted"):
        fuser_library.save(fusers.create("gmp", D), facts("drones"))
    assert fuser_library.load("drones", "demo-cc10").hash == other.hash


def test_delete(fuser):
    fuser_library.save(fuser, facts("drones"))
    assert fuser_library.delete("drones") and not fuser_library.delete("drones")
    assert fuser_library.names() == []


@pytest.mark.parametrize(
    "name", ["", "a b", "a-b", "../up", "1st", "x" * 65, None, "ridge", "auto"]
)
def test_bad_names(fuser, name):
    with pytest.raises(ValueError, match="name"):
        fuser_library.save(fuser, facts(name))


def test_other_patches_are_refused_with_both_named(fuser):
    fuser_library.save(fuser, facts("drones"))
    with pytest.raises(ValueError, match="demo-cc10, not of demo-cc5"):
        fuser_library.load("drones", "demo-cc5")
    with pytest.raises(ValueError, match=r"'boats'; choose one of \['drones'\]"):
        fuser_library.load("boats", "demo-cc10")
    fuser_library.delete("drones")
    with pytest.raises(ValueError, match="none was trained yet"):
        fuser_library.describe("../drones")
