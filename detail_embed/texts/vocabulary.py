"""Proxy words and the words that are held out from them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from detail_embed.texts.wordings import base_form, class_wordings, is_held_out

logger = logging.getLogger(__name__)

NOUNS = Path(__file__).with_name("nouns.txt")


@dataclass(frozen=True)
class Vocabulary:
    """Distinct words and phrases, in order, and where they came from.

    Attributes:
        words: at least one, none blank, each once
        source: a file's path, a field's name...; for messages and records
        parts: the base forms of words that are parts of classes, each with the base
            forms of those classes; a part is split with them
    """

    words: tuple[str, ...]
    source: str
    parts: Mapping[str, frozenset[str]] = field(
        default_factory=dict, repr=False, compare=False
    )

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

    @classmethod
    def nouns(cls, limit: int | None = None) -> Vocabulary:
        """Takes the packaged list of things that can be seen in a photograph.

        Args:
            limit (None): how many, the most frequent first; all 9,000 by default

        Raises:
            ValueError: if ``limit`` is less than 1
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit!r}")
        lines = NOUNS.read_text("utf-8").splitlines()
        return cls.from_words(lines[:limit], source="packaged nouns")

    @classmethod
    def from_classes(
        cls, classes: Iterable[str], source: str = "classes"
    ) -> Vocabulary:
        """Takes the classes of a label field, each followed by its parts.

        ``"red_metal_cube"`` gives "red metal cube", "red", "metal", "cube" and "metal
        cube"; see :func:`~.wordings.class_wordings`. What belongs to one
        class is listed together, as :class:`~detail_embed.fusers.ridge.Ridge` needs.

        Args:
            classes: names
            source ("classes"): the name of the field, for messages

        Raises:
            TypeError: if one is not a str, or ``classes`` itself is one
            ValueError: if there is none
        """
        names = cls.from_words(classes, source).words
        return cls.from_groups({name: class_wordings(name) for name in names}, source)

    @classmethod
    def from_groups(
        cls, groups: Mapping[str, tuple[list[str], list[str]]], source: str
    ) -> Vocabulary:
        """Joins the wordings and parts of each class.

        Args:
            groups: by the name of a class, its wordings and its parts
            source: where they are from, in words
        """
        whole = {base_form(w) for wordings, _ in groups.values() for w in wordings}
        words: dict[str, None] = {}
        parts: dict[str, set[str]] = {}
        for name, (wordings, pieces) in groups.items():
            words.update(dict.fromkeys([*wordings, *pieces]))
            for base in set(map(base_form, pieces)) - whole:
                parts.setdefault(base, set()).add(base_form(name))
        frozen = {base: frozenset(classes) for base, classes in parts.items()}
        return cls(tuple(words), source, frozen)

    def __add__(self, other: Vocabulary) -> Vocabulary:
        """Joins two: the words of the first, then what the second adds."""
        if not isinstance(other, Vocabulary):
            return NotImplemented
        parts = dict(self.parts)
        for base, classes in other.parts.items():
            parts[base] = parts.get(base, frozenset()) | classes
        words = tuple(dict.fromkeys(self.words + other.words))
        return Vocabulary(words, f"{self.source} + {other.source}", parts)

    def without(self, words: Iterable[str]) -> Vocabulary:
        """Leaves out words and their wordings, such as those to be searched for.

        What counts as a wording is said at :func:`~.wordings.base_form`;
        parts and longer phrases stay.

        Args:
            words: words that need not be in the vocabulary

        Raises:
            TypeError: if ``words`` is a str
            ValueError: if no word is left
        """
        if isinstance(words, str):
            raise TypeError(f"words must be a list of words, not the text {words!r}")
        dropped = set(map(base_form, words))
        kept = tuple(word for word in self.words if base_form(word) not in dropped)
        if not kept:
            raise ValueError(
                f"{self.source}: all {len(self)} words are left out; give others"
            )
        return Vocabulary(kept, self.source, self.parts)

    def split(
        self, fraction: float = 0.2, salt: str = "split"
    ) -> tuple[Vocabulary, Vocabulary]:
        """Sets words apart, by their names alone: the same on every machine.

        All wordings of a thing (see :func:`~.wordings.base_form`) are on
        one side. A part goes with its class, unless it is a class itself; a part that
        classes of both sides share is on neither.

        Args:
            fraction (0.2): share of things to hold out, between 0 and 1
            salt ("split"): another one gives another split

        Returns:
            the words to train on, and those held out

        Raises:
            ValueError: if there are fewer than 2 things, or the fraction is wrong
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must be between 0 and 1, not {fraction!r}")
        bases = [base_form(word) for word in self.words]
        things = set(bases) - self.parts.keys()
        held_out = _hold_out(things.union(*self.parts.values()), fraction, salt)
        train, test = [], []
        for word, base in zip(self.words, bases):
            classes = self.parts.get(base, (base,))
            found = sum(name in held_out for name in classes)
            if found == len(classes):
                test.append(word)
            elif not found:
                train.append(word)
        if not train or not test:
            raise ValueError(
                f"{self.source}: {len(self)} words, but too few different things to "
                f"split, such as {self.words[0]!r}; add words for others"
            )
        return (
            Vocabulary(tuple(train), f"{self.source}, training", self.parts),
            Vocabulary(tuple(test), f"{self.source}, held out", self.parts),
        )

    def __len__(self) -> int:
        return len(self.words)


def _hold_out(things: set[str], fraction: float, salt: str) -> set[str]:
    """Chooses things by hash; of two or more at least one, and not all.

    The salt makes the choice independent of :func:`is_held_out` of the bare word, by
    which the demo's words are chosen.
    """
    held_out = {t for t in things if is_held_out(f"{salt}: {t}", fraction)}
    if len(things) < 2 or 0 < len(held_out) < len(things):
        return held_out
    one = min(things, key=lambda t: hashlib.sha256(f"{salt}: {t}".encode()).digest())
    return things - {one} if held_out else {one}
