"""A run with all settings left alone but the backbone: nothing more is needed."""

import json

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.operators as foo
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.image_vectors import read_vectors

pytestmark = pytest.mark.slow

PREFIX = "@detail/detail-embed"
THING = "red metal cube"

FRESH = """
import json, sys
import fiftyone as fo
import fiftyone.brain as fob
dataset = fo.load_dataset(sys.argv[1])
said = [
    dataset.sort_by_similarity(sys.argv[2], brain_key=key).values("id")
    for key in ("detail", "detail_single", "detail_global")
]
like = dataset.sort_by_similarity(dataset.first().id, brain_key="detail_single", k=3)
points = dataset.load_brain_results("detail_map").points
index = dataset.load_brain_results("detail_single", cache=False)
fob.compute_uniqueness(dataset, similarity_index=index)
said += [like.values("id"), points.shape, dataset.count("uniqueness")]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def made(loaded, tmp_path_factory):
    """The scenes with an index, and what the run said."""
    dataset = loaded.clone(persistent=True)
    with pytest.MonkeyPatch.context() as patch:
        data = str(tmp_path_factory.mktemp("data"))
        patch.setenv("DETAIL_EMBED_DATA", data)
        compute = foo.get_operator(f"{PREFIX}/compute_detail_embeddings")
        yield dataset, compute(dataset, backbone=DEMO), data
        DetailIndex(dataset, "detail").delete()
        assert similarities(dataset) == []
        assert "detail_map" not in dataset.list_brain_runs()
        assert "detail" not in dataset.list_runs()
        ours = {"detail_patches", "detail_embedding", "detail_global_embedding"}
        assert not ours & dataset.get_field_schema().keys()
    dataset.delete()


def test_what_the_run_makes_and_says(made):
    dataset, said, _ = made
    assert said["embedded"] == 24 and said["vectors"] in (4, 8, 16)
    assert "Patch features are kept, about" in said["features"]
    record = DetailIndex(dataset, "detail").record
    assert said["reason"] == record.reason and record.vectors == said["vectors"]
    assert set(similarities(dataset)) == {"detail", "detail_global", "detail_single"}
    assert dataset.list_brain_runs(type=fob.Visualization) == ["detail_map"]
    few = dataset.first().detail_patches.detections
    assert 1 < len(few) <= said["vectors"]
    for field in ("detail_embedding", "detail_global_embedding"):
        lengths = np.linalg.norm(np.stack(dataset.values(field)), axis=1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_a_fresh_process_needs_nothing_more(made, fresh_python):
    dataset, _, data = made
    done = fresh_python(FRESH, dataset.name, THING, DETAIL_EMBED_DATA=data)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    detail, single, whole, like, points, unique = said
    dataset.reload()
    dataset.delete_brain_run("uniqueness")
    ids = dataset.values("id")
    for found in (detail, single, whole):
        assert sorted(found) == sorted(ids)
    assert detail != whole and like[0] == ids[0] and points == [24, 2] and unique == 24
    index = DetailIndex(dataset, "detail")
    assert index.search(THING, k=24, method="vectors").ids == detail


def test_every_tool_finds_the_index(made):
    dataset, _, _ = made
    index = DetailIndex(dataset, "detail")
    assert index.search(THING).method == "patches"
    assert len(index.search(THING, k=5).patches()) == 5
    images, matrix, without = read_vectors(index, dataset, 2)
    assert without == 0 and images.values("id") == dataset.values("id")
    vectors = np.stack(dataset.values("detail_embedding"))
    np.testing.assert_allclose(matrix, vectors, atol=1e-6)
    for name in ("find_near_duplicates", "find_outliers"):
        result = foo.get_operator(f"{PREFIX}/{name}")(dataset)
        assert result.images == 24, name
    mapped = foo.get_operator(f"{PREFIX}/map_embeddings")(dataset, method="pca")
    assert mapped.images == 24
    where = foo.get_operator(f"{PREFIX}/show_where")(dataset.limit(2), THING)
    assert where.images == 2
    evaluate = foo.get_operator(f"{PREFIX}/evaluate_retrieval")
    rows = evaluate(dataset, ["detail_global", "detail"], "ground_truth").rows
    assert {row.method for row in rows} == {"detail_global", "detail"}


def test_a_search_says_when_nothing_looks_like_it(made):
    dataset, _, _ = made
    index = DetailIndex(dataset, "detail")
    nonsense = [index.search(text).likely for text in ("xqzwv blorp", "wrixl", "gnrf")]
    assert nonsense.count(0) >= 2 and None not in nonsense
    words = dataset.distinct("ground_truth.detections.label")[:16]
    assert sum(index.search(word, k=3).likely > 0 for word in words) > len(words) / 4


def test_a_new_image_gets_all_of_it(made, scenes):
    dataset, _, _ = made
    again = fo.Sample(filepath=str(sorted((scenes / "images").iterdir())[0]))
    dataset.add_sample(again)
    index = DetailIndex(dataset, "detail")
    assert index.update().embedded == 1
    for name in ("detail_patches", "detail_embedding", "detail_global_embedding"):
        assert len(dataset.exists(name)) == 25
    for key in index.keys:
        assert len(DetailIndex(dataset, key).vectors().ids) == 25
    assert len(dataset.load_brain_results("detail_map").points) == 25
    index.rename("other")
    assert set(similarities(dataset)) == {"other", "other_global", "other_single"}
    assert dataset.list_brain_runs(type=fob.Visualization) == ["other_map"]
    assert len(dataset.sort_by_similarity(THING, brain_key="other")) == 25
    index.rename("detail")
    dataset.delete_samples([again.id])
