"""Proxy words and the words that are held out from them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_BATCH = 256


class TextEncoder(Protocol):
    """The text side of a backbone."""

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Encodes n texts as ``(n, d)`` unit float32."""


def is_held_out(word: str, fraction: float = 0.3) -> bool:
    """Tells whether a word is set apart from the proxies, by its name alone.

    The same on every machine; a larger fraction holds out a superset.

    Args:
        word: a word or phrase
        fraction (0.3): share of all words to hold out, 0 to 1
    """
    digest = hashlib.sha256(word.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < fraction


@dataclass(frozen=True)
class Vocabulary:
    """Distinct words and phrases, in order, and where they came from.

    Attributes:
        words: at least one, none blank, each once
        source: a file's path, a field's name...; for messages and records
    """

    words: tuple[str, ...]
    source: str

    @classmethod
    def from_words(cls, words: Iterable[str], source: str = "words") -> Vocabulary:
        """Takes words as they come, leaving out blanks and repetitions.

        White space around and within a word is made single spaces.

        Args:
            words: words and phrases
            source ("words"): where they came from

        Raises:
            TypeError: if one is not a str, or ``words`` itself is one
            ValueError: if none is left
        """
        if isinstance(words, str):
            raise TypeError(f"words must be a list of words, not the text {words!r}")
        words = list(words)
        for index, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(f"{source}: word {index} is {word!r}, not a text")
        filled = [text for word in words if (text := " ".join(word.split()))]
        distinct = tuple(dict.fromkeys(filled))
        if not distinct:
            raise ValueError(f"{source}: no words; give at least one")
        if len(distinct) < len(filled):
            logger.info(
                "%s: left out %d repeated words", source, len(filled) - len(distinct)
            )
        return cls(distinct, source)

    @classmethod
    def from_file(cls, path: str | Path) -> Vocabulary:
        """Reads a UTF-8 text file, one word or phrase a line.

        Raises:
            FileNotFoundError: if there is no such file
            ValueError: if it holds no word, or a line that is not UTF-8 text
        """
        words = []
        for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
            try:
                word = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: not UTF-8 text ({error.reason} at byte "
                    f"{error.start + 1}); save the file as UTF-8"
                ) from error
            if "\0" in word:
                raise ValueError(f"{path}, line {number}: binary data, not text")
            words.append(word)
        return cls.from_words(words, source=str(path))

    def __len__(self) -> int:
        return len(self.words)

    def proxies(self, backbone: TextEncoder, templates: Sequence[str]) -> torch.Tensor:
        """Encodes the words, each as the mean of its templates.

        Args:
            backbone: whose text side encodes
            templates: texts with ``{}`` for the word, e.g. ``"a photo of a {}."``

        Returns:
            ``(K, d)`` unit float32, in the order of the words

        Raises:
            ValueError: if there is no template, or one without ``{}``
        """
        import torch  # slow, and knowing which words are held out does not need it

        bad = [template for template in templates if "{}" not in template]
        if bad or not templates:
            raise ValueError(
                f"templates must hold {{}} for the word, got {templates!r}"
            )
        features = []
        for start in range(0, len(self), _BATCH):
            batch = self.words[start : start + _BATCH]
            wordings = sum(
                backbone.encode_texts([t.replace("{}", word) for word in batch])
                for t in templates
            )
            features.append(torch.nn.functional.normalize(wordings, dim=1))
        return torch.cat(features)
