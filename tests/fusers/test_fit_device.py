"""Fits on a device without float64, as Apple's MPS is: they are done on the CPU."""

import pytest
import torch
from torch.nn import functional as F

from detail_embed import fusers
from detail_embed.fusers import FitSample
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.checks import check_rows, fit_device
from detail_embed.fusers.few_vectors import FewVectors

D = 16
MPS, CPU = torch.device("mps"), torch.device("cpu")


class OnMps(torch.Tensor):
    """A tensor that says it is on MPS, and refuses float64 as those there do."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func == torch.Tensor.device.__get__:
            return MPS
        if func == torch.Tensor.to and args[1] == CPU:
            return args[0].as_subclass(torch.Tensor)
        found = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(found, torch.Tensor) and found.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework "
                "doesn't support float64"
            )
        return found


def unit(*shape, seed):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return F.normalize(values + 0.3, dim=-1)


@pytest.fixture
def sample():
    return FitSample.of_images(unit(12, 7, D, seed=1), None, unit(40, D, seed=2))


def on_mps(sample):
    return FitSample(*(
        part if part is None else part.as_subclass(OnMps)
        for part in (sample.patch_features, sample.proxies, sample.images, sample.mask)
    ))


@pytest.fixture
def moved(monkeypatch):
    """Where fusers were brought: there is no MPS to bring them to."""
    places = []

    def to(self, device):
        places.append(device)
        return self

    monkeypatch.setattr(Fuser, "to", to)
    return places


MAKERS = {
    "gmp": lambda: fusers.create("gmp", dim=D),
    "ridge": lambda: fusers.create("ridge", dim=D),
    "few": lambda: FewVectors(D, k=2),
    "facility": lambda: FewVectors(D, k=2, method="facility-location"),
}


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS")
@pytest.mark.parametrize("name", MAKERS)
def test_a_fit_without_float64_is_that_of_the_cpu(name, sample, moved):
    wanted = MAKERS[name]().fit(sample)
    assert moved == []
    fuser = MAKERS[name]()
    assert fuser.fit(on_mps(sample)) is fuser
    assert moved == [MPS]
    for key, value in wanted.state_dict().items():
        assert type(fuser.state_dict()[key]) is torch.Tensor
        assert torch.equal(fuser.state_dict()[key], value)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS")
def test_what_a_training_starts_from_is_that_of_the_cpu(sample, moved):
    torch.manual_seed(0)
    wanted, fuser = (fusers.create("attention", dim=D) for _ in range(2))
    fuser.load_state_dict(wanted.state_dict())
    mask = torch.ones(12, 7, dtype=torch.bool)
    wanted.prepare(sample.images, mask, sample.proxies)
    moved.clear()
    fuser.prepare(*(
        part.as_subclass(OnMps) for part in (sample.images, mask, sample.proxies)
    ))
    assert moved[-1] == MPS
    for key in ("mean", "whitening", "text_whitening", "base.decoder"):
        assert torch.equal(fuser.state_dict()[key], wanted.state_dict()[key])


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS")
def test_rows_are_checked_on_the_cpu_there():
    rows = unit(3, D, seed=3)
    found = check_rows(rows.as_subclass(OnMps), D, "rows")
    assert type(found) is torch.Tensor and torch.equal(found, rows.double())
    assert fit_device(MPS) == CPU
    assert fit_device(CPU) == CPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_with_float64_fits_by_itself(sample):
    device = torch.device("cuda", 0)
    fuser = fusers.create("gmp", dim=D).fit(sample.to(device))
    assert fuser.mean.device == device
