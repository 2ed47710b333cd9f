"""Search by example where something is missing, broken or of another kind."""

from io import BytesIO

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from PIL import Image

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.search.examples import Box, mix

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
