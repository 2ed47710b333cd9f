"""How much detail a window needs to be encoded: measured on the user's own images.

The windows with the least detail, by the range of their grey levels, are left out as
long as a search of the others still finds what a search of all of them finds, without
labels, as in :mod:`.report_card`. What that saves and costs is in
docs/results/frontier.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.flat_windows import spread
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.evaluation import average_precision, find_hits
from detail_embed.features.padding import pad
from detail_embed.fusers.checks import check_rows
from detail_embed.fusers.maxsim import maxsim_batch
from detail_embed.images.reader import read_images
from detail_embed.space.report_card import MIN_WORDS

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the windows
KEEP = 0.97  # of the mean average precision of a search of all windows
_SURE = 0.98  # likewise, for the images that a limit is chosen on: others keep less
MIN_IMAGES = 40


@dataclass(frozen=True)
class Sampled:
    """All windows of some images.

    Attributes:
        features: ``(n, p, d)`` float32, unit, padded with zeros
        mask: ``(n, p)`` bool, True where a row is a window
        spreads: ``(n, p)`` uint8, ranges of grey levels, see :func:`.spread`
    """

    features: Tensor
    mask: Tensor
    spreads: Tensor

    @classmethod
    def of(cls, images: Sequence[tuple[Tensor, Tensor]]) -> Sampled:
        """Puts images together.

        Args:
            images: features and ranges of each

        Raises:
            ValueError: if there is none
        """
        if not images:
            raise ValueError("none of the images of the sample could be read")
        features, spreads = zip(*images)
        padded, mask = pad(features, features[0].shape[1])
        return cls(padded, mask, pad_sequence(spreads, batch_first=True))

    def __getitem__(self, rows: slice) -> Sampled:
        return Sampled(self.features[rows], self.mask[rows], self.spreads[rows])


@dataclass(frozen=True)
class FlatLimit:
    """What was measured.

    Attributes:
        levels: windows with a smaller range of grey levels are left out; 0 for none
        share: of the windows that is encoded then, 0 to 1
        kept: mean average precision that is kept of a search of all windows, 0 to 1,
            on images and for words that the limit was not chosen by
        images: these images
        why: why no windows are left out; empty where some are
    """

    levels: int
    share: float = 1.0
    kept: float = 1.0
    images: int = 0
    why: str = ""

    @property
    def sentence(self) -> str:
        """For a person."""
        if self.why:
            return f"All windows are encoded: {self.why}"
        return (
            f"{1 - self.share:.0%} of the windows show too little to be encoded (less "
            f"than {self.levels} grey levels); a search of the others keeps "
            f"{self.kept:.0%} of what a search of all finds, measured on {self.images} "
            "of your images"
        )


def windows_of(
    paths: Sequence[str | Path], backbone: Backbone, cover: CompleteCover,
    options: EncodeOptions = DEFAULT,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Encodes all windows of files, one after the other, see :meth:`Sampled.of`.

    Files that cannot be read, or not at once, are left out.

    Args:
        paths: files
        backbone: the model
        cover: the windows
        options (DEFAULT): how files are read

    Yields:
        ``(p, d)`` float32 unit features, and ``(p,)`` uint8 ranges of grey levels
    """
    found = read_images(
        paths, options.num_workers, max_pixels=options.max_pixels,
        read_seconds=options.read_seconds,
    )
    with closing(found):
        for image in found:
            if not isinstance(image.pixels, np.ndarray):
                continue
            pixels = torch.from_numpy(image.pixels).to(backbone.device)
            patches = extract_patches(
                pixels.permute(2, 0, 1), cover, backbone.patch_spec
            )
            yield backbone.encode_patches(patches).float(), spread(patches)


def fit_limit(sampled: Sampled, words: Tensor, held_out: Tensor) -> FlatLimit:
    """Chooses a limit on one half of the images, and judges it on the other.

    Args:
        sampled: images in random order
        words: ``(K, d)`` unit features of texts to choose by
        held_out: ``(L, d)``, likewise, of others to judge by

    Raises:
        ValueError: if words are not finite or of another dimension than windows
    """
    dim = sampled.features.shape[2]
    words = check_rows(words, dim, "words").to(sampled.features)
    held_out = check_rows(held_out, dim, "held_out").to(sampled.features)
    n = len(sampled.features)
    if n < MIN_IMAGES:
        return FlatLimit(0, why=f"it takes {MIN_IMAGES} images to measure, not {n}")
    chooses = _Judge(sampled[: n // 2], words)
    judges = _Judge(sampled[n // 2 :], held_out)
    if min(chooses.words, judges.words) < MIN_WORDS:
        return FlatLimit(0, why="too few of the words stand out in any of the images")
    levels = next((one for one in chooses.limits() if chooses.kept(one) >= _SURE), 0)
    if not levels:
        return FlatLimit(0, why="each shows something that some search finds by it")
    kept = judges.kept(levels)
    if kept < KEEP:
        return FlatLimit(0, why=f"without some, a search keeps {kept:.0%} only")
    return FlatLimit(levels, judges.share(levels), kept, n - n // 2)


class _Judge:
    """Compares searches of some windows with one of all."""

    def __init__(self, sampled: Sampled, words: Tensor) -> None:
        self._sampled, self._words = sampled, words
        hits = find_hits(self._scores(sampled.mask))
        self._counted = hits.any(axis=1)
        self._hits = hits[self._counted]

    @property
    def words(self) -> int:
        """Those that count: of which some image stands out."""
        return len(self._hits)

    def limits(self) -> list[int]:
        """What leaves each share of the windows, from few windows to many."""
        spreads = self._sampled.spreads[self._sampled.mask].float()
        found = [max(2, int(spreads.quantile(1 - share))) for share in SHARES]
        return list(dict.fromkeys(found))

    def kept(self, levels: int) -> float:
        """Mean average precision of what a search of all windows finds best."""
        scores = self._scores(self._left(levels))[self._counted]
        return float(average_precision(scores, self._hits).mean())

    def share(self, levels: int) -> float:
        """Of the windows that is left."""
        return float(self._left(levels).sum() / self._sampled.mask.sum())

    def _left(self, levels: int) -> Tensor:
        left = self._sampled.mask & (self._sampled.spreads >= levels)
        left[:, 0] = True  # the whole image stands for what nothing else does
        return left

    def _scores(self, mask: Tensor) -> NDArray[np.float64]:
        """``(K, n)`` float64 of the best window."""
        with torch.inference_mode():
            scores = maxsim_batch(self._words, self._sampled.features, mask)
        return scores.T.cpu().double().numpy()
