"""Where the checks run and how large they are; pictures and models for them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from PIL import Image


@dataclass(frozen=True)
class Scale:
    """Sizes of the checks.

    Attributes:
        device: where they run
        cover: parameter of the cover
        model: the architecture of most checks, with random weights
        sizes: widths and heights of images
        batch: patches of a large batch
        images: unique ones of a measurement of speed, at most
        seconds: of a measurement
    """

    device: torch.device
    cover: int
    model: str
    sizes: tuple[tuple[int, int], ...]
    batch: int
    images: int
    seconds: float

    @property
    def is_gpu(self) -> bool:
        """Whether a GPU is checked."""
        return self.device.type == "cuda"

    @staticmethod
    def choose(cpu: bool) -> Scale:
        """Large ones for a GPU, small ones for a CPU."""
        if not cpu and not torch.cuda.is_available():
            sys.exit("torch finds no GPU: give --cpu to check the script alone")
        if not cpu:
            return Scale(
                torch.device("cuda", 0), 10, "ViT-B-32",
                ((2240, 2240), (1120, 1120), (4000, 3000)), 1024, 600, 10.0,
            )
        return Scale(
            torch.device("cpu"), 3, "detail-demo", ((320, 320), (200, 150)), 32, 12, 0.4
        )


def synchronise(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """``(h, w, 3)`` uint8: soft blobs and sharp blocks, of all brightnesses."""
    rng = np.random.default_rng(seed)
    soft, sharp = (
        Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize(
            (width, height), how
        )
        for how in (Image.Resampling.BICUBIC, Image.Resampling.NEAREST)
    )
    return np.asarray(Image.blend(soft, sharp, 0.4))


def write_pictures(
    folder: Path, sizes: Sequence[tuple[int, int]], count: int
) -> list[Path]:
    """Writes ``count`` unique JPEGs; the sizes take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [picture(width, height, seed=number) for number, (width, height)
               in enumerate(sizes)]

    def write(number: int) -> Path:
        pixels = np.roll(sources[number % len(sources)], 8 * number + 1, axis=1)
        path = folder / f"{number:05d}.jpg"
        path.write_bytes(
            simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=85)
        )
        return path

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(write, range(count)))


def patches(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """``(n, 3, side, side)`` uint8, all different."""
    some = [picture(side, side, seed + number) for number in range(min(count, 64))]
    found = torch.from_numpy(np.stack(some)).permute(0, 3, 1, 2)
    found = found.repeat(-(-count // len(some)), 1, 1, 1)[:count]
    shifts = (torch.arange(count) % 256).to(torch.uint8)[:, None, None, None]
    return (found + shifts).contiguous()  # bytes wrap


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    """The lowest cosine of two rows of the same number."""
    one, other = one.double().cpu(), other.double().cpu()
    return torch.nn.functional.cosine_similarity(one, other, dim=-1).min().item()


def centred_cosine(one: torch.Tensor, reference: torch.Tensor) -> float:
    """The same without what all rows of the reference have in common."""
    mean = reference.double().cpu().mean(dim=0)
    return cosine(one.double().cpu() - mean, reference.double().cpu() - mean)


def spread(features: torch.Tensor) -> float:
    """How far rows of unit length are from their mean, in the mean."""
    features = features.double().cpu()
    return (features - features.mean(dim=0)).norm(dim=1).mean().item()
