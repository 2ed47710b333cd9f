"""Scenes whose things have names that no model knows."""

import json

import pytest

from detail_embed import clver_ds
from detail_embed.adapt.pictures import Picture, Said

WORDS = ("zorp", "quib", "flim", "wug", "dax", "blick", "toma", "kiki", "vonk", "rell")


@pytest.fixture(scope="session")
def invented(tmp_path_factory):
    """Pictures of solids with boxes, named by their colours in invented words."""
    folder = tmp_path_factory.mktemp("invented")
    target = clver_ds.generate(
        folder, 48, bank="solids", size=192, scales=(0.3, 0.4), objects=(2, 3)
    )
    coco = json.loads(target.read_text())
    colours = sorted({n["attributes"]["colour"] for n in coco["annotations"]})
    names = dict(zip(colours, WORDS, strict=False))
    pictures = []
    for image in coco["images"]:
        wide, high = image["width"], image["height"]
        said = [
            Said(
                names[note["attributes"]["colour"]],
                tuple(v / s for v, s in zip(note["bbox"], (wide, high, wide, high))),
            )
            for note in coco["annotations"] if note["image_id"] == image["id"]
        ]
        path = folder / clver_ds.IMAGES / image["file_name"]
        pictures.append(Picture(str(path), tuple(said)))
    return pictures


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """A data directory of its own."""
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    return tmp_path / "data"
