"""What a vector was made of: its file as it was, and its space."""

import os
import shutil
from dataclasses import replace

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index, update
from detail_embed.fiftyone_bridge.index import feature_stores, vectors
from detail_embed.fiftyone_bridge.index.coverage import coverage
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.provenance import CHANGED, UNKNOWN
from detail_embed.fiftyone_bridge.index.settings import Settings

ONE = Settings(backbone=DEMO, cover=2, fuser="mean", device="cpu", vectors=1,
               keep_features="float16")
OTHER = replace(ONE, cover=3)
FEW = replace(ONE, vectors=3)
N = 6


@pytest.fixture
def pictures(tmp_path, scenes):
    """Two folders with six different pictures each, under the same names."""
    sources = sorted((scenes / "images").iterdir())
    folders = tmp_path / "old", tmp_path / "new"
    for folder, some in zip(folders, (sources[:N], sources[N : 2 * N])):
        folder.mkdir()
        for i, source in enumerate(some):
            shutil.copy(source, folder / f"{i}{source.suffix}")
    return folders


@pytest.fixture
def make_dataset():
    made = []

    def make(paths):
        made.append(fo.Dataset(persistent=True))
        made[-1].add_samples([fo.Sample(filepath=str(p)) for p in paths])
        return made[-1]

    yield make
    for dataset in made:
        dataset.delete()


def compute(dataset, settings=ONE, **kwargs):
    kwargs = {"also_global": False} | kwargs
    return compute_index.compute(
        Index(dataset, "detail"), dataset, settings, **kwargs
    ).finish()


def update_all(dataset):
    return update.update(Index(dataset, "detail"), dataset).finish()


def by_path(dataset):
    """Vectors by path; of an index of a few, all of them."""
    index = Index(dataset, "detail")
    name = index.field
    if index.record.vectors > 1:
        name += ".detections.vector"
    paths, values = dataset.values(["filepath", name])
    return {path: np.array(value) for path, value in zip(paths, values)}


def vectors_of(dataset):
    """Likewise, by file name."""
    return {os.path.basename(path): v for path, v in by_path(dataset).items()}


def from_pixels(dataset, read=vectors_of):
    """Vectors of a copy that has the space and nothing else."""
    copy = dataset.clone(persistent=True)
    try:
        copy.set_values(Index(copy, "detail").field, [None] * len(copy))
        assert update_all(copy).embedded == len(copy)
        return read(copy)
    finally:
        copy.delete()


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, vector in wanted.items():
        np.testing.assert_allclose(found[name], vector, atol=5e-3, err_msg=name)


def replace_files(pictures, names=None):
    old, new = pictures
    for path in sorted(new.iterdir()):
        if names is None or path.name in names:
            shutil.copy(path, old / path.name)


@pytest.mark.parametrize("settings", [ONE, FEW], ids=["one", "few"])
@pytest.mark.slow
def test_an_update_embeds_files_again_that_have_changed(
    settings, pictures, make_dataset
):
    dataset = make_dataset(sorted(pictures[0].iterdir()))
    compute(dataset, settings)
    before = vectors_of(dataset)
    changed = sorted(path.name for path in pictures[1].iterdir())[:4]
    replace_files(pictures, changed)

    result = update_all(dataset)
    assert (result.embedded, result.present, result.failed) == (4, 2, 0)
    assert result.again == {CHANGED: 4}
    found = vectors_of(dataset)
    assert_same(found, from_pixels(dataset))
    unchanged = before.keys() - set(changed)
    assert_same({k: found[k] for k in unchanged}, {k: before[k] for k in unchanged})
    assert update_all(dataset).again == {}

    index = Index(dataset, "detail")
    ids = dict(zip(dataset.values("id"), dataset.values("filepath")))
    store = feature_stores.open_store(index)
    stored = {os.path.basename(ids[id]): store.features(id) for id in store.ids}
    assert stored.keys() == before.keys()
    assert not store.changed(ids.items())


def test_overwriting_starts_from_the_pixels(pictures, make_dataset):
    dataset = make_dataset(sorted(pictures[0].iterdir()))
    compute(dataset)
    wanted = make_dataset(sorted(pictures[1].iterdir()))
    compute(wanted, replace(ONE, keep_features=False))
    replace_files(pictures)
    for path in pictures[0].iterdir():  # not even the clock can tell
        os.utime(path, ns=(1, 1))
    result = compute(dataset, overwrite=True)
    assert (result.embedded, result.present) == (N, 0)
    assert_same(vectors_of(dataset), vectors_of(wanted))
    store = feature_stores.open_store(Index(dataset, "detail"))
    assert len(list(store.directory.glob("shard_*.safetensors"))) == 1


def test_moved_and_touched_files_are_not_embedded_again(pictures, make_dataset):
    old, new = pictures
    dataset = make_dataset(sorted(old.iterdir()))
    compute(dataset)
    before = vectors_of(dataset)
    moved = old.parent / "moved"
    old.rename(moved)
    for sample in dataset.iter_samples(autosave=True):
        sample.filepath = sample.filepath.replace("/old/", "/moved/")
    for path in moved.iterdir():
        os.utime(path)
    for _ in range(2):
        result = update_all(dataset)
        assert (result.embedded, result.present, result.again) == (0, N, {})
    assert_same(vectors_of(dataset), before)

    first = dataset.first()
    first.filepath = str(sorted(new.iterdir())[0])
    first.save()
    assert update_all(dataset).again == {CHANGED: 1}


def test_a_swap_of_paths_is_seen_where_sizes_and_times_are_the_same(
    tmp_path, make_dataset
):
    from PIL import Image

    paths = [tmp_path / f"{colour}.bmp" for colour in ("red", "blue")]
    for path in paths:
        Image.new("RGB", (64, 64), path.stem).save(path)
        os.utime(path, ns=(10**18, 10**18))
    dataset = make_dataset(paths)
    compute(dataset)
    before = vectors_of(dataset)
    one, two = dataset
    one.filepath, two.filepath = two.filepath, one.filepath
    one.save()
    two.save()
    assert update_all(dataset).again == {CHANGED: 2}
    assert_same(vectors_of(dataset), before)


def test_vectors_of_files_that_are_away_stay(pictures, make_dataset):
    dataset = make_dataset(sorted(pictures[0].iterdir()))
    compute(dataset)
    pictures[0].rename(pictures[0].parent / "unplugged")
    result = update_all(dataset)
    assert (result.embedded, result.present, result.failed) == (0, N, 0)


def test_a_changed_file_that_cannot_be_read_loses_its_vector(pictures, make_dataset):
    paths = sorted(pictures[0].iterdir())
    dataset = make_dataset(paths)
    compute(dataset, also_global=True)
    paths[0].write_bytes(b"no picture any more")
    result = update_all(dataset)
    assert (result.embedded, result.present, result.failed) == (0, N - 1, 1)
    assert result.again == {CHANGED: 1}
    assert len(dataset.exists("detail_embedding")) == N - 1
    assert len(dataset.exists("detail_global_embedding")) == N - 1
    assert coverage(Index(dataset, "detail"), dataset).failed == 1


@pytest.mark.parametrize("settings", [ONE, FEW], ids=["one", "few"])
@pytest.mark.parametrize("way", ["merge", "add", "same files"])
@pytest.mark.slow
def test_merged_vectors_of_another_space_are_found_and_made_anew(
    way, settings, pictures, make_dataset
):
    old, new = pictures
    a = make_dataset(sorted(old.iterdir()))
    compute(a, settings)
    b = make_dataset(sorted((old if way == "same files" else new).iterdir()))
    compute(b, replace(settings, cover=3))
    foreign = Index(b, "detail").record.space
    if way == "add":
        a.add_collection(b)
    else:
        a.merge_samples(b)
    total = N if way == "same files" else 2 * N

    index = Index(a, "detail")
    if way != "same files":
        assert len(vectors.load(index).ids) == N  # a search is not misled before, too
        assert coverage(index, a).missing == N
    result = update_all(a)
    assert (result.embedded, result.present) == (N, total - N)
    assert result.again == {f"their vectors were of the space {foreign}": N}
    assert_same(by_path(a), from_pixels(a, by_path))
    assert len(vectors.load(index).ids) == total
    assert coverage(index, a).embedded == total


def test_the_same_space_of_another_dataset_is_no_other(pictures, make_dataset):
    a, b = (make_dataset(sorted(folder.iterdir())) for folder in pictures)
    compute(a)
    compute(b)
    a.merge_samples(b)
    result = update_all(a)
    assert (result.failed, result.again) == (0, {})


def test_vectors_that_nobody_knows_are_made_anew(pictures, make_dataset):
    a = make_dataset(sorted(pictures[0].iterdir()))
    compute(a)
    before = vectors_of(a)
    strange = [v[::-1].copy() for v in a.limit(2).values("detail_embedding")]
    a.limit(2).set_values("detail_embedding", strange)
    a.limit(2).set_values("detail_source", [None, None])
    assert update_all(a).again == {f"their vectors were of the space {UNKNOWN}": 2}
    assert_same(vectors_of(a), before)


def test_an_index_of_an_older_version_learns_its_sources(pictures, make_dataset):
    paths = sorted(pictures[0].iterdir())
    dataset = make_dataset(paths)
    compute(dataset)
    index = Index(dataset, "detail")
    dataset.delete_sample_field("detail_source")
    store = feature_stores.open_store(index)
    kept = [store[id] for id in store.ids]
    store.add(  # these count now, and know no files
        store.ids, [k.features for k in kept], [k.boxes for k in kept],
        [k.levels for k in kept],
    )
    index.write(replace(index.record, sources=None))
    result = update_all(dataset)
    assert (result.embedded, result.present, result.again) == (0, N, {})
    replace_files(pictures, [paths[0].name])
    result = update_all(dataset)
    assert (result.embedded, result.again) == (1, {CHANGED: 1})
    assert_same(vectors_of(dataset), from_pixels(dataset))


def test_whole_image_vectors_follow_their_files_too(pictures, make_dataset):
    dataset = make_dataset(sorted(pictures[0].iterdir()))
    compute(dataset, also_global=True)
    before = np.stack(dataset.values("detail_global_embedding"))
    replace_files(pictures)
    assert compute(dataset).again == {CHANGED: N}  # without also_global
    after = np.stack(dataset.values("detail_global_embedding"))
    assert (np.linalg.norm(after - before, axis=1) > 0.05).all()
    wanted = make_dataset(sorted(pictures[1].iterdir()))
    compute(wanted, also_global=True)
    wanted = np.stack(wanted.values("detail_global_embedding"))
    np.testing.assert_allclose(after, wanted, atol=5e-3)
