"""Facts, coverage, update, renaming and deletion of indexes."""

import datetime
import json
import shutil
import threading
from dataclasses import replace

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from tiny import TINY, register_tiny, tiny_checkpoint

from detail_embed import fusers
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.fiftyone_bridge.compute import compute_index, update
from detail_embed.fiftyone_bridge.index import (
    coverage,
    delete,
    records,
    rename,
)
from detail_embed.fiftyone_bridge.index import (
    facts as index_facts,
)
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples import vector_counts
from detail_embed.fiftyone_bridge.samples.app_defaults import (
    HEATMAP,
    MATCH,
    SCORE,
    WHERE,
)
from detail_embed.fusers import library

QUERY = "red metal cube"
MEAN = Settings(backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False)
KEPT = Settings(
    backbone=DEMO, cover=2, fuser="gmp", device="cpu", keep_features="int8"
)
KEPT_NOT = Settings(
    backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features=False
)
FEW = Settings(
    backbone=DEMO, cover=2, vectors=2, device="cpu", fuser="gmp", keep_features=False
)

SEARCH = """
import json, sys
import fiftyone as fo
dataset = fo.load_dataset(sys.argv[1])
for key in sys.argv[3:]:
    view = dataset.sort_by_similarity(sys.argv[2], brain_key=key, k=25)
    print(json.dumps(view.values("id")))
"""


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))


def _run(samples, settings=MEAN, brain_key="detail", **kwargs):
    kwargs = {"also_global": False} | kwargs
    return compute_index.compute(
        Index.of(samples, brain_key), samples, settings, **kwargs
    ).finish()


def _foreign(dataset, key="theirs", **kwargs):
    """An index that FiftyOne makes without us, searchable by text."""
    model = dataset.get_brain_info("detail").config.model
    return fob.compute_similarity(dataset, brain_key=key, model=model, **kwargs)


def _by_key(dataset):
    return {facts.brain_key: facts for facts in index_facts.facts(dataset)}


def _ranked(dataset, *keys):
    return [
        dataset.sort_by_similarity(QUERY, brain_key=key, k=25).values("id")
        for key in keys
    ]


def test_the_facts_of_all_kinds_of_indexes(dataset, tmp_path):
    assert index_facts.facts(dataset) == []
    kept = replace(KEPT, fuser="auto")
    _run(dataset[:20], kept, brain_key="detail", also_global=True)
    _run(dataset[:6], FEW, brain_key="few")
    _foreign(dataset[:5], embeddings="detail_embedding")
    fob.compute_similarity(dataset, embeddings=np.eye(24), brain_key="no_text")
    found = _by_key(dataset)
    assert [*found] == ["detail", "detail_global", "few", "few_single", "theirs"]

    ours, record = found["detail"], records.read(dataset, "detail")
    assert (ours.kind, ours.space, ours.cover) == ("detail", record.space, 2)
    assert (ours.fuser, ours.reason) == (record.fuser, record.reason)
    assert ours.reason and ours.backbone == DEMO and ours.backend == "sklearn"
    assert (ours.images, ours.dim, ours.vectors) == (20, 256, 1)
    assert ours.vector_bytes == 20 * 256 * 4
    assert ours.searches == ("single vector", "re-ranked")
    made = dataset.get_brain_info("detail").timestamp
    assert ours.created == made
    files = list((tmp_path / "data" / "features").rglob("*.safetensors"))
    assert ours.feature_bytes == sum(f.stat().st_size for f in files) > 0

    whole = found["detail_global"]
    assert (whole.kind, whole.space) == ("whole image", record.global_space)
    assert (whole.images, whole.cover, whole.fuser) == (20, 1, "mean")
    assert "re-ranked" in whole.searches and whole.feature_bytes is None

    few = found["few"]
    assert (few.images, few.vectors, few.dim) == (6, 2, 256)
    assert few.vector_bytes == 6 * 2 * 256 * 4
    assert few.searches == ("2 vectors", "re-ranked")  # features of the same cover

    single, record = found["few_single"], records.read(dataset, "few")
    assert (single.kind, single.space) == ("one vector an image", record.single_space)
    assert (single.images, single.vectors, single.fuser) == (6, 1, "gmp")
    assert (single.cover, single.feature_bytes) == (2, None)

    record = records.read(dataset, "detail")
    theirs = found["theirs"]
    assert (theirs.kind, theirs.space) == ("other", record.space)
    assert (theirs.images, theirs.backbone, theirs.fuser) == (20, None, None)
    assert theirs.searches == ("single vector",)
    shutil.rmtree(tmp_path / "data" / "features")
    assert _by_key(dataset)["detail"].searches == ("single vector",)


def test_facts_follow_every_change(dataset, monkeypatch):
    _run(dataset[:4])
    monkeypatch.setattr(vector_counts, "_SETTLED", datetime.timedelta(0))
    for _ in range(2):  # the second time from memory
        assert _by_key(dataset)["detail"].images == 4
    dataset.delete_samples(dataset[:1])
    assert _by_key(dataset)["detail"].images == 3
    _run(dataset[:5])
    assert _by_key(dataset)["detail"].images == 5
    dataset.clear_sample_field("detail_embedding")
    assert _by_key(dataset)["detail"].images == 0


def test_counts_at_rest_are_not_counted_again(dataset, monkeypatch):
    _run(dataset[:4])
    monkeypatch.setattr(vector_counts, "_SETTLED", datetime.timedelta(0))
    index_facts.facts(dataset)

    def fail(*args):
        raise AssertionError("counted again")

    monkeypatch.setattr(vector_counts, "_count", fail)
    monkeypatch.setattr(vector_counts, "_AGAIN", 0)
    assert _by_key(dataset)["detail"].images == 4
    sample = dataset.first()
    sample.tags.append("seen")
    sample.save()
    with pytest.raises(AssertionError, match="counted again"):
        index_facts.facts(dataset)


@pytest.fixture
def large(dataset, monkeypatch):
    """An index of many images, counted by someone; a sample was added since."""
    _run(dataset)
    monkeypatch.setattr(vector_counts, "_FEW", 0)
    dataset.add_sample(fo.Sample(filepath=dataset.first().filepath))
    return dataset


def test_who_does_not_wait_for_a_count_has_it_later(large, monkeypatch):
    may_end, count = threading.Event(), vector_counts._count

    def slow(home, paths):
        assert may_end.wait(60)
        return count(home, paths)

    monkeypatch.setattr(vector_counts, "_count", slow)
    for _ in range(2):
        for one in index_facts.facts(large, seconds=0.01):
            assert (one.images, one.vector_bytes, one.dim) == (None, None, None)
    may_end.set()
    later = index_facts.facts(large, seconds=60)
    assert later == index_facts.facts(large) and later[0].images == len(large) - 1
    assert not vector_counts._counting


def test_a_count_that_fails_leaves_no_number(large, monkeypatch):
    monkeypatch.setattr(vector_counts, "_count", lambda *_: 1 / 0)
    assert {one.images for one in index_facts.facts(large, seconds=60)} == {None}
    assert not vector_counts._counting


def test_an_index_that_was_cut_short_is_known_and_finished_by_an_update(dataset):
    steps = iter(compute_index.compute(Index(dataset, "detail"), dataset, MEAN))
    for step in steps:
        if step.text.startswith("16 of 24"):
            break
    steps.close()
    (facts,) = index_facts.facts(dataset)
    assert (facts.images, facts.backend, facts.searches) == (16, None, ())
    assert coverage.coverage(Index(dataset, "detail"), dataset).missing == 8
    result = update.update(Index(dataset, "detail"), dataset).finish()
    assert (result.embedded, result.present) == (8, 16)
    assert _by_key(dataset)["detail"].searches == ("single vector",)


@pytest.fixture
def broken(dataset, tmp_path):
    """The dataset, with three files that cannot be read."""
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "page.png").write_text("<html>not found</html>")
    for name in ("empty.png", "gone.png", "page.png", "gone_too.png"):
        dataset.add_sample(fo.Sample(filepath=str(tmp_path / name)))
    return dataset


def test_coverage_counts_and_shows_each_group(broken, scenes):
    _run(broken[10:], also_global=True)
    found = coverage.coverage(Index(broken, "detail"), broken)
    assert (found.embedded, found.missing, found.failed) == (14, 10, 4)
    assert list(found.reasons.items()) == [
        ("is missing", 2), ("is HTML, not an image", 1), ("is empty", 1),
    ]
    assert coverage.coverage(Index(broken, "detail_global"), broken) == found
    assert coverage.missing(Index(broken, "detail"), broken).values(
        "id"
    ) == broken[:10].values("id")
    assert coverage.embedded(Index(broken, "detail"), broken).values("id") == (
        broken[10:24].values("id")
    )
    failed = coverage.failed(Index(broken, "detail"), broken)
    assert failed.values("id") == broken[24:].values("id")
    gone = coverage.failed(Index(broken, "detail"), broken, "is missing")
    assert [path.rpartition("/")[2] for path in gone.values("filepath")] == [
        "gone.png", "gone_too.png",
    ]
    part = coverage.coverage(Index.of(broken[8:12], "detail"), broken[8:12])
    assert (part.embedded, part.missing, part.failed) == (2, 2, 0)


def test_coverage_of_indexes_of_others(dataset):
    _run(dataset[:20])
    vectors = dict(zip(*dataset[:20].values(["id", "detail_embedding"])))
    _foreign(dataset, "in_a_field", embeddings="detail_embedding")
    _foreign(dataset, "elsewhere", embeddings=vectors)
    labels = {
        sample.id: np.ones((len(sample.ground_truth.detections), 256), np.float32)
        for sample in dataset[:7]
    }
    _foreign(dataset[:7], "of_labels", embeddings=labels, patches_field="ground_truth")
    for key, count in {"in_a_field": 20, "elsewhere": 20, "of_labels": 7}.items():
        found = coverage.coverage(Index(dataset, key), dataset)
        assert (found.embedded, found.missing) == (count, 24 - count)
        assert (found.failed, found.reasons) == (0, {})
        assert len(coverage.missing(Index(dataset, key), dataset)) == 24 - count
        assert len(coverage.embedded(Index(dataset, key), dataset)) == count
        assert len(coverage.failed(Index(dataset, key), dataset)) == 0
    facts = _by_key(dataset)
    assert facts["elsewhere"].images is None
    assert facts["of_labels"].searches == ("vectors of labels",)
    with pytest.raises(ValueError, match="'nope' is no similarity index"):
        coverage.coverage(Index(dataset, "nope"), dataset)


def test_an_update_embeds_new_images_and_tries_failed_ones_again(broken, scenes):
    paths = broken.values("filepath")
    first = _run(broken[:26], KEPT, also_global=True)
    assert (first.embedded, first.failed) == (24, 2)
    shutil.copy(paths[0], paths[24])
    result = update.update(
        Index(broken, "detail"), broken, options=EncodeOptions(device="cpu")
    ).finish()
    assert (result.embedded, result.present, result.failed) == (1, 24, 3)
    assert (result.space, result.fuser) == (first.space, first.fuser)
    assert coverage.coverage(Index(broken, "detail"), broken).reasons == {
        "is missing": 2, "is HTML, not an image": 1,
    }
    copy = broken[paths[24]]
    original = broken[paths[0]]
    for field in ("detail_embedding", "detail_global_embedding"):
        assert copy[field] @ original[field] > 0.999
    index_of = broken.load_brain_results("detail_global", cache=False)
    assert index_of.total_index_size == 25
    store = update.feature_stores.find(
        broken, first.space.rpartition("-")[0].rpartition("-")[0]
    )
    assert (store.dtype, len(store)) == ("int8", 25)


def test_an_update_goes_on_with_every_setting(dataset):
    settings = Settings(
        backbone=DEMO, cover=3, spacing="authors", vectors=2,
        vectors_by="facility-location", proxies=("red cube", "cat, dog"),
        proxy_field="ground_truth", device="cpu", fuser="gmp", keep_features=False,
    )
    _run(dataset[:6], settings, brain_key="few")
    before = records.read(dataset, "few")
    dataset.delete_sample_field("ground_truth")  # the words were used when it was made
    result = update.update(Index.of(dataset[:9], "few"), dataset[:9]).finish()
    assert (result.embedded, result.present) == (3, 6)
    assert records.read(dataset, "few") == before
    size = dataset.count("few_patches.detections.vector")
    assert dataset.load_brain_results("few").total_index_size == size > 9


def test_an_update_of_an_index_whose_trained_fuser_was_deleted(dataset):
    slug = _run(dataset[:2], brain_key="plain").space.rsplit("-", 2)[0]
    facts = library.TrainedFacts("mine", "mean", slug, ["cube"], "", 2, {}, [])
    library.save(fusers.create("mean", 256), facts)
    _run(dataset[:3], replace(MEAN, fuser="mine"))
    library.delete("mine")
    result = update.update(Index.of(dataset[:5], "detail"), dataset[:5]).finish()
    assert (result.embedded, result.fuser) == (2, "mine")


def test_an_update_keeps_no_features_that_only_another_index_has(dataset):
    _run(dataset[:3], KEPT, brain_key="kept")
    _run(dataset[:20], KEPT_NOT, brain_key="plain")
    result = update.update(Index(dataset, "plain"), dataset).finish()
    assert (result.embedded, result.present) == (4, 20)


def test_an_update_finds_the_checkpoint_file(dataset, tmp_path):
    file = tiny_checkpoint(tmp_path)
    settings = Settings(
        backbone=TINY, pretrained=str(file), cover=1, fuser="mean", device="cpu"
    )
    _run(dataset[:3], settings)
    assert update.update(
        Index.of(dataset[:4], "detail"), dataset[:4]
    ).finish().embedded == 1
    moved = file.rename(tmp_path / "moved.pt")
    with pytest.raises(ValueError, match="not where it was.*pass pretrained"):
        update.update(Index(dataset, "detail"), dataset)
    other = tiny_checkpoint(tmp_path, seed=1)
    with pytest.raises(ValueError, match="another space"):
        update.update(Index(dataset, "detail"), dataset, pretrained=other)
    run = update.update(Index.of(dataset[:5], "detail"), dataset[:5], pretrained=moved)
    assert run.finish().embedded == 1
    assert update.update(
        Index.of(dataset[:6], "detail"), dataset[:6]
    ).finish().embedded == 1


def test_an_update_with_random_weights(dataset, tmp_path):
    settings = Settings(
        backbone=register_tiny(tmp_path), cover=1, fuser="mean", device="cpu",
        allow_random_weights=True,
    )
    _run(dataset[:3], settings)
    assert update.update(
        Index.of(dataset[:4], "detail"), dataset[:4]
    ).finish().embedded == 1


@pytest.mark.slow
def test_renaming_everything(broken, fresh_python):
    _run(broken[:26], KEPT, also_global=True)
    ranked = _ranked(broken, "detail", "detail_global")
    rename.rename(Index(broken, "detail"), "better")
    assert similarities(broken) == ["better", "better_global"]
    assert broken.list_runs() == ["better"]
    left = [f for f in broken.get_field_schema() if f.startswith("detail")]
    assert left == [SCORE, MATCH, WHERE, HEATMAP]  # of searches, by any index
    assert _ranked(broken, "better", "better_global") == ranked
    done = fresh_python(SEARCH, broken.name, QUERY, "better", "better_global")
    assert done.returncode == 0, done.stderr
    assert [*map(json.loads, done.stdout.splitlines()[-2:])] == ranked

    assert coverage.coverage(Index(broken, "better"), broken).failed == 2
    facts = _by_key(broken)
    assert facts["better"].searches == ("single vector", "re-ranked")
    assert facts["better_global"].kind == "whole image"
    result = update.update(Index(broken, "better"), broken).finish()
    assert (result.embedded, result.present, result.failed) == (0, 24, 4)
    _run(broken[:3], brain_key="detail", also_global=True)  # the old key is free
    delete.delete(Index(broken, "better"))
    assert similarities(broken) == ["detail", "detail_global"]


def test_renaming_an_index_of_a_few_vectors(dataset):
    _run(dataset[:8], FEW)
    ranked = _ranked(dataset, "detail")
    rename.rename(Index(dataset, "detail"), "few")
    assert _ranked(dataset, "few") == ranked
    assert dataset.has_field("few_patches") and not dataset.has_field("detail_patches")
    assert update.update(
        Index.of(dataset[:9], "few"), dataset[:9]
    ).finish().embedded == 1
    assert dataset.load_brain_results("few").total_index_size == 18


@pytest.mark.parametrize("fails", ["rename_run", "rename_brain_run"])
def test_renaming_takes_back_what_was_done_when_a_step_fails(
    dataset, monkeypatch, fails
):
    _run(dataset[:8], also_global=True)
    ranked = _ranked(dataset, "detail", "detail_global")
    original = getattr(type(dataset), fails)

    def fail(self, old, new):
        if new in ("better", "better_global") and old != "detail":
            raise RuntimeError("the database is gone")
        if fails == "rename_run":
            raise RuntimeError("the database is gone")
        return original(self, old, new)

    monkeypatch.setattr(type(dataset), fails, fail)
    with pytest.raises(RuntimeError, match="gone"):
        rename.rename(Index(dataset, "detail"), "better")
    monkeypatch.undo()
    assert similarities(dataset) == ["detail", "detail_global"]
    dataset.clear_cache()
    assert _ranked(dataset, "detail", "detail_global") == ranked
    assert not [f for f in dataset.get_field_schema() if f.startswith("better")]
    rename.rename(Index(dataset, "detail"), "better")
    assert _ranked(dataset, "better", "better_global") == ranked


def test_what_cannot_be_renamed(dataset):
    _run(dataset[:2], also_global=True)
    _foreign(dataset, "theirs", embeddings="detail_embedding")
    _foreign(dataset, "half_global", embeddings="detail_embedding")
    dataset.add_sample_field("taken_embedding", fo.VectorField)
    before = dataset.list_brain_runs()
    for old, new, message in [
        ("detail", "two words", "letters, digits"),
        ("detail", 5, "letters, digits"),
        ("detail", "detail", "belongs to another run"),
        ("detail", "theirs", "'theirs' belongs to another run"),
        ("detail", "detail_global", "'detail_global'"),
        ("detail", "taken", "field 'taken_embedding' exists"),
        ("detail", "half", "'half_global' belongs to another run"),
        ("detail_global", "new", "rename that, and both"),
        ("theirs", "new", "no index of detail-embed.*'detail'"),
        ("nope", "new", "no index of detail-embed"),
    ]:
        with pytest.raises(ValueError, match=message):
            rename.rename(Index(dataset, old), new)
        assert dataset.list_brain_runs() == before


def test_only_what_is_ours_is_updated(dataset):
    _run(dataset[:2], also_global=True)
    _foreign(dataset, embeddings="detail_embedding")
    for key in ("detail_global", "theirs", "nope"):
        with pytest.raises(ValueError, match="update"):
            update.update(Index(dataset, key), dataset)


def test_deleting_by_name(dataset, tmp_path):
    _run(dataset[:5], KEPT, also_global=True)
    _run(dataset[:2], KEPT_NOT, brain_key="second")
    _foreign(dataset, embeddings="detail_embedding")
    assert delete.unshared_features(Index(dataset, "detail")) is None
    delete.delete_any(Index(dataset, "theirs"))
    assert "theirs" not in dataset.list_brain_runs()
    assert dataset.has_field("detail_embedding")

    delete.delete_any(Index(dataset, "detail_global"))
    assert similarities(dataset) == ["detail", "second"]
    assert not dataset.has_field("detail_global_embedding")
    result = update.update(Index.of(dataset[:6], "detail"), dataset[:6]).finish()
    assert result.embedded == 1 and "detail_global" not in dataset.list_brain_runs()

    delete.delete_any(Index(dataset, "second"))
    folder = delete.unshared_features(Index(dataset, "detail"))
    assert folder == records.read(dataset, "detail").features
    delete.delete_any(Index(dataset, "detail"))
    assert not list((tmp_path / "data").rglob("*.safetensors"))
    assert dataset.list_brain_runs() == dataset.list_runs() == []
    with pytest.raises(ValueError, match="'detail' is no similarity index"):
        delete.delete_any(Index(dataset, "detail"))
