"""Vectors that all processes map: never old, never lost, and gone with their index."""

import logging
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.detail_index import DetailIndex
from detail_embed.fiftyone_bridge.index import leftovers, shared
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.storage.user_folders import DATA_VARIABLE

FEW = Settings(
    backbone=DEMO, cover=2, vectors=3, device="cpu", fuser="gmp", keep_features=False
)


@pytest.fixture(autouse=True)
def shared_always(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(shared, "LEAST_BYTES", 0)


@pytest.fixture
def few(dataset):
    """24 images with 3 vectors each, in a file that is mapped."""
    index = DetailIndex(dataset, "detail")
    index.compute(settings=FEW, also_global=False)
    return index


def another_process(index):
    """The vectors as a process has them that has read none yet."""
    index_vectors._memory.clear()
    return index_vectors.load(index)


def stored(index):
    """The vectors of the index by image, as FiftyOne reads them."""
    found = {}
    for sample in index.dataset:
        labels = sample[index.patches_field]
        if labels is not None and labels.detections:
            rows = np.stack([label.vector for label in labels.detections])
            names = [label.id for label in labels.detections]
            found[sample.id] = names, rows / np.linalg.norm(rows, axis=1)[:, None]
    return found


def check(index, vectors):
    wanted = stored(index)
    assert sorted(vectors.ids) == sorted(wanted)
    for place, id in enumerate(vectors.ids):
        names, rows = wanted[id]
        own = vectors.rows(place)
        assert vectors.labels[own] == names
        np.testing.assert_allclose(vectors.matrix[own], rows, atol=1e-6)


def test_a_new_process_reads_a_file(few, reads):
    first = another_process(few)
    check(few, first)
    assert not reads and not first.matrix.flags.owndata
    again = another_process(few)
    assert np.array_equal(again.matrix, first.matrix) and not reads
    found = few.search("red metal cube", k=5)
    shared.LEAST_BYTES = 2**40  # all in memory
    shutil.rmtree(shared.folder(few))
    in_memory = another_process(few)
    assert in_memory.matrix.flags.owndata and reads
    assert few.search("red metal cube", k=5).view.values("id") == (
        found.view.values("id")
    )


def test_what_changed_since_is_read_and_nothing_else(few, reads):
    before = another_process(few)
    kept = before.matrix.copy()
    images = few.dataset
    images[:2].tag_samples("seen")
    check(few, another_process(few))
    sample = images.skip(3).first()
    sample[few.patches_field].detections[1].vector = np.ones(256, np.float32)
    sample.save()
    fewer = images.skip(5).first()
    fewer[few.patches_field].detections.pop()
    fewer.save()
    gone = images.skip(8).first()
    gone[few.patches_field] = None
    gone.save()
    images.delete_samples(images[10:12].values("id"))
    images.add_sample(fo.Sample(filepath="/without.jpg"))
    later = another_process(few)
    check(few, later)
    assert len(later.ids) == 21 and not reads
    assert np.array_equal(before.matrix, kept)  # a search may still use it
    shutil.copy(images.first().filepath, new := images.first().filepath + ".new.jpg")
    images.delete_samples([images.last().id])
    images.add_sample(fo.Sample(filepath=new))
    few.update()
    check(few, another_process(few))
    os.remove(new)
    assert not reads
    folders = [path for path in shared.folder(few).iterdir() if path.is_dir()]
    assert len(folders) == 1


@pytest.mark.slow
def test_an_index_that_is_made_anew_is_read_anew(few, reads):
    old = another_process(few).matrix.copy()
    few.dataset.delete_brain_run("detail")
    few.update()
    check(few, another_process(few))
    folder = shared.folder(few)
    few.delete()
    assert not folder.exists()
    few.compute(settings=Settings(**{**FEW.__dict__, "cover": 3}), also_global=False)
    now = another_process(few)
    check(few, now)
    assert not np.array_equal(now.matrix, old)


@pytest.mark.parametrize("damage", ["cut short", "no label", "no vectors", "no json"])
@pytest.mark.slow
def test_damaged_files_are_read_anew(few, reads, damage):
    folder = shared.folder(few)
    (vectors,) = folder.glob("vectors-*/vectors.f32")
    label = folder / "exact.json"
    if damage == "cut short":
        os.truncate(vectors, vectors.stat().st_size - 1024)
    elif damage == "no vectors":
        shutil.rmtree(vectors.parent)
    elif damage == "no label":
        label.unlink()
    else:
        label.write_text("{")
    check(few, another_process(few))
    assert len(reads) == 1
    check(few, another_process(few))
    assert len(reads) == 1


def test_a_disk_that_cannot_be_written_to(few, reads, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    shutil.rmtree(shared.folder(few))
    monkeypatch.setattr(shared, "whole_folder", full)
    with caplog.at_level(logging.WARNING):
        vectors = another_process(few)
    check(few, vectors)
    assert vectors.matrix.flags.owndata
    assert "No space left on device" in caplog.text and "'detail'" in caplog.text


def test_the_file_follows_its_index(few, reads):
    old = shared.folder(few)
    few.rename("other")
    assert not old.exists()
    few = DetailIndex(few.dataset, "other")
    check(few, another_process(few))
    assert not reads
    few.delete()
    assert not shared.folder(few).exists()


def test_files_of_a_deleted_dataset_and_of_a_deleted_run(few):
    made = few.dataset.clone(persistent=True)
    copy = DetailIndex(made, "detail")
    another_process(copy)
    folder = shared.folder(copy)
    assert folder.is_dir() and leftovers.find() == []
    made.delete_brain_run("detail")  # as somebody might who does not know of us
    assert leftovers.find() == []  # a run may be making it
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (0, 0))
    (left,) = leftovers.find()
    assert left.folder == folder and left.num_bytes > 24 * 3 * 256 * 4
    assert not left.is_sure
    made.delete()
    (left,) = leftovers.find()
    assert left.is_sure
    leftovers.delete([left])
    assert not folder.parent.exists() and leftovers.find() == []


PROCESS = textwrap.dedent("""
    import sys
    from pathlib import Path
    from detail_embed.fiftyone_bridge.index.shared import _open

    vectors = _open(Path(sys.argv[1]), int(sys.argv[2]))
    print(float(vectors.matrix.sum()), flush=True)
    sys.stdin.read()
""")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_processes_share_one_copy(tmp_path):
    """Each of two has half of the file's pages, and none for itself."""
    (tmp_path / "made").mkdir()
    count, dim = 40_000, 256
    np.ones((count, dim), np.float32).tofile(tmp_path / "made" / "vectors.f32")
    np.save(tmp_path / "made" / "ids.npy", np.array([b"0" * 24] * count))
    np.save(tmp_path / "made" / "counts.npy", np.ones(count, np.int64))
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "made"), str(dim)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        for process in processes:
            assert float(process.stdout.readline()) == count * dim
        for process in processes:
            of_file = memory_of(process.pid, "vectors.f32")
            assert of_file["Rss"] > 39_000
            assert of_file["Pss"] < 0.6 * of_file["Rss"]
            assert of_file["Private_Clean"] + of_file["Private_Dirty"] < 1000
    finally:
        for process in processes:
            process.communicate("")


def memory_of(pid, name):
    """kB that a process has of a mapped file, by kind."""
    found, is_it = {}, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        key, _, rest = line.partition(":")
        if rest.strip().endswith("kB") and is_it:
            found[key] = found.get(key, 0) + int(rest.split()[0])
        elif not rest.strip().endswith("kB") and "-" in line.split(" ")[0]:
            is_it = line.endswith(name)
    return found
