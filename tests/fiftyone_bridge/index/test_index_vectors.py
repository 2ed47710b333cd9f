"""Vectors in memory: what changed in the database is read anew, and nothing else."""

import random
from datetime import datetime, timedelta

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from pymongo.errors import OperationFailure

from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import changes, vector_field
from detail_embed.fiftyone_bridge.samples.sink import VECTORS, Sink

KEY, FIELD, DIM = "own", "vector", 6


@pytest.fixture
def plain():
    """12 samples with vectors, as FiftyOne stores them, and an index of these."""
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"/{i}.jpg") for i in range(12)])
    dataset.add_sample_field(FIELD, fo.VectorField)
    rng = np.random.default_rng(0)
    dataset.set_values(FIELD, list(rng.normal(size=(12, DIM)).astype(np.float32)))
    fob.compute_similarity(dataset, embeddings=FIELD, brain_key=KEY, backend="sklearn")
    yield dataset
    dataset.delete()


def as_fiftyone_has_it(dataset):
    matrix, ids, _ = index_vectors.open_index(Index(dataset, KEY)).get_embeddings()
    matrix = np.asarray(matrix, np.float32)
    return dict(zip(ids, matrix / np.linalg.norm(matrix, axis=1, keepdims=True)))


def check(dataset):
    vectors = index_vectors.load(Index(dataset, KEY))
    wanted = as_fiftyone_has_it(dataset)
    assert sorted(vectors.ids) == sorted(wanted)
    for id, row in zip(vectors.ids, vectors.matrix):
        np.testing.assert_allclose(row, wanted[id], atol=1e-6)
    assert vectors.starts.tolist() == list(range(len(wanted)))
    return vectors


def test_a_tag_reads_no_other_vectors(plain, reads):
    first = check(plain)
    members = first.members(plain.match_tags("seen"))
    assert len(members.rows) == 0
    plain[:2].tag_samples("seen")
    second = check(plain)
    assert second.matrix is first.matrix and len(reads) == 1
    assert len(second.members(plain.match_tags("seen")).rows) == 2


def test_changed_new_and_deleted_samples(plain, reads):
    first = check(plain)
    before = first.matrix.copy()
    sample = plain.skip(3).first()
    sample[FIELD] = np.arange(1, DIM + 1, dtype=np.float32)
    sample.save()
    assert sample.id == check(plain).ids[3]
    assert np.array_equal(first.matrix, before)  # a search may still use it
    sample[FIELD] = None
    sample.save()
    plain.delete_samples(plain[6:8].values("id"))
    new = fo.Sample(filepath="/new.jpg", **{FIELD: np.ones(DIM, np.float32)})
    plain.add_samples([new, fo.Sample(filepath="/without.jpg")])
    last = check(plain)
    assert last.ids[-1] == new.id and len(last.ids) == 10
    assert len(reads) == 1


@pytest.mark.parametrize("seed", range(3))
def test_any_changes(plain, reads, seed):
    chance = random.Random(seed)
    rng = np.random.default_rng(seed)
    check(plain)
    for number in range(15):
        sample = plain.skip(chance.randrange(len(plain))).first()
        change = chance.choice(["vector", "none", "tag", "delete", "add", "sink"])
        vector = rng.normal(size=DIM).astype(chance.choice(["f4", "f8"]))
        if change == "delete" and len(plain) > 3:
            plain.delete_samples([sample.id])
        elif change == "add":
            plain.add_sample(fo.Sample(filepath=f"/new{number}.jpg", vector=vector))
        elif change == "sink":
            write_like_the_engine(plain, sample.id, vector.astype("f4"))
        elif change in ("vector", "none"):
            sample[FIELD] = vector if change == "vector" else None
            sample.save()
        else:
            plain.select(sample.id).tag_samples(f"tag {number}")
        if chance.random() < 0.6:
            check(plain)
    check(plain)
    assert len(reads) == 1


def write_like_the_engine(dataset, id, vector):
    from detail_embed.engine.chunk import Chunk

    sink = Sink(dataset, {FIELD: VECTORS}, "error")
    sink.write(Chunk([id], vector[None], np.zeros((1, 1), np.float32), []))


BEHIND = [timedelta(seconds=2), timedelta(hours=3), -timedelta(hours=3)]


@pytest.fixture(params=["counted by MongoDB", "not counted"])
def server(request, monkeypatch):
    """MongoDB with and without the right to ask how often it was written to."""
    if request.param == "not counted":
        monkeypatch.setattr(changes, "_calls", refuse)


def refuse(samples):
    raise OperationFailure("not authorized on db to execute command collStats")


@pytest.mark.parametrize("behind", BEHIND)
def test_a_writer_with_a_wrong_clock_is_seen(plain, reads, server, behind, monkeypatch):
    check(plain)
    monkeypatch.setattr("fiftyone.core.collections.datetime", clock(behind))
    changed, removed = plain.values("id")[2], plain.values("id")[5]
    plain.set_values(FIELD, {changed: np.ones(DIM, "f4")}, key_field="id")
    assert check(plain).matrix[2] == pytest.approx(DIM**-0.5)
    plain.set_values(FIELD, {removed: None}, key_field="id")
    assert removed not in check(plain).ids
    plain.set_values(FIELD, {removed: np.ones(DIM, "f4")}, key_field="id")
    assert check(plain).ids[-1] == removed and len(reads) == 1


@pytest.mark.parametrize("behind", BEHIND)
def test_samples_merged_by_a_host_with_a_wrong_clock(
    plain, reads, server, behind, monkeypatch
):
    """FiftyOne merges within MongoDB, which counts that as reading."""
    plain.reload()  # MongoDB keeps no microseconds of when the index was made
    check(plain)
    other = plain.clone()
    other.delete_brain_run(KEY)
    other.set_values(FIELD, list(np.eye(12, DIM, dtype=np.float32) + 1))
    monkeypatch.setattr("fiftyone.core.dataset.datetime", clock(behind))
    plain.merge_samples(other)
    check(plain)
    assert len(reads) == 1
    plain.clear_sample_field(FIELD)
    with pytest.raises(ValueError, match="holds no vectors"):
        index_vectors.load(Index(plain, KEY))
    other.delete()


def clock(behind):
    class Clock(datetime):
        @classmethod
        def utcnow(cls):
            return datetime.utcnow() - behind

    return Clock


def test_an_index_that_is_made_anew_is_read_anew(plain, reads):
    check(plain)
    plain.delete_brain_run(KEY)
    plain.set_values(FIELD, list(np.eye(12, 9, dtype=np.float32) + 0.1))
    fob.compute_similarity(plain, embeddings=FIELD, brain_key=KEY, backend="sklearn")
    assert check(plain).matrix.shape == (12, 9) and len(reads) == 2


def test_vectors_of_several_dimensions_are_refused(plain):
    check(plain)
    sample = plain.first()
    sample[FIELD] = np.ones(DIM + 1, np.float32)
    sample.save()
    for _ in range(2):
        with pytest.raises(ValueError, match="of sample .* has shape .*compute"):
            index_vectors.load(Index(plain, KEY))


def test_no_vectors_left(plain):
    check(plain)
    plain.set_values(FIELD, [None] * 12)
    with pytest.raises(ValueError, match="'own' holds no vectors"):
        index_vectors.load(Index(plain, KEY))
    plain.set_values(FIELD, [np.ones(DIM, np.float32)] * 12)
    check(plain)


def test_an_index_that_was_never_finished_is_not_read(plain):
    info = plain.get_brain_info(KEY)
    info.config.build().register_run(plain, "begun", overwrite=False)
    with pytest.raises(ValueError, match="'begun' holds no vectors; compute it again"):
        index_vectors.load(Index(plain, "begun"))


@pytest.mark.parametrize("kind", [fo.VectorField, fo.ArrayField])
def test_fields_that_are_read_directly(plain, kind):
    plain.add_sample_field("other", kind)
    assert vector_field.can_read(plain, "other")
    plain.set_values("other", list(np.random.default_rng(1).normal(size=(12, 4000))))
    (block,) = vector_field.read(plain, "other")
    assert block.ids == plain.values("id") and block.counts.tolist() == [1] * 12
    wanted = np.stack(plain.values("other"))
    np.testing.assert_allclose(block.vectors, wanted, atol=1e-6)


def test_fields_that_are_not(plain):
    plain.add_sample_field("numbers", fo.ListField, subfield=fo.FloatField)
    for field in ("numbers", "filepath", "nothing", "metadata.size_bytes"):
        assert not vector_field.can_read(plain, field)
