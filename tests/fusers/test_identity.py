"""Names that saved files, brain runs and zoo models know a fuser by never change."""

from types import SimpleNamespace

import pytest
import torch

from detail_embed import fusers
from detail_embed.cover import CompleteCover
from detail_embed.space import EmbeddingSpace

D, K = 4, 3
FITTED = {
    "mean": (D,), "whitening": (D, D), "text_whitening": (D, D), "proxies": (K, D),
    "decoder": (K, D), "score_mean": (K,), "score_std": (K,), "global_mean": (D,),
    "free": (1, D), "radius": (1,), "lam": (1,), "epochs_trained": (1,),
}


def filled(name, **options):
    """A fuser whose state is the same on every machine, to the last bit."""
    fuser, state = fusers.create(name, D, **options), {}
    for key, held in fuser.state_dict().items():
        shape = held.shape if held.numel() else FITTED[key.rpartition(".")[2]]
        count = torch.Size(shape).numel()
        state[key] = (torch.arange(count) % 64).float().reshape(shape) / 8 + 1
    return fuser.restore(state)


@pytest.mark.parametrize(
    "name, options, expected",
    [
        ("mean", {}, "ec6922182e60"),
        ("gmp", {}, "0ab130fee0a3"),
        ("gmp", {"lam": 2.0}, "fd4f2743d102"),
        ("ridge", {}, "437681fd6478"),
        ("ridge", {"lam": 0.5}, "2f11085a77e7"),
        ("attention", {"hidden": 8, "heads": 2}, "435ea73e8c6e"),
        ("transformer", {}, "1d4a7f1a39c2"),
        ("few", {"k": 2}, "e590a5467921"),
        ("few", {"k": 3, "method": "facility-location"}, "1d6c97cc1f1a"),
    ],
)
def test_hash_and_slug_are_those_of_version_0_1(name, options, expected, tmp_path):
    fuser = filled(name, **options)
    assert fuser.hash == expected
    backbone = SimpleNamespace(dim=D, slug="clip-abc", device="cpu", input_size=224)
    slug = EmbeddingSpace(backbone, CompleteCover(2), fuser).slug
    assert slug == f"clip-abc-{CompleteCover(2).slug}-{name}-{expected[:8]}"
    fuser.save(tmp_path)
    assert fusers.load(tmp_path).hash == expected


def test_a_few_vectors_are_reached_by_their_number_not_by_name():
    assert "few" not in fusers.names()
    assert fusers.kind("few").makes_few and fusers.create("few", D, k=3).k == 3


def test_kinds_say_what_they_need():
    kinds = {name: fusers.kind(name) for name in (*fusers.names(), "few")}
    assert all(kind.description for kind in kinds.values())
    with_words = {name for name, kind in kinds.items() if kind.needs_words()}
    assert with_words == {"ridge", "attention", "transformer"}
    assert kinds["few"].needs_words(method="facility-location")
