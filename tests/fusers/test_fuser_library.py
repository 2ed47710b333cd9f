"""Trained fusers by name."""

import pytest
import torch
from torch.nn import functional as F

from detail_embed import fusers
from detail_embed.fusers import library
from detail_embed.fusers.library import TrainedFacts

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
    assert library.names() == []
    library.save(fuser, facts("drones"))
    library.save(fuser, facts("boats_2"))
    assert library.names() == ["boats_2", "drones"]
    assert library.load("drones", "demo-cc10").hash == fuser.hash
    known = library.describe("drones")
    assert known.held_out == 0.5 and known.versions["torch"]
    assert known == facts("drones", created=known.created)


def test_a_name_is_used_again_as_a_whole(fuser):
    library.save(fuser, facts("drones"))
    other = fusers.create("gmp", D, lam=2).fit(F.normalize(torch.randn(50, D), dim=1))
    library.save(other, facts("drones", words=["cat"]))
    assert library.load("drones", "demo-cc10").hash == other.hash
    assert library.describe("drones").num_words == 1
    with pytest.raises(RuntimeError, match="not fitted"):
        library.save(fusers.create("gmp", D), facts("drones"))
    assert library.load("drones", "demo-cc10").hash == other.hash


def test_delete(fuser):
    library.save(fuser, facts("drones"))
    assert library.delete("drones") and not library.delete("drones")
    assert library.names() == []


@pytest.mark.parametrize(
    "name", ["", "a b", "a-b", "../up", "1st", "x" * 65, None, "ridge", "auto"]
)
def test_bad_names(fuser, name):
    with pytest.raises(ValueError, match="name"):
        library.save(fuser, facts(name))


def test_other_patches_are_refused_with_both_named(fuser):
    library.save(fuser, facts("drones"))
    with pytest.raises(ValueError, match="demo-cc10, not of demo-cc5"):
        library.load("drones", "demo-cc5")
    with pytest.raises(ValueError, match=r"'boats'; choose one of \['drones'\]"):
        library.load("boats", "demo-cc10")
    library.delete("drones")
    with pytest.raises(ValueError, match="none was trained yet"):
        library.describe("../drones")
