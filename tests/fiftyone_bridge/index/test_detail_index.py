"""One object is an index: what it is called, knows and can do."""

import fiftyone.brain as fob
import numpy as np
import pyarrow.parquet as pq
import pytest

from detail_embed import fiftyone_bridge
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.settings import Settings

QUERY = "red cube"


@pytest.fixture
def index(dataset):
    """An index of most images, with its whole-image index and patch features."""
    index = DetailIndex(dataset, "detail")
    result = index.compute(
        dataset[:20],
        Settings(fuser="mean", device="cpu"),
        also_global=True,
        backbone=DEMO,
        cover=2,
        keep_features="float16",
    )
    assert (result.brain_key, result.embedded, result.failed) == ("detail", 20, 0)
    yield index
    if index.record is not None:  # its patch features lie outside the dataset
        index.delete()


def test_every_sentence(index, dataset, tmp_path):
    assert index.coverage().missing == 4
    assert index.update().embedded == 4
    assert index.coverage().missing == 0 and index.coverage(dataset[:3]).embedded == 3

    found = index.search(QUERY, k=3, method="vectors")
    native = dataset.sort_by_similarity(QUERY, brain_key="detail", k=3)
    assert found.ids == native.values("id")
    part = index.search(QUERY, dataset[:5], k=24, method="patches")
    assert sorted(part.ids) == sorted(dataset[:5].values("id"))
    by_vector = index.search(found.vector, k=3)
    assert by_vector.method == "patches"
    assert by_vector.ids == index.search(QUERY, k=3).ids

    hits = index.tag(QUERY, "red", threshold=0.0)
    assert 0 < hits.hits == len(dataset.match_tags("red")) < 24
    shown = index.show_where(QUERY, dataset[:2], max_boxes=1)
    assert shown.images == 2 and dataset.has_field("detail_where")

    exported = index.export(tmp_path / "a.parquet")
    assert exported.vectors == len(pq.read_table(exported.path)) == 24

    index.rename("b")
    assert (index.key, similarities(dataset)) == ("b", ["b", "b_global"])
    assert index.search(QUERY, k=3, method="vectors").ids == found.ids
    folder = index.store().directory
    index.delete()
    assert not dataset.list_brain_runs() and not folder.exists()
    assert index.record is None and index.field is None


def test_what_an_index_owns(index, dataset):
    record = records.read(dataset, "detail")
    assert index.record == record and index.find() == (record, "")
    assert index.field == index.vector_field == "detail_embedding"
    assert (index.patches_field, index.error_field) == (
        "detail_patches",
        "detail_error",
    )
    assert index.keys == ["detail", "detail_global"]
    assert index.fields == [
        "detail_embedding", "detail_error", "detail_source", "detail_global_embedding"
    ]
    assert index.has_whole and index.owns_whole
    assert index.space.slug == record.space == index.model.name
    vectors = index.vectors()
    assert vectors.ids == dataset[:20].values("id") and len(index.store()) == 20
    assert index.facts.images == 20 and "re-ranked" in index.facts.searches

    whole = DetailIndex(dataset, index.whole.key)
    assert whole.find() == (record, "whole-image") and whole.base.key == "detail"
    assert whole.record is None and whole.field == "detail_global_embedding"
    assert whole.space.slug == record.global_space and whole.search(QUERY).ids
    with pytest.raises(ValueError, match="whole-image vectors of 'detail': update"):
        whole.update()


def test_what_another_object_does_is_seen(index, dataset):
    other = DetailIndex(dataset, "detail")
    other.delete()
    assert index.record is None
    with pytest.raises(ValueError, match="unknown brain key 'detail'"):
        index.search(QUERY)


def test_an_unknown_key(dataset, tmp_path):
    index = DetailIndex(dataset, "nothing")
    assert index.record is None and index.facts is None and index.field is None
    assert index.find() == (None, "") and not index.has_whole
    for sentence in (
        lambda: index.search(QUERY),
        lambda: index.update(),
        lambda: index.rename("b"),
        lambda: index.delete(),
        lambda: index.export(tmp_path / "a.parquet"),
        lambda: index.coverage(),
        lambda: index.vectors(),
        lambda: index.store(),
        lambda: index.space,
        lambda: index.show_where(QUERY),
        lambda: index.tag(QUERY),
    ):
        with pytest.raises(ValueError, match="'nothing'"):
            sentence()
    assert not dataset.list_runs() and not [*tmp_path.iterdir()]


def test_an_index_of_anothers(dataset, tmp_path):
    rng = np.random.default_rng(0)
    dataset.set_values("theirs", rng.standard_normal((24, 8)).astype(np.float32))
    fob.compute_similarity(dataset, embeddings="theirs", brain_key="other")
    index = DetailIndex(dataset, "other")
    assert index.field == "theirs" and index.find() == (None, "")
    nearest = index.search(index.vectors().matrix[3], k=1)
    assert nearest.ids == [dataset.values("id")[3]]
    assert index.coverage().embedded == 24
    assert index.export(tmp_path / "a.parquet").dim == 8
    with pytest.raises(ValueError, match="cannot be searched by text"):
        index.search(QUERY)
    with pytest.raises(ValueError, match="'other' is no index of detail-embed"):
        index.update()
    with pytest.raises(ValueError, match="'other' is no index of detail-embed"):
        index.rename("b")
    index.delete()
    assert not dataset.list_brain_runs() and dataset.has_field("theirs")


def test_samples_of_another_dataset(index, loaded):
    with pytest.raises(ValueError, match=f"of the dataset {loaded.name!r}, but the"):
        index.search(QUERY, loaded)


def test_a_choice_that_there_is_not(dataset):
    with pytest.raises(TypeError, match="colour"):
        DetailIndex(dataset, "detail").compute(colour=3)


def test_the_package_loads_the_index_when_it_is_asked_for(bare_python):
    done = bare_python(
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import detail_embed.fiftyone_bridge as bridge;"
        "assert not {'torch', 'fiftyone'} & {*sys.modules}",
        __file__.rpartition("/tests/")[0],
    )
    assert done.returncode == 0, done.stderr
    assert fiftyone_bridge.DetailIndex is DetailIndex
    with pytest.raises(AttributeError, match="Nothing"):
        getattr(fiftyone_bridge, "Nothing")  # noqa: B009
