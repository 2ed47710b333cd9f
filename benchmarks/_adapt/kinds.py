"""Kinds of things that the demo backbone was never shown: renders that its bank lacks.

They are of the same two npm packages as ``detail_embed/clver_ds/things.zip``, see
``tools/build_things_bank.py``.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from detail_embed.clver_ds import things
from detail_embed.clver_ds.concepts import concepts
from tools.build_things_bank import read_member

RENDERS = "lobehub-fluent-emoji-3d-1.1.0.tgz"
NAMES = "emoji-datasource-16.0.0.tgz"
NEW = (
    "key", "hammer and pick", "nazar amulet", "hamsa", "diya lamp", "radioactive",
    "peace symbol", "yin yang", "skull and crossbones", "clown face", "japanese ogre",
    "japanese goblin", "pile of poo", "handshake", "thumbs up sign", "hatching chick",
    "spouting whale", "dragon face", "tiger face", "cow face", "rabbit face",
    "pig face", "cat face", "dog face", "motor boat", "passenger ship", "tram car",
    "trolleybus", "pager", "dvd", "memo", "round pushpin", "linked paperclips",
    "petri dish", "drop of blood", "no entry", "pirate flag", "chequered flag",
    "running shirt with sash", "camping", "synagogue", "microbe", "curry and rice",
    "mahjong tile red dragon", "playing card black joker",
)


def add_new_kinds(renders: Path) -> None:
    """Puts the new kinds into the bank of this process.

    Args:
        renders: a folder with the archives of both packages, as ``npm pack`` writes
            them

    Raises:
        FileNotFoundError: if it lacks one of them
        ValueError: if they lack one of the kinds
    """
    for name in (RENDERS, NAMES):
        if not (renders / name).is_file():
            raise FileNotFoundError(
                f"{renders / name} is missing: run `npm pack "
                "@lobehub/fluent-emoji-3d@1.1.0 emoji-datasource@16.0.0` there"
            )
    bank = things._bank()
    with tarfile.open(renders / RENDERS) as pictures, \
            tarfile.open(renders / NAMES) as names:
        files = {
            Path(member).stem: member.removeprefix("package/")
            for member in pictures.getnames() if member.endswith(".webp")
        }
        for emoji in json.loads(read_member(names, "emoji.json")):
            kind = (emoji["name"] or emoji["short_name"]).lower()
            code = emoji["unified"].lower()
            if kind in NEW and kind not in bank and code in files:
                bank[kind] = read_member(pictures, files[code])
    if missing := [kind for kind in NEW if kind not in bank]:
        raise ValueError(f"{renders}: no render of {', '.join(missing)}")
    concepts.cache_clear()
