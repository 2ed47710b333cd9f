"""Files with the same content are embedded once, and get the same vectors."""

import itertools
import shutil

import numpy as np
import pytest

from detail_embed import fusers
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.stream import stream
from detail_embed.features import FeatureStore
from detail_embed.features.label import patch_slug
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.images.identical_files import Outcomes, RecentFiles
from detail_embed.images.reader import read_images
from tests.tiny import write_images

COVER = CompleteCover(3)


@pytest.fixture
def files(tmp_path):
    """Two images, copies of them under other names, and two equal broken files."""
    a, b = write_images(tmp_path, [(60, 60), (90, 40)])
    broken = tmp_path / "broken.png"
    broken.write_bytes(a.read_bytes()[:-60])
    copies = [
        shutil.copy(source, tmp_path / f"copy_{i}.jpg")
        for i, source in enumerate([a, b, broken, a])
    ]
    return [a, copies[0], b, broken, copies[1], copies[2], copies[3]]


def embed(backbone, files, fuser=None, skip_identical=True, **chunks):
    fuser = fuser or fusers.create("mean", dim=backbone.dim)
    options = EncodeOptions(num_workers=1, skip_identical=skip_identical)
    return list(stream(enumerate(files), backbone, COVER, fuser, options, **chunks))


def counted(backbone, monkeypatch):
    """Counts the patches that are encoded."""
    counts, encode = [], backbone.encode_patches
    monkeypatch.setattr(
        backbone, "encode_patches",
        lambda patches, **options: counts.append(len(patches)) or encode(
            patches, **options
        ),
    )
    return counts


@pytest.mark.parametrize("chunk_size", [1, 2, 256])
def test_vectors_are_those_without_it(backbone, files, chunk_size, monkeypatch):
    options = {"chunk_size": chunk_size, "chunk_seconds": 600}
    plain = embed(backbone, files, skip_identical=False, **options)
    counts = counted(backbone, monkeypatch)
    found = embed(backbone, files, **options)
    assert sum(counts) == sum(len(COVER.boxes(*size)) for size in [(60, 60), (90, 40)])
    assert [c.ids for c in found] == [c.ids for c in plain]
    assert [[e.id for e in c.errors] for c in found] == [
        [e.id for e in c.errors] for c in plain
    ]
    for chunk, other in zip(found, plain):
        assert np.allclose(chunk.vectors, other.vectors, atol=1e-6)
        assert np.allclose(chunk.global_vectors, other.global_vectors, atol=1e-6)
        assert chunk.vectors.shape == other.vectors.shape
    errors = [error for chunk in found for error in chunk.errors]
    assert {e.reason for e in errors} == {"is truncated"}
    assert [e.path for e in errors] == [str(files[3]), str(files[5])]


def test_a_few_vectors_and_their_boxes_are_shared_too(backbone, files):
    found = iter_patch_features(enumerate(files[:1]), backbone, COVER)
    few = FewVectors(backbone.dim, k=2).fit(next(found).features)
    (chunk,) = embed(backbone, files, few, chunk_seconds=600)
    assert chunk.ids == [0, 1, 2, 4, 6] and len(chunk.patches) == 5
    assert np.array_equal(chunk.vectors[0], chunk.vectors[1])
    assert np.array_equal(chunk.vectors[2], chunk.vectors[3])
    assert not np.allclose(chunk.vectors[0], chunk.vectors[2])
    assert chunk.patches[0] is chunk.patches[1]


def test_a_store_gets_the_features_of_every_image(backbone, files, tmp_path):
    store = FeatureStore(tmp_path / "s", patch_slug(backbone, COVER), backbone.dim)
    items = [(str(i), path) for i, path in enumerate(files)]
    fuser = fusers.create("mean", dim=backbone.dim)
    list(stream(items, backbone, COVER, fuser, store=store))
    assert all(str(i) in store for i in (0, 1, 2, 4, 6))


def test_the_reader_says_which_file_it_was(files):
    found = list(read_images(files, num_workers=1, identical_within=10))
    # 5 is the same as 3, which turned out to be broken
    assert [f.same_as for f in found] == [None, 0, None, None, 2, 3, 1]
    assert all(f.pixels is None for f in found if f.same_as is not None)
    assert all(f.same_as is None for f in read_images(files))


def test_a_window_bounds_what_is_remembered(files):
    pair = [files[0], files[2], files[2], files[0]]
    found = list(read_images(pair, num_workers=1, identical_within=2))
    assert [f.same_as for f in found] == [None, None, 1, None]


def test_whatever_the_order_of_threads_the_first_is_known(tmp_path):
    """Every twin that is found has an outcome, for any order of neighbours."""
    contents = [b"a", b"b", b"a", b"a", b"c", b"b", b"a"]
    for order in itertools.permutations(range(4)):
        recent = RecentFiles(4)
        found = {i: recent.find(contents[i], i) for i in [*order, 4, 5, 6]}
        twins = [found[i] for i in range(7)]
        fresh = [contents[i] for i in range(7) if twins[i] is None]
        assert Outcomes(4).complete(fresh, twins) == contents


def test_what_is_remembered_is_bounded():
    recent, outcomes = RecentFiles(8), Outcomes(8)
    for i in range(100):
        recent.find(bytes([i]), i)
        outcomes.complete([i], [None])
    assert len(recent._indexes) == len(outcomes._kept) == 8
