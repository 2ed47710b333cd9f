"""Rebuilds the `things` bank from two npm packages (both MIT).

    python tools/build_things_bank.py

fetches ``@lobehub/fluent-emoji-3d`` (256 px renders with alpha) and
``emoji-datasource`` (their names) with ``npm pack``, selects what
``things_selection.json`` says and writes ``detail_embed/clver_ds/things.zip``:
one WebP file a kind, named after it. The result is the same byte for byte.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

RENDERS = "@lobehub/fluent-emoji-3d@1.1.0"
NAMES = "emoji-datasource@16.0.0"
SELECTION = Path(__file__).with_name("things_selection.json")
BANK = Path(__file__).parent.parent / "detail_embed" / "clver_ds" / "things.zip"


def npm_pack(package: str, folder: str) -> tarfile.TarFile:
    """Downloads an npm package and opens its archive."""
    out = subprocess.run(
        ["npm", "pack", "--silent", package],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout
    return tarfile.open(Path(folder) / out.strip().splitlines()[-1])


def read_member(archive: tarfile.TarFile, name: str) -> bytes:
    """Reads a file of an npm archive."""
    return archive.extractfile(f"package/{name}").read()


def select(emojis: list[dict], available: set[str]) -> dict[str, str]:
    """Maps the name of each chosen kind to its code points."""
    rules = json.loads(SELECTION.read_text())
    keep, drop = set(rules["keep"]), set(rules["drop"])
    chosen: dict[str, str] = {}
    for emoji in sorted(emojis, key=lambda e: e["sort_order"]):
        name = (emoji["name"] or emoji["short_name"]).lower()
        code = emoji["unified"].lower()
        listed = (
            emoji["category"] in rules["categories"]
            and emoji["subcategory"] not in rules["drop_subcategories"]
            and name not in drop
        )
        if code in available and (listed or name in keep):
            kind = rules["rename"].get(name, name)
            if kind in chosen:
                raise ValueError(f"two pictures are called {kind!r}: drop one")
            chosen[kind] = code
    return chosen


def main() -> None:
    """Downloads, selects and writes."""
    with tempfile.TemporaryDirectory() as folder:
        renders = npm_pack(RENDERS, folder)
        names = npm_pack(NAMES, folder)
        emojis = json.loads(read_member(names, "emoji.json"))
        files = {
            Path(member).stem: member.removeprefix("package/")
            for member in renders.getnames() if member.endswith(".webp")
        }
        bank = io.BytesIO()
        with zipfile.ZipFile(bank, "w", zipfile.ZIP_STORED) as archive:
            for kind, code in sorted(select(emojis, set(files)).items()):
                info = zipfile.ZipInfo(f"{kind}.webp", (1980, 1, 1, 0, 0, 0))
                archive.writestr(info, read_member(renders, files[code]))
    BANK.write_bytes(bank.getvalue())
    print(f"{BANK.name}: {len(archive.namelist())} kinds, "
          f"{BANK.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
