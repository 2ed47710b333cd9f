"""Embedding spaces: embedding, resuming, saving, identity."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from detail_embed import DetailEmbedder, fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.features import FeatureStore
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.space import fit_sample
from tests.tiny import TINY, tiny_backbone, tiny_checkpoint, write_images

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("method", ["fit", "choose_fuser", "embed_files"])
def test_one_path_is_no_list(saved, paths, method, kind):
    with pytest.raises(TypeError, match="pass a list of paths"):
        getattr(make(saved, "gmp"), method)(kind(paths[0]))


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
    assert np.allclose(resumed.vectors, whole.vectors, atol=1e-6)
    assert np.allclose(resumed.global_vectors, whole.global_vectors, atol=1e-6)
    assert all(f.stat().st_mtime_ns == t for f, t in files.items())
    assert len(list(out.glob("chunk_*"))) == len(files) + 1


KILLED = """
import os, signal, sys
from tests.tiny import register_tiny
from detail_embed import DetailEmbedder, fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.engine import stream
from detail_embed.storage.chunk_store import ChunkStore

folder, checkpoint, *paths = sys.argv[1:]
backbone = Backbone.load(register_tiny(folder), checkpoint)
embedder = DetailEmbedder(
    backbone, CompleteCover(3), fusers.create("mean", dim=backbone.dim)
)
stream._CHUNK_PATCHES = 1  # a chunk for every image
add, chunks = ChunkStore.add, []

def add_and_die(*args):
    add(*args)
    chunks.append(args)
    if len(chunks) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

ChunkStore.add = add_and_die
embedder.embed_files(paths, out=os.path.join(folder, "out"))
"""


def test_a_killed_run_goes_on_where_it_was(saved, paths, tmp_path, fresh_python):
    killed = fresh_python(KILLED, tmp_path, saved.pretrained, *paths, folder=ROOT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    out, embedder = tmp_path / "out", make(saved)
    assert len(list(out.glob("chunk_*.safetensors"))) == 2
    whole, resumed = embedder.embed_files(paths), embedder.embed_files(paths, out=out)
    assert np.allclose(resumed.vectors, whole.vectors, atol=1e-6)
    assert np.allclose(resumed.global_vectors, whole.global_vectors, atol=1e-6)
    done = [name for file in out.glob("chunk_*.safetensors")
            for name in json.loads(safe_open(file, "numpy").metadata()["names"])]
    assert sorted(name.partition("#")[0] for name in done) == sorted(map(str, paths))


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b"", lambda b: b[8:]])
def test_a_damaged_chunk_is_done_again(saved, paths, tmp_path, damage):
    out, embedder = tmp_path / "out", make(saved)
    whole = embedder.embed_files(paths[:2], out=out)
    (chunk,) = out.glob("chunk_*")
    chunk.write_bytes(damage(chunk.read_bytes()))
    again = embedder.embed_files(paths[:2], out=out)
    assert np.array_equal(again.vectors, whole.vectors)
    assert chunk not in out.glob("chunk_*")


def test_files_are_known_by_their_whole_path(saved, paths, tmp_path, monkeypatch):
    embedder, other = make(saved), tmp_path / "other"
    other.mkdir()
    (twin,) = write_images(other, [(64, 64)], seed=1)
    monkeypatch.chdir(tmp_path)
    first = embedder.embed_files([paths[0].name], out=tmp_path / "out")
    monkeypatch.chdir(other)
    second = embedder.embed_files([twin.name], out=tmp_path / "out")
    assert not np.allclose(first.vectors, second.vectors, atol=1e-3)


def test_a_repaired_file_is_tried_again(saved, paths, tmp_path):
    out, embedder = tmp_path / "out", make(saved)
    good = paths[1].read_bytes()
    paths[1].write_bytes(good[:50])
    assert len(embedder.embed_files(paths, out=out).errors) == 1
    paths[1].write_bytes(good)
    result = embedder.embed_files(paths, out=out)
    assert result.errors == [] and np.isfinite(result.vectors).all()


@pytest.fixture
def encoded(saved, monkeypatch):
    """Counts the patches that the backbone encodes."""
    counts, encode = [], saved.encode_patches

    def counted(patches, **kwargs):
        counts.append(len(patches))
        return encode(patches, **kwargs)

    monkeypatch.setattr(saved, "encode_patches", counted)
    return counts


def windows(*sizes):
    return sum(len(CompleteCover(3).boxes(*size)) for size in sizes)


def same(one, other, tolerance):
    return np.allclose(one.vectors, other.vectors, atol=tolerance) and np.allclose(
        one.global_vectors, other.global_vectors, atol=tolerance
    )


def test_stored_features_are_not_encoded_again(saved, paths, tmp_path, encoded, caplog):
    store, bad = tmp_path / "features", tmp_path / "gone.png"
    with caplog.at_level("INFO"):
        first = make(saved).embed_files([*paths, bad], features=store)
    assert "patch features of 5 images: about 0.007 MB" in caplog.text
    assert sum(encoded) == windows((64, 64), (90, 60), (40, 80), (64, 64))
    caplog.clear()
    encoded.clear()
    again = make(saved).embed_files([*paths[::-1]], features=store)
    assert not encoded and "patch features" not in caplog.text
    assert np.allclose(again.vectors, first.vectors[3::-1], atol=2e-3)
    other = make(saved, "ridge").fit(paths, proxies=["dog", "red cube", "cat"])
    encoded.clear()
    assert np.isfinite(other.embed_files(paths, features=store).vectors).all()
    assert not encoded
    assert FeatureStore.open(store).ids == list(map(str, paths))


def test_a_damaged_shard_is_encoded_alone(
    saved, paths, tmp_path, encoded, monkeypatch
):
    monkeypatch.setattr("detail_embed.engine.stream._CHUNK_PATCHES", 1)
    store, space = tmp_path / "features", make(saved)
    first = space.embed_files(paths, features=store)
    shard = next(store.glob("shard_*.safetensors"))
    os.truncate(shard, shard.stat().st_size - 1)
    encoded.clear()
    again = space.embed_files(paths, features=store)
    assert sum(encoded) in {windows(s) for s in [(64, 64), (90, 60), (40, 80)]}
    assert same(first, again, 2e-3)
    assert len(FeatureStore.open(store)) == len(paths)


def test_features_outlive_a_run_that_fails_later(
    saved, paths, tmp_path, encoded, monkeypatch
):
    def fail(*args):
        raise KeyboardInterrupt

    store, out, space = tmp_path / "features", tmp_path / "out", make(saved)
    with monkeypatch.context() as patched:
        patched.setattr("detail_embed.storage.chunk_store.ChunkStore.add", fail)
        with pytest.raises(KeyboardInterrupt):
            space.embed_files(paths, out=out, features=store)
    encoded.clear()
    result = space.embed_files(paths, out=out, features=store)
    assert not encoded and np.isfinite(result.vectors).all()
    assert same(space.embed_files(paths, out=out), result, 0)


def test_a_disk_with_too_little_room_is_named_first(
    saved, paths, tmp_path, encoded, monkeypatch
):
    full = shutil.disk_usage(tmp_path)._replace(free=500)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    with pytest.raises(ValueError, match="features of 4 images: about .* [MG]B free"):
        make(saved).embed_files(paths, features=tmp_path / "features")
    assert not encoded
    result = make(saved).embed_files([tmp_path / "gone"], features=tmp_path / "none")
    assert len(result.errors) == 1


def test_an_open_store_sets_the_type(saved, paths, tmp_path, encoded):
    space = make(saved)
    store = FeatureStore(tmp_path / "features", space.patch_slug, space.dim, "int8")
    first = space.embed_files(paths, features=store)
    encoded.clear()
    assert same(space.embed_files(paths, features=store), first, 0.02)
    assert not encoded
    with pytest.raises(ValueError, match="dtype int8"):
        space.embed_files(paths, features=store.directory)


def test_features_of_another_cover_are_refused(saved, paths, tmp_path):
    first, second = make(saved, c=3), make(saved, c=2)
    first.embed_files(paths, features=tmp_path / "features")
    for features in (tmp_path / "features", FeatureStore.open(tmp_path / "features")):
        with pytest.raises(ValueError) as error:
            second.embed_files(paths, features=features)
        assert f"{first.patch_slug}," in str(error.value)
        assert f"{second.patch_slug}:" in str(error.value)


def test_a_file_that_is_given_twice_is_embedded_once(saved, paths, tmp_path, encoded):
    gone = tmp_path / "gone.png"
    result = make(saved).embed_files([paths[0], gone, paths[0], gone])
    assert sum(encoded) == windows((64, 64))
    assert np.array_equal(result.vectors[0], result.vectors[2])
    assert [index for index, *_ in result.errors] == [1, 3]


def test_no_files(saved, tmp_path):
    result = make(saved).embed_files([], progress=True, out=tmp_path / "out")
    assert result.vectors.shape == (0, saved.dim) and result.errors == []


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
    for name, tensor in embedder.fuser.state_dict().items():
        assert torch.equal(tensor, loaded.fuser.state_dict()[name])
    wanted, found = (e.embed_files(paths).vectors for e in (embedder, loaded))
    assert np.allclose(wanted, found, atol=1e-6)


def test_a_space_of_random_weights_loads(tmp_path):
    space = make(tiny_backbone(tmp_path))
    space.save(tmp_path / "space")
    assert DetailEmbedder.load(tmp_path / "space").slug == space.slug


def test_a_moved_checkpoint_is_named_and_can_be_given(saved, tmp_path):
    make(saved).save(tmp_path / "space")
    moved = Path(saved.pretrained).rename(tmp_path / "moved.pt")
    with pytest.raises(ValueError, match="tiny-0.pt"):
        DetailEmbedder.load(tmp_path / "space")
    backbone = Backbone.load(TINY, moved)
    loaded = DetailEmbedder.load(tmp_path / "space", backbone=backbone)
    assert loaded.slug == make(saved).slug


@pytest.mark.parametrize("most, taken", [(20, 2), (10_000, 4)])
def test_a_sample_ends_where_it_has_enough_patches(saved, paths, most, taken):
    space = make(saved)
    features, mask = fit_sample.of_files(paths, saved, space.cover, most)
    assert features.shape == (taken, mask.shape[1], saved.dim)
    assert mask.any(dim=1).all()


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
    assert make(saved).cover == CompleteCover(3)


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


def test_a_space_of_a_few_vectors(saved, paths, tmp_path):
    few = FewVectors(saved.dim, k=2)
    space = DetailEmbedder(saved, CompleteCover(2), few)
    store = FeatureStore(tmp_path / "store", space.patch_slug, space.dim)
    make(saved, c=2).embed_files(paths, features=store)
    space.fit_stored(store, store.ids)
    assert "-few-" in space.slug
    result = space.embed_files(paths, features=store, out=tmp_path / "out")
    assert result.vectors.shape == (len(paths), 2, space.dim)
    assert np.isfinite(result.vectors).all()
    space.save(tmp_path / "space")
    again = DetailEmbedder.load(tmp_path / "space", backbone=saved)
    assert again.slug == space.slug and again.fuser.shape == (2, space.dim)
    kept = again.embed_files(paths, out=tmp_path / "out")
    assert np.array_equal(kept.vectors, result.vectors)


def test_files_that_have_changed_are_embedded_again(saved, tmp_path):
    """Neither finished vectors nor stored features are those of another file."""
    embedder = make(saved)
    paths = write_images(tmp_path, [(64, 48)] * 3)
    out, features = tmp_path / "out", tmp_path / "features"
    first = embedder.embed_files(paths, out=out, features=features)
    shutil.copy(paths[0], paths[1])
    for options in ({"out": out}, {"features": features}):
        again = embedder.embed_files(paths, **options).vectors
        np.testing.assert_allclose(again[1], again[0], atol=1e-3)
        np.testing.assert_allclose(again[[0, 2]], first.vectors[[0, 2]], atol=1e-3)


def test_a_search_of_a_result_leaves_out_what_could_not_be_read(saved, tmp_path):
    embedder = make(saved)
    paths = write_images(tmp_path, [(64, 48)] * 3)
    paths.insert(1, tmp_path / "gone.png")
    result = embedder.embed_files(paths)
    assert result.indices.tolist() == [0, 2, 3]
    rows, scores = result.search(2 * result.vectors[2], k=9)
    assert rows[0] == 2 and sorted(rows) == [0, 2, 3]
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert list(scores) == sorted(scores, reverse=True)
    for bad in (np.ones(3), np.zeros(16), np.full(16, np.nan)):
        with pytest.raises(ValueError, match="numbers that are finite"):
            result.search(bad)
