"""A trained classifier: one weight vector a class, and what it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from detail_embed.classifiers.bags import Bags, batches
from detail_embed.classifiers.calibration import probabilities

TENSORS = "classifier.safetensors"
CONFIG = "classifier.json"
_FORMAT = 1
_FAR = -1e4  # score of what is no vector


@dataclass(frozen=True, eq=False)
class Classifier:
    """Scores images or boxes by their vectors, the best of which counts.

    Attributes:
        kind: of classifier, see :func:`.registry.names`
        classes: K names
        several: whether one thing may have several classes, or none; else exactly one
        space: the embedding space of the vectors that it was trained on
        weights: ``(K, d)`` float32
        bias: ``(K,)`` float32
        slopes: ``(K,)`` float32, of the calibration
        offsets: ``(K,)`` float32, likewise
        facts: what else is known of it, JSON values
    """

    kind: str
    classes: list[str]
    several: bool
    space: str
    weights: np.ndarray
    bias: np.ndarray
    slopes: np.ndarray
    offsets: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, bags: Bags) -> np.ndarray:
        """Calibrated logits of each class, ``(n, K)`` float64."""
        return self.look(bags)[0]

    def look(self, bags: Bags) -> tuple[np.ndarray, np.ndarray]:
        """Scores, and what they come from.

        Args:
            bags: ``n`` images or boxes in :attr:`space`

        Returns:
            calibrated logits ``(n, K)`` float64, and ``(n, K)`` int64: which vector of
            a bag is the best for a class

        Raises:
            ValueError: if the vectors have another dimension
        """
        if len(bags) and bags.dim != self.weights.shape[1]:
            raise ValueError(
                f"the vectors have {bags.dim} dimensions, but the classifier is of "
                f"{self.space}, which has {self.weights.shape[1]}: give vectors of that"
            )
        logits = np.zeros((len(bags), len(self.classes)))
        places = np.zeros(logits.shape, np.int64)
        start = 0
        for vectors, mask in batches(bags):
            found = vectors.numpy() @ self.weights.T
            found[~mask.numpy()] = _FAR
            end = start + len(found)
            places[start:end] = found.argmax(axis=1)
            logits[start:end] = found.max(axis=1)
            start = end
        return self.slopes * (logits + self.bias) + self.offsets, places

    def probabilities(self, bags: Bags) -> np.ndarray:
        """Probabilities ``(n, K)``; a row adds up to 1 unless there are several."""
        return probabilities(self.scores(bags), self.several)

    @property
    def hash(self) -> str:
        """12 hex characters of what it does."""
        return _digest(self._config(), self._tensors())

    def save(self, directory: str | Path) -> None:
        """Writes safetensors and JSON to a folder, which is made where missing."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        save_file(self._tensors(), directory / TENSORS)
        config = {**self._config(), "facts": dict(self.facts), "hash": self.hash}
        (directory / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> Classifier:
        """Reads what :meth:`save` wrote.

        Raises:
            FileNotFoundError: if the folder holds no classifier
            ValueError: if its files are damaged or do not belong together
        """
        directory = Path(directory)
        for name in (CONFIG, TENSORS):
            if not (directory / name).is_file():
                raise FileNotFoundError(f"no classifier in {directory}: no {name}")
        try:
            config = json.loads((directory / CONFIG).read_text("utf-8"))
            expected, written = config.pop("hash"), config.pop("format")
            found = cls(**config, **load_file(directory / TENSORS))
            is_whole = found.hash == expected
        except (ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ValueError(
                f"the classifier in {directory} is damaged ({error!r}): train it anew"
            ) from error
        if written != _FORMAT:
            raise ValueError(
                f"{directory / CONFIG} is of format {written}, this version reads "
                f"{_FORMAT}: update detail-embed, or train it anew"
            )
        if not is_whole:
            raise ValueError(
                f"the classifier in {directory} is damaged: hash {found.hash}, not "
                f"{expected}: train it anew"
            )
        return found

    def _config(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "kind": self.kind,
            "classes": list(self.classes),
            "several": self.several,
            "space": self.space,
        }

    def _tensors(self) -> dict[str, np.ndarray]:
        names = ("weights", "bias", "slopes", "offsets")
        return {
            name: np.ascontiguousarray(getattr(self, name), np.float32)
            for name in names
        }


def _digest(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name}{tensor.shape}".encode())
        found.update(tensor.tobytes())
    return found.hexdigest()[:12]
