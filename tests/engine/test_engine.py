"""The engine: order, batching across images, errors, chunks."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from detail_embed import fusers
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.stream import stream, stream_reusing, stream_stored
from detail_embed.features import FeatureStore
from detail_embed.features.label import patch_slug
from detail_embed.fusers.few_vectors import FewVectors
from tests.tiny import write_images

COVER = CompleteCover(3)


@pytest.fixture
def files(tmp_path):
    sizes = [(60, 60), (120, 40), (33, 77), (1, 1), (60, 60), (50, 90), (64, 64)]
    paths = write_images(tmp_path, sizes)
    paths.insert(2, tmp_path / "missing.png")
    page = tmp_path / "page.jpg"
    page.write_text("<!DOCTYPE html><html></html>")
    return paths[:5] + [page] + paths[5:]


def reference(backbone, path):
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    patches = extract_patches(pixels.permute(2, 0, 1), COVER, backbone.patch_spec)
    return backbone.encode_patches(patches)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_features_are_those_of_each_image_alone(backbone, files, batch_size):
    items = [(f"id{i}", p) for i, p in enumerate(files)]
    options = EncodeOptions(batch_size=batch_size)
    found = list(iter_patch_features(items, backbone, COVER, options))
    assert [f.id for f in found] == [i for i, _ in items]
    for image, (_, wanted) in zip(found, items):
        assert image.path == str(wanted)
        if wanted.name in ("missing.png", "page.jpg"):
            assert image.features is None and image.reason
        else:
            assert image.reason is None
            assert (image.width, image.height) == Image.open(wanted).size
            assert torch.allclose(
                image.features, reference(backbone, wanted), atol=1e-5
            )


def test_chunks_hold_vectors_and_errors_in_order(backbone, files):
    fuser = fusers.create("mean", dim=backbone.dim)
    chunks = list(
        stream(enumerate(files), backbone, COVER, fuser, chunk_size=4,
               chunk_seconds=600)
    )
    assert [len(c.ids) + len(c.errors) for c in chunks] == [4, 4, 1]
    assert [e.id for c in chunks for e in c.errors] == [2, 5]
    assert all(e.reason and str(files[e.id]) == e.path
               for c in chunks for e in c.errors)
    for chunk in chunks:
        assert chunk.vectors.dtype == chunk.global_vectors.dtype == np.float32
        for i, vector, whole in zip(chunk.ids, chunk.vectors, chunk.global_vectors):
            features = reference(backbone, files[i])
            wanted = fuser(features[None])[0]
            assert np.allclose(vector, wanted, atol=1e-5)
            assert np.allclose(whole, features[0], atol=1e-5)


def test_only_bad_files(backbone, tmp_path):
    fuser = fusers.create("mean", dim=backbone.dim)
    items = [(i, tmp_path / f"{i}.png") for i in range(3)]
    (chunk,) = stream(items, backbone, COVER, fuser, chunk_seconds=600)
    assert chunk.ids == [] and len(chunk.errors) == 3
    assert chunk.vectors.shape == (0, backbone.dim)
    assert list(stream([], backbone, COVER, fuser)) == []


def test_items_are_consumed_as_needed_and_threads_end(backbone, files):
    asked = []

    def items():
        for i in range(10_000):
            asked.append(i)
            yield i, files[0]

    fuser = fusers.create("mean", dim=backbone.dim)
    options = EncodeOptions(batch_size=14, num_workers=2)
    running = stream(items(), backbone, COVER, fuser, options, chunk_size=4,
                     chunk_seconds=600)
    next(running)
    assert len(asked) < 60
    running.close()
    assert not reading()


def reading():
    return [t for t in threading.enumerate() if t.name.startswith("detail-read")]


def test_slow_and_large_chunks_leave_early(backbone, files, monkeypatch):
    fuser = fusers.create("mean", dim=backbone.dim)
    slow = stream(enumerate(files), backbone, COVER, fuser, chunk_seconds=0)
    assert len(list(slow)) == len(files)
    monkeypatch.setattr("detail_embed.engine.stream._CHUNK_PATCHES", 28)
    large = stream([(0, files[0]), (1, files[0]), (2, files[0])], backbone, COVER,
                   fuser, EncodeOptions(skip_identical=False), chunk_seconds=600)
    assert [c.ids for c in large] == [[0, 1], [2]]


def test_fusing_few_at_a_time_changes_nothing(backbone, files, monkeypatch):
    fuser = fusers.create("mean", dim=backbone.dim)
    (together,) = stream(enumerate(files), backbone, COVER, fuser, chunk_seconds=600)
    monkeypatch.setattr("detail_embed.engine.chunk._FUSE_PATCHES", 1)
    (alone,) = stream(enumerate(files), backbone, COVER, fuser, chunk_seconds=600)
    assert np.allclose(together.vectors, alone.vectors, atol=1e-6)


def test_a_very_long_image(backbone, tmp_path):
    (path,) = write_images(tmp_path, [(30_000, 10)])
    (image,) = iter_patch_features([(0, path)], backbone, COVER)
    features = image.features
    width, height = 30_000, 10
    assert features.shape == (len(COVER.boxes(width, height)), backbone.dim)
    assert torch.isfinite(features).all()


def test_a_failing_model_is_not_an_unreadable_image(backbone, files, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(backbone, "encode_patches", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(iter_patch_features(enumerate(files), backbone, COVER))
    assert not reading()


def test_bad_sizes_are_named(backbone):
    fuser = fusers.create("mean", dim=backbone.dim)
    with pytest.raises(ValueError, match="chunk_size=0"):
        next(stream([], backbone, COVER, fuser, chunk_size=0))
    for size in (0, -1):
        with pytest.raises(ValueError, match=f"batch_size={size}"):
            options = EncodeOptions(batch_size=size)
            next(stream([], backbone, COVER, fuser, options))


@pytest.fixture
def store(backbone, tmp_path):
    return FeatureStore(tmp_path / "store", patch_slug(backbone, COVER), backbone.dim)


def test_stored_features_fuse_to_the_same_vectors(backbone, files, store):
    fuser = fusers.create("mean", dim=backbone.dim)
    items = [(str(i), path) for i, path in enumerate(files)]
    (wanted,) = stream(items, backbone, COVER, fuser, chunk_seconds=600, store=store)
    assert store.ids == wanted.ids == [i for i, _ in items if i not in "25"]
    chunks = list(stream_stored(store.ids, store, fuser, chunk_size=3))
    assert [c.ids for c in chunks] == [wanted.ids[:3], wanted.ids[3:6], wanted.ids[6:]]
    assert not any(c.errors for c in chunks)
    for name in ("vectors", "global_vectors"):
        found = np.concatenate([getattr(c, name) for c in chunks])
        assert found.dtype == np.float32
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        assert np.allclose(found, getattr(wanted, name), atol=2e-3)


def test_a_fuser_gets_what_is_stored_and_nothing_else(backbone, files, store):
    patches = torch.cat([reference(backbone, files[i]) for i in (0, 1, 3)])
    fuser = fusers.create("gmp", dim=backbone.dim).fit(patches)
    items = [(str(i), path) for i, path in enumerate(files)]
    list(stream(items, backbone, COVER, fuser, store=store))
    (chunk,) = stream_stored(store.ids, store, fuser)
    for id, vector in zip(chunk.ids, chunk.vectors):
        rows = store[id].features
        wanted = fuser(rows[None] / rows.norm(dim=1, keepdim=True))[0]
        assert np.allclose(vector, wanted, atol=1e-4)


def test_boxes_and_levels_are_of_the_upright_image(backbone, store, tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (90, 60)).save(path, exif=exif)
    fuser = fusers.create("mean", dim=backbone.dim)
    list(stream([("turned", path)], backbone, COVER, fuser, store=store))
    image = store["turned"]
    assert np.array_equal(image.boxes, COVER.boxes(60, 90))
    assert np.array_equal(image.levels, COVER.levels(60, 90))


def test_features_are_stored_before_their_chunk_leaves(backbone, files, store):
    fuser = fusers.create("mean", dim=backbone.dim)
    items = [(str(i), path) for i, path in enumerate(files)]
    seen = []
    for chunk in stream(items, backbone, COVER, fuser, chunk_size=3,
                        chunk_seconds=600, store=store):
        seen += chunk.ids
        again = FeatureStore.open(store.directory)
        assert again.ids == seen


def test_only_bad_files_store_nothing(backbone, store, tmp_path):
    fuser = fusers.create("mean", dim=backbone.dim)
    list(stream([("a", tmp_path / "gone")], backbone, COVER, fuser, store=store))
    assert len(store) == 0 and not list(store.directory.glob("shard_*"))


def test_a_wrong_store_is_refused(backbone, files, store):
    fuser = fusers.create("mean", dim=backbone.dim)
    other = CompleteCover(2)
    with pytest.raises(ValueError) as error:
        next(stream([("a", files[0])], backbone, other, fuser, store=store))
    assert store.slug in str(error.value)
    assert patch_slug(backbone, other) in str(error.value)
    with pytest.raises(TypeError, match="0 is no string"):
        next(stream([(0, files[0])], backbone, COVER, fuser, store=store))
    with pytest.raises(KeyError, match="gone"):
        next(stream_stored(["gone"], store, fuser))
    with pytest.raises(ValueError, match="chunk_size=0"):
        next(stream_stored([], store, fuser, chunk_size=0))


def test_a_few_vectors_come_with_their_windows(backbone, files, store):
    patches = torch.cat([reference(backbone, files[i]) for i in (0, 1, 3)])
    few = FewVectors(backbone.dim, k=2).fit(patches)
    items = [(str(i), path) for i, path in enumerate(files)]
    (chunk,) = stream(items, backbone, COVER, few, chunk_seconds=600, store=store)
    assert chunk.vectors.shape == (len(chunk.ids), 2, backbone.dim)
    assert chunk.global_vectors.shape == (len(chunk.ids), backbone.dim)
    for id, vectors, image in zip(chunk.ids, chunk.vectors, chunk.patches):
        fused = few.fuse(reference(backbone, files[int(id)])[None])
        (wanted,), (chosen,) = fused.vectors, fused.patches
        assert np.allclose(vectors, wanted, atol=1e-3)
        stored = store[id]
        shares = stored.boxes[chosen] / np.tile(stored.boxes[0, 2:], 2)
        first = len(set(chosen.tolist()))
        assert len(image.vectors) == len(image.boxes) == len(image.levels) == first
        assert np.allclose(image.boxes[:, 2:], (shares[:, 2:] - shares[:, :2])[:first])
        assert image.levels.tolist() == stored.levels[chosen].tolist()[:first]

    (again,) = stream_reusing(items[:1], backbone, COVER, few, store, keep=False)
    assert np.allclose(again.vectors, chunk.vectors[:1], atol=2e-2)


def test_what_is_not_stored_is_encoded_and_kept_if_asked(backbone, files, store):
    fuser = fusers.create("mean", dim=backbone.dim)
    items = [("0", files[0]), ("1", files[1])]
    list(stream(items[:1], backbone, COVER, fuser, store=store))
    for keep, held in ((False, ["0"]), (True, ["0", "1"])):
        chunks = stream_reusing(items, backbone, COVER, fuser, store, keep=keep)
        assert [id for chunk in chunks for id in chunk.ids] == ["0", "1"]
        assert store.ids == held
