"""Texts to tokens: loaded when first needed, safe in threads, never silently cut."""

from __future__ import annotations

import logging
import threading
from functools import cached_property, lru_cache
from typing import Any

import open_clip
from torch import Tensor

from detail_embed.backbone.root_log import untouched_root_log

logger = logging.getLogger(__name__)

_MARKS = 3  # tokens, at most, that mark the ends of a text


class Tokenizer:
    """The tokenizer of an open_clip model.

    Some come from a hub, so nothing is loaded before the first text: images can be
    embedded where the hub is out of reach.

    Args:
        name: the model, as open_clip knows it
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()  # the fast tokenizers of transformers need it

    def __call__(self, texts: list[str]) -> Tensor:
        """Returns the tokens of ``n`` texts: ``(n, context length)`` int64.

        Texts that are too long are cut off, and a warning says so.

        Raises:
            RuntimeError: if the tokenizer cannot be loaded
        """
        with self._lock:
            self._warn_of_cuts(texts)
            return self._tokenizer(texts)

    @classmethod
    @lru_cache
    def of(cls, name: str) -> Tokenizer:
        """The tokenizer of a model, the same one for all its backbones."""
        return cls(name)

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            with untouched_root_log():
                return open_clip.get_tokenizer(self._name)
        except ImportError as error:
            raise RuntimeError(
                f"the tokenizer of {self._name} needs another package: {error}. "
                "pip install transformers sentencepiece"
            ) from error
        except Exception as error:  # transformers raises errors of any kind
            raise RuntimeError(
                f"the tokenizer of {self._name} could not be loaded: {error} It comes "
                "from a hub: connect to the internet once, or use a model with "
                "open_clip's own tokenizer, such as ViT-B-32"
            ) from error

    def cut(self, texts: list[str]) -> list[str]:
        """Those of some texts whose ends the model does not read.

        Raises:
            RuntimeError: if the tokenizer cannot be loaded
        """
        with self._lock:
            return self._cut(texts)

    def count(self, text: str) -> int:
        """Counts the tokens of a text, however long, without those that mark its ends.

        Raises:
            RuntimeError: if the tokenizer cannot be loaded
        """
        with self._lock:
            room = len(text.encode()) + _MARKS + 1  # a token is a byte at least
            tokens, one = self._tokenizer([text, "a"], room)
        padding = one[-1]
        return int((tokens != padding).sum() - (one != padding).sum()) + 1

    def _warn_of_cuts(self, texts: list[str]) -> None:
        cut = self._cut(texts)
        if cut:
            length = self._tokenizer.context_length
            logger.warning(
                "%d of %d texts are longer than the %d tokens that %s reads; their "
                "ends are ignored, such as that of %.60r",
                len(cut), len(texts), length, self._name, cut[0],
            )

    def _cut(self, texts: list[str]) -> list[str]:
        """Those where one token more would not have been padding."""
        length = self._tokenizer.context_length
        long = [text for text in texts if len(text.encode()) + _MARKS > length]
        if not long:
            return []
        *last, padding = self._tokenizer([*long, "a"], length + 1)[:, length].tolist()
        return [text for text, token in zip(long, last) if token != padding]
