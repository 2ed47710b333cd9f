"""Learned words: texts with a taught word, or near to one, mean what was shown."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from detail_embed.texts.wordings import base_form

NEARNESS = 0.9
_TENSORS, _FACTS = "words.safetensors", "words.json"
_RIDGE = 1e-3  # of the interpolation: two words of one text get the mean of both
_TOKEN = re.compile(r"[^\W_]+")


class TextAdapter:
    """Moves query vectors that mean taught words, and leaves all others alone.

    A word ``c`` has the vector ``t_c`` as the model encodes it, and was taught to
    mean ``y_c``. A query ``t`` whose text has taught words in it takes along what each
    of them learned, ``t' = unit(t + sum_c (y_c - t_c))``. Any other query becomes::

        t' = unit(t + sum_c k(t, t_c) s_c)
        k(a, b) = max(0, (a . b - nearness) / (1 - nearness))

    where the ``s_c`` are such that every ``t_c`` becomes its ``y_c``: interpolation by
    radial basis functions, ``(K K + e I) S = K (Y - T)``. A text without a taught word
    that is no nearer to any than ``nearness`` stays as it is, bit for bit. The affinity
    of a query to known examples is the idea of Tip-Adapter (arXiv 2207.09519), which
    has it between images, and beside the score; here it is between texts, and the query
    stays one vector, so that stored vectors and every index can be searched by it.

    Args:
        words: ``n`` taught words, as a person would type them
        texts: ``(n, d)`` float32, unit length, as the model encodes them
        taught: ``(n, d)`` float32, unit length, what they were taught to mean
        nearness (0.9): the cosine from which on a text is moved, at least 0, below 1

    Raises:
        ValueError: if the vectors are no such rows, or the nearness is out of range
    """

    def __init__(
        self,
        words: Sequence[str],
        texts: np.ndarray,
        taught: np.ndarray,
        nearness: float = NEARNESS,
    ):
        self.words = tuple(words)
        texts, taught = _rows(texts, "texts"), _rows(taught, "taught")
        if texts.shape != taught.shape or len(self.words) != len(texts):
            raise ValueError(
                f"{len(self.words)} words, texts {texts.shape} and taught vectors "
                f"{taught.shape}: give one text and one taught vector for each word"
            )
        if not 0 <= nearness < 1:
            raise ValueError(
                f"nearness={nearness!r}: give a cosine of at least 0 and below 1"
            )
        self.nearness = float(nearness)
        self._texts, self._offsets = texts, taught - texts
        self._shifts = _interpolate(texts, taught, self.nearness)
        self._rows = _by_tokens(self.words)

    @property
    def dim(self) -> int:
        """d, the dimension of the space."""
        return self._texts.shape[1]

    @property
    def hash(self) -> str:
        """12 hex characters that name what was learned."""
        found = hashlib.sha256(json.dumps([self.nearness, self._texts.shape]).encode())
        found.update(json.dumps(self.words).encode())
        for rows in (self._texts, self._shifts, self._offsets):
            found.update(rows.tobytes())
        return found.hexdigest()[:12]

    def __call__(self, queries: Tensor, texts: Sequence[str]) -> Tensor:
        """Moves queries.

        Args:
            queries: ``(n, d)`` float, unit length, on any device
            texts: ``n``, what they are of

        Returns:
            the same shape, type and device, unit length
        """
        known, offsets, shifts = (
            torch.from_numpy(rows).to(queries)
            for rows in (self._texts, self._offsets, self._shifts)
        )
        near = kernel(queries @ known.T, self.nearness)
        by = near @ shifts
        is_moved = near.any(dim=1)
        for number, text in enumerate(texts):
            if rows := self.taught_in(text):
                by[number], is_moved[number] = offsets[rows].sum(dim=0), True
        return torch.where(is_moved[:, None], F.normalize(queries + by), queries)

    def moves(self, queries: Tensor, texts: Sequence[str]) -> Tensor:
        """``(n,)`` bool: which queries have a taught word in them, or are near to one.

        Args: as of a call.
        """
        known = torch.from_numpy(self._texts).to(queries)
        near = ((queries @ known.T) > self.nearness).any(dim=1)
        within = [bool(self.taught_in(text)) for text in texts]
        return near | torch.tensor(within, dtype=torch.bool, device=near.device)

    def taught_in(self, text: str) -> list[int]:
        """The numbers of the taught words that stand in a text, the longest first.

        Case and number do not count: "two Hamsas" has "hamsa" in it.
        """
        tokens, found = _tokens(text), []
        for size in sorted({len(key) for key in self._rows}, reverse=True):
            start = 0
            while start + size <= len(tokens):
                row = self._rows.get(tuple(tokens[start : start + size]))
                if row is not None:
                    found.append(row)
                    tokens[start : start + size] = [""]
                start += 1
        return found

    def save(self, directory: str | Path) -> None:
        """Saves vectors as safetensors, and the words as JSON."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        tensors = {
            "texts": self._texts, "shifts": self._shifts, "offsets": self._offsets,
        }
        save_file(tensors, directory / _TENSORS)
        facts = {"words": self.words, "nearness": self.nearness, "hash": self.hash}
        text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (directory / _FACTS).write_text(text, "utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> TextAdapter:
        """Loads what :meth:`save` wrote.

        Raises:
            ValueError: if the directory holds nothing of the kind, or it is damaged
        """
        directory = Path(directory)
        try:
            facts = json.loads((directory / _FACTS).read_text("utf-8"))
            tensors = load_file(directory / _TENSORS)
            made = cls.__new__(cls)
            made.words = tuple(facts["words"])
            made.nearness = float(facts["nearness"])
            made._texts, made._shifts = tensors["texts"], tensors["shifts"]
            made._offsets, made._rows = tensors["offsets"], _by_tokens(made.words)
            is_whole = made.hash == facts["hash"]
        except FileNotFoundError as error:
            raise ValueError(f"no learned words in {directory}: {error}") from error
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise _damaged(directory, repr(error)) from error
        if not is_whole:
            raise _damaged(directory, "the vectors are not those that were saved")
        return made


def kernel(cosines: Tensor, nearness: float) -> Tensor:
    """How much of a word's shift a text takes: 1 at the word, 0 from nearness on."""
    return ((cosines - nearness) / (1 - nearness)).clamp(min=0)


def _by_tokens(words: Sequence[str]) -> dict[tuple[str, ...], int]:
    rows = {tuple(_tokens(word)): row for row, word in enumerate(words)}
    return {tokens: row for tokens, row in rows.items() if tokens}


def _tokens(text: str) -> list[str]:
    return [_singular(token) for token in _TOKEN.findall(text.casefold())]


@lru_cache(4096)
def _singular(token: str) -> str:
    return base_form(token)


def _interpolate(texts: np.ndarray, taught: np.ndarray, nearness: float) -> np.ndarray:
    texts, taught = texts.astype(np.float64), taught.astype(np.float64)
    near = kernel(torch.from_numpy(texts @ texts.T), nearness).numpy()
    ridge = _RIDGE * np.eye(len(texts))
    shifts = np.linalg.solve(near @ near + ridge, near @ (taught - texts))
    return shifts.astype(np.float32)


def _rows(rows: np.ndarray, what: str) -> np.ndarray:
    rows = np.ascontiguousarray(rows, np.float32)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"{what}: rows (n, d) expected, not of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{what}: some vectors are NaN or infinite: encode them again")
    if np.abs(np.linalg.norm(rows, axis=1) - 1).max() > 1e-2:
        raise ValueError(f"{what}: rows of length 1 expected: normalise them")
    return rows


def _damaged(directory: Path, why: str) -> ValueError:
    return ValueError(f"the learned words in {directory} are damaged: {why}")
