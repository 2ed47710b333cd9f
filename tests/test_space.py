"""Embedding spaces: embedding, resuming, saving, identity."""

import json
import subprocess
import sys

import numpy as np
import pytest

from detail_embed import DetailEmbedder, fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from tests.tiny import TINY, tiny_backbone, tiny_checkpoint, write_images


def make(backbone, fuser="mean", c=3):
    return DetailEmbedder(
        backbone, CompleteCover(c), fusers.create(fuser, dim=backbone.dim)
    )


@pytest.fixture
def paths(tmp_path):
    return write_images(tmp_path, [(64, 64), (90, 60), (40, 80), (64, 64)])


@pytest.fixture
def saved(tmp_path):
    """A backbone whose weights are in a file."""
    return Backbone.load(TINY, tiny_checkpoint(tmp_path))


def test_embedding_files(saved, paths, tmp_path):
    result = make(saved).embed_files([*paths, tmp_path / "gone.png"])
    assert result.vectors.shape == (5, saved.dim)
    assert result.vectors.dtype == np.float32
    assert np.isnan(result.vectors[4]).all()
    assert np.allclose(np.linalg.norm(result.vectors[:4], axis=1), 1, atol=1e-5)
    ((index, path, reason),) = result.errors
    assert index == 4 and path.endswith("gone.png") and reason


def test_a_second_run_embeds_only_what_is_missing(saved, paths, tmp_path):
    out, embedder = tmp_path / "out", make(saved)
    whole = embedder.embed_files(paths)
    embedder.embed_files(paths[:2], out=out)
    files = {f: f.stat().st_mtime_ns for f in out.glob("chunk_*")}
    resumed = embedder.embed_files(paths, out=out)
    assert np.array_equal(resumed.vectors, whole.vectors)
    assert np.array_equal(resumed.global_vectors, whole.global_vectors)
    assert all(f.stat().st_mtime_ns == t for f, t in files.items())
    assert len(list(out.glob("chunk_*"))) == len(files) + 1


def test_a_truncated_chunk_is_done_again(saved, paths, tmp_path):
    out, embedder = tmp_path / "out", make(saved)
    whole = embedder.embed_files(paths, out=out)
    (chunk,) = out.glob("chunk_*")
    chunk.write_bytes(chunk.read_bytes()[:-7])
    again = embedder.embed_files(paths, out=out)
    assert np.array_equal(again.vectors, whole.vectors)


def test_a_folder_belongs_to_one_space(saved, paths, tmp_path):
    first, second = make(saved, c=3), make(saved, c=2)
    first.embed_files(paths, out=tmp_path / "out")
    with pytest.raises(ValueError) as error:
        second.embed_files(paths, out=tmp_path / "out")
    assert first.slug in str(error.value) and second.slug in str(error.value)


@pytest.mark.parametrize("fuser", ["mean", "gmp", "ridge"])
def test_save_and_load(saved, paths, tmp_path, fuser):
    embedder = make(saved, fuser)
    embedder.fit(paths, proxies=["dog", "red cube", "cat", "green ball"] * 3)
    embedder.save(tmp_path / "space")
    loaded = DetailEmbedder.load(tmp_path / "space")
    assert loaded.slug == embedder.slug
    wanted, found = (e.embed_files(paths).vectors for e in (embedder, loaded))
    assert np.allclose(wanted, found, atol=1e-6)


def test_other_weights_are_refused(saved, tmp_path):
    make(saved).save(tmp_path / "space")
    other = Backbone.load(TINY, tiny_checkpoint(tmp_path, seed=1))
    with pytest.raises(ValueError) as error:
        DetailEmbedder.load(tmp_path / "space", backbone=other)
    assert saved.weights_hash in str(error.value)
    assert other.weights_hash in str(error.value)


def test_slug_names_all_parts(saved):
    slug = make(saved).slug
    assert slug.startswith(f"{saved.slug}-cc3-even-mean-")


def test_auto_cover_takes_the_input_size(saved):
    embedder = DetailEmbedder(
        saved, CompleteCover("auto"), fusers.create("mean", dim=saved.dim)
    )
    assert embedder.cover.input_size == saved.input_size


def test_wrong_parts_are_refused(saved, tmp_path):
    with pytest.raises(ValueError, match="17 dimensions"):
        DetailEmbedder(saved, CompleteCover(3), fusers.create("mean", dim=17))
    with pytest.raises(RuntimeError, match="not fitted"):
        make(saved, "gmp").save(tmp_path / "space")
    with pytest.raises(ValueError, match="space.json"):
        DetailEmbedder.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="none of the images"):
        make(saved, "gmp").fit([tmp_path / "gone.png"])


def test_texts_get_templates(tmp_path):
    embedder = make(tiny_backbone(tmp_path))
    features = embedder.encode_texts(["dog", "cat"])
    assert features.shape == (2, embedder.dim)


def test_the_package_is_cheap_to_import():
    code = (
        "import sys, json, detail_embed; "
        "print(json.dumps([m for m in ('torch', 'open_clip', 'fiftyone') "
        "if m in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True,
                         capture_output=True, text=True).stdout
    assert json.loads(out) == []
