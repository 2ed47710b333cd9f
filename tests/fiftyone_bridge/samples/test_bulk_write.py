"""Chunks reach the samples as FiftyOne's own writes would: it sees the change."""

from datetime import datetime, timedelta

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.engine.chunk import Chunk, EmbedError
from detail_embed.fiftyone_bridge.samples import sink
from detail_embed.fiftyone_bridge.samples.collection import declare
from detail_embed.fiftyone_bridge.samples.mongo import database_time
from detail_embed.fiftyone_bridge.samples.sink import VECTORS, Sink


@pytest.fixture
def four():
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(f"/{n}.jpg") for n in range(4)], progress=False)
    yield dataset
    dataset.delete()


def chunk(ids, failed=()):
    vectors = np.eye(4, dtype=np.float32)[: len(ids)]
    return Chunk(ids, vectors, vectors, [EmbedError(id, "", "bad") for id in failed])


def test_what_is_written_was_modified_and_nothing_else(four):
    declare(four, ["v"], fo.VectorField)
    first, second, third, fourth = four.values("id")
    in_memory = four[second]
    before = dict(zip(*four.values(["id", "last_modified_at"])))
    Sink(four, {"v": VECTORS}, "error").write(chunk([first, second], [third]))
    after = dict(zip(*four.values(["id", "last_modified_at"])))
    assert all(after[id] > before[id] for id in (first, second, third))
    assert after[fourth] == before[fourth]
    assert max(after.values()) - min(before.values()) < timedelta(minutes=1)
    assert in_memory.v.tolist() == [0, 1, 0, 0]
    assert four.values("error") == [None, None, "bad", None]

    Sink(four, {"v": VECTORS}, "error").write(chunk([third]))
    assert four[third].last_modified_at > after[third]
    assert four[third].v.tolist() == [1, 0, 0, 0] and four[third].error is None
    assert four[first].last_modified_at == after[first]


def test_a_sample_that_is_gone_is_no_matter(four):
    declare(four, ["v"], fo.VectorField)
    first, second, *_ = four.values("id")
    sink = Sink(four, {"v": VECTORS}, "error")
    four.delete_samples([first])
    sink.write(chunk([first, second]))
    assert len(four) == 3 and four[second].v.tolist() == [0, 1, 0, 0]
    assert len(four.exists("v")) == 1


def test_the_clock_is_the_database_s(four, monkeypatch):
    class Behind(datetime):
        @classmethod
        def utcnow(cls):
            return datetime.utcnow() - timedelta(hours=1)

    monkeypatch.setattr(sink, "datetime", Behind, raising=False)
    declare(four, ["v"], fo.VectorField)
    before = database_time()
    Sink(four, {"v": VECTORS}, "error").write(chunk(four.values("id")))
    after = database_time()
    assert all(before <= time <= after for time in four.values("last_modified_at"))
