"""An index that version 0.1 computed still searches, updates and exports."""

import json
import os
from pathlib import Path

import fiftyone.operators as foo
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.flow.old_index_restore import (
    KEYS,
    OLD_INDEX,
    expected,
    expected_vectors,
    restore,
)
from tests.flow.old_index_searches import PLUGIN, file_names, search

EXPECTED = expected()
VECTORS = expected_vectors()
SAME = {"rtol": 0, "atol": 1e-5}
KEPT = {"rtol": 0, "atol": 5e-4}  # a step of float16, in which features are kept
ROUNDED = {"rtol": 0, "atol": 5e-4}  # as version 0.1 rounded some scores

FRESH = """
import json, sys
import fiftyone as fo
name, prompt, *keys = sys.argv[1:]
dataset = fo.load_dataset(name)
for key in keys:
    view = dataset.sort_by_similarity(prompt, brain_key=key)
    print(json.dumps(view.values("filepath")))
"""


@pytest.fixture(scope="module")
def restored(tmp_path_factory):
    dataset = restore(tmp_path_factory.mktemp("a") / "restored")
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def updated(tmp_path_factory):
    """A second copy, and what the updates of both indexes said."""
    dataset = restore(tmp_path_factory.mktemp("b") / "updated")
    update = foo.get_operator(f"{PLUGIN}/update_index")
    options = {"device": "cpu", "precision": "fp32"}
    results = {key: update(dataset, key, **options) for key in ("detail", "few")}
    yield dataset, results
    dataset.delete()


def _check(dataset, key, wanted):
    for prompt in EXPECTED["prompts"]:
        found = search(dataset, key, prompt)
        assert found.keys() == wanted[prompt].keys()
        for way, answer in wanted[prompt].items():
            assert found[way]["images"] == answer["images"], (prompt, way)
            for name in answer.keys() - {"images"}:
                np.testing.assert_allclose(found[way][name], answer[name], **ROUNDED)


def _few(dataset):
    path = "few_patches.detections.vector"
    return np.concatenate([np.stack(some) for some in dataset.values(path) if some])


def test_it_is_small_and_names_no_place_of_a_machine():
    files = [path for path in OLD_INDEX.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    for path in files:
        if path.suffix == ".json":
            assert '"/' not in path.read_text("utf-8"), path


def test_patch_features_and_spaces_are_in_their_new_places(restored):
    for key in ("detail", "few"):
        features = Path(restored.get_run_info(key).config.features)
        assert features.is_relative_to(os.environ["DETAIL_EMBED_DATA"])
        assert features.parent.name == str(restored.first().dataset_id)
        assert (features / "store.json").is_file()
    for path in restored.values("filepath"):
        assert Path(path).is_file() and not Path(path).is_relative_to(OLD_INDEX)
    assert file_names(restored, restored.values("id")) == EXPECTED["images"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.slow
def test_every_search_finds_what_it_found(restored, key):
    _check(restored, key, EXPECTED["before"][key])


@pytest.mark.slow
def test_a_fresh_process_searches(restored, fresh_python):
    prompt = EXPECTED["prompts"][0]
    done = fresh_python(FRESH, restored.name, prompt, *KEYS)
    assert not done.returncode, done.stderr
    for key, line in zip(KEYS, done.stdout.splitlines()[-len(KEYS):], strict=True):
        names = [Path(path).name for path in json.loads(line)]
        assert names == EXPECTED["before"][key][prompt]["native"]["images"]


def test_the_vectors_are_those_that_were_computed(restored):
    count = EXPECTED["indexed"]
    for key in ("detail", "detail_global"):
        vectors = restored.values(f"{key}_embedding")
        np.testing.assert_array_equal(np.stack(vectors[:count]), VECTORS[key][:count])
        assert vectors[count:] == [None] * (len(restored) - count)
    of_indexed = VECTORS["few_images"] < count
    np.testing.assert_array_equal(_few(restored), VECTORS["few"][of_indexed])


def test_an_update_embeds_what_is_missing(updated):
    dataset, results = updated
    for result in results.values():
        counts = [result[name] for name in ("embedded", "present", "failed")]
        assert counts == [2, 8, 0]
    for key in ("detail", "detail_global"):
        vectors = np.stack(dataset.values(f"{key}_embedding"))
        np.testing.assert_allclose(vectors, VECTORS[key], **SAME)
    np.testing.assert_allclose(_few(dataset), VECTORS["few"], **KEPT)


@pytest.mark.parametrize("key", KEYS)
def test_searches_after_the_update(updated, key):
    _check(updated[0], key, EXPECTED["after"][key])


@pytest.mark.parametrize("key", KEYS)
def test_an_export_writes_the_vectors(restored, key, tmp_path):
    path = tmp_path / "vectors.parquet"
    result = foo.get_operator(f"{PLUGIN}/export_vectors")(restored, key, str(path))
    table = pq.read_table(path)
    found = np.stack(table["vector"].to_numpy())
    assert (result.images, result.vectors, result.dim) == (8, *found.shape)
    np.testing.assert_array_equal(found, VECTORS[key][: len(found)])
    names = file_names(restored, list(dict.fromkeys(table["id"].to_pylist())))
    assert names == EXPECTED["images"][:8]
    assert json.loads(table.schema.metadata[b"detail_embed"])["brain_key"] == key
