"""Search by example where something is missing, broken or of another kind."""

from io import BytesIO

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
import tifffile
from PIL import Image

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.search.examples import Box, mix
from tests.bad_files import png_of_zeros

KEY = "detail"


@pytest.fixture(scope="module")
def indexed(scenes):
    dataset = load_clver_ds(scenes)
    settings = Settings(
        backbone=DEMO, cover=2, device="cpu", fuser="mean", keep_features=False
    )
    compute_index.compute(Index(dataset, KEY), dataset, settings).finish()
    yield dataset
    dataset.delete()


def test_nothing_to_search_by(indexed):
    with pytest.raises(ValueError, match="give a text, samples, boxes or pictures"):
        mix(Index(indexed, KEY))


def test_a_sample_without_a_vector(indexed):
    odd = fo.Sample(filepath=indexed.first().filepath)
    indexed.add_sample(odd)
    with pytest.raises(ValueError, match=f"{odd.id} has no vector.*embed it"):
        mix(Index(indexed, KEY), sample_ids=[odd.id])
    with pytest.raises(ValueError, match="has no vector"):
        mix(Index(indexed, KEY), sample_ids=[indexed.first().id, "0" * 24])
    indexed.delete_samples([odd.id])


def test_text_and_example_that_cancel_out(indexed):
    text = query_vectors.encode(Index(indexed, KEY), "a cube")
    with pytest.raises(ValueError, match="cancel each other out: change the weights"):
        mix(Index(indexed, KEY), "a cube", vector=text, weight=-1.0)
    with pytest.raises(ValueError, match="change the weights"):
        mix(Index(indexed, KEY), vector=text, weight=0.0)


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "chunk"])
def test_an_unreadable_picture(indexed, tmp_path, kind):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (299, 299, 3), dtype=np.uint8))
    file = BytesIO()
    image.save(file, "PNG")
    data = bytearray(file.getvalue())
    place = data.rindex(b"IDAT")
    data[place : place + 4] = b"\0\1\2\3" if kind == "chunk" else b"IDAT"
    data = {"text": b"no image", "empty": b"", "cut": data[:5000]}.get(kind, data)
    with pytest.raises(ValueError, match="the picture cannot be read as an image"):
        mix(Index(indexed, KEY), pictures=[bytes(data)])
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(ValueError, match="bad.png"):
        mix(
            Index(indexed, KEY), boxes=[Box(str(tmp_path / "bad.png"), [0, 0, 1, 1])]
        )


def test_a_file_that_is_gone(indexed):
    with pytest.raises(ValueError, match="/nowhere.png: is missing"):
        mix(Index(indexed, KEY), boxes=[Box("/nowhere.png", [0, 0, 1, 1])])


def test_a_vector_of_another_model(indexed):
    with pytest.raises(ValueError, match="another model"):
        mix(Index(indexed, KEY), "a cube", vector=np.ones(3))
    with pytest.raises(ValueError, match="another model"):
        mix(Index(indexed, KEY), sample_ids=[indexed.first().id], vector=np.ones(3))


def test_an_index_that_is_not_there(indexed):
    for example in ({"sample_ids": ["0" * 24]}, {"pictures": [b""]}):
        with pytest.raises(ValueError):
            mix(Index(indexed, "nope"), **example)


def test_an_index_without_a_model_takes_samples_only(indexed):
    vectors = np.stack(indexed.values("detail_embedding"))
    fob.compute_similarity(indexed, embeddings=vectors, brain_key="bare")
    try:
        id = indexed.first().id
        bare, ours = (mix(
            Index(indexed, key), sample_ids=[id]
        ) for key in ("bare", KEY))
        np.testing.assert_allclose(bare, ours, atol=1e-6)
        with pytest.raises(ValueError, match="cannot be searched by text"):
            mix(Index(indexed, "bare"), pictures=[Image.new("RGB", (30, 30))])
    finally:
        indexed.delete_brain_run("bare")


def test_pictures_are_read_as_files_are(indexed, tmp_path):
    """The same limits, words and pixels: sizes, thumbnails of TIFFs, deep colours."""
    pixels = np.asarray(Image.open(indexed.first().filepath).convert("RGB"))
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels[::8, ::8] * 0, photometric="rgb", subfiletype=1)
        tiff.write(pixels.astype("u2") * 16, photometric="rgb")
    index = Index(indexed, KEY)
    expected = mix(index, pictures=[Image.fromarray(pixels)])
    for picture in (path, str(path), path.read_bytes()):
        for pictures in ([picture], picture):
            found = mix(index, pictures=pictures)
            np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize(
    "content, expected",
    [
        (png_of_zeros(70_000), "it has 70000 x 70000 pixels, more than the"),
        (b"<!DOCTYPE html>", "it is HTML, not an image. Choose another"),
        (b"", "it is empty"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "it is a camera's raw file"),
        (b"\0\x05\x16\x07", "it is what macOS writes beside a file"),
    ],
)
def test_pictures_are_refused_as_files_are(indexed, tmp_path, content, expected):
    with pytest.raises(ValueError, match=expected):
        mix(Index(indexed, KEY), pictures=[content])
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=expected):
        mix(Index(indexed, KEY), pictures=[tmp_path / "a.jpg"])


def test_opened_pictures_that_are_too_large_or_cut_off(indexed, tmp_path, monkeypatch):
    index = Index(indexed, KEY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    huge = Image.open(BytesIO(png_of_zeros(70_000)))
    with pytest.raises(ValueError, match="the picture .* more than the"):
        mix(index, pictures=[huge])
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (99, 99, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(ValueError, match="the picture .*it is truncated"):
        mix(index, pictures=[Image.open(path)])


@pytest.mark.parametrize("picture", [3, None, np.zeros((9, 9, 3), np.uint8)])
def test_what_is_no_picture_is_named(indexed, picture):
    with pytest.raises(TypeError, match="is no picture. Give paths, the bytes"):
        mix(Index(indexed, KEY), pictures=[picture])
