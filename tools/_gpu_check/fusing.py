"""Fusers of all kinds on the device against the CPU: fitted here and there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed import fusers
from detail_embed.fusers import FitSample
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.few_vectors import FewVectors

from .report import Report
from .scale import Scale, cosine

_LEAST = 0.999
_LEAST_OF_FEW = 0.99  # in the mean: a patch between two groups may go to either


def run(report: Report, scale: Scale) -> None:
    """Checks each kind: the vectors of the CPU's fit there, and of a fit there."""
    dim, count = (512, 166) if scale.is_gpu else (32, 14)
    sample = FitSample.of_images(
        _unit(64, count, dim, seed=1), None, _unit(1000, dim, seed=2)
    )
    images = _unit(16, count, dim, seed=3)
    boxes = torch.rand(16, count, 4, generator=torch.Generator().manual_seed(4))
    for name, fuser in _kinds(dim).items():
        with report.guarded(f"fuser {name}"):
            _check(report, scale, name, fuser, sample, images, boxes)


def _kinds(dim: int) -> dict[str, Fuser]:
    found: dict[str, Fuser] = {}
    for name in fusers.names():
        found[name] = fusers.create(name, dim=dim)
    found["few, kmeans"] = FewVectors(dim)
    found["few, facility-location"] = FewVectors(dim, method="facility-location")
    return found


def _check(
    report: Report, scale: Scale, name: str, fuser: Fuser, sample: FitSample,
    images: Tensor, boxes: Tensor,
) -> None:
    if fuser.is_trained:
        torch.manual_seed(0)
        mask = torch.ones(sample.images.shape[:2], dtype=torch.bool)
        fuser.prepare(sample.images, mask, sample.proxies)
        fuser.epochs_trained = torch.zeros(1)
    else:
        fuser.fit(sample)
    least = _LEAST_OF_FEW if fuser.makes_few else _LEAST
    wanted = fuser.eval()(images, boxes=boxes)
    there = fuser.to(scale.device)
    found = there(images.to(scale.device), boxes=boxes.to(scale.device))
    report.at_least(f"fuser {name}, fused there", _near(found, wanted), least)
    if fuser.is_trained or not fuser.needs_fit:
        return
    fitted = fuser.fit(sample.to(scale.device)).to(scale.device)
    found = fitted(images.to(scale.device), boxes=boxes.to(scale.device))
    report.at_least(f"fuser {name}, fitted there", _near(found, wanted), least)


def _near(found: Tensor, wanted: Tensor) -> float:
    """The lowest cosine; of a few vectors of an image, in any order of theirs."""
    found, wanted = found.detach().cpu(), wanted.detach()
    if found.ndim == 2:
        return cosine(found, wanted)
    return (wanted @ found.mT).amax(dim=2).mean().item()


def _unit(*shape: int, seed: int) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return F.normalize(values + 0.3, dim=-1)
