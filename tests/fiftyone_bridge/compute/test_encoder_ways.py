"""How images were encoded: recorded, and an exact index stays exact."""

from dataclasses import replace

import pytest

from detail_embed.backbone import cpu_ways
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index, update
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings

EXACT = Settings(backbone=DEMO, cover=2, fuser="mean", device="cpu", vectors=1,
                 keep_features="float16", precision="fp32")
FAST = replace(EXACT, precision="auto")


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """What is fastest here is bf16."""
    monkeypatch.setenv(cpu_ways.VARIABLE, "torch bf16")


@pytest.fixture
def pictures(make_pictures):
    return make_pictures(4)


def compute(dataset, settings, key, samples=None, **more):
    samples = dataset if samples is None else samples
    index = Index(dataset, key)
    run = compute_index.compute(index, samples, settings, also_global=False, **more)
    return run.finish()


def precisions(dataset, key):
    return [way["precision"] for way in Index(dataset, key).record.ways]


def test_an_exact_index_stays_exact(pictures):
    result = compute(pictures, EXACT, "exact", pictures[:2])
    assert result.encoder == "Encoded on the CPU by torch in fp32"
    (way,) = Index(pictures, "exact").record.ways
    assert way == {"engine": "torch", "precision": "fp32",
                   "machine": cpu_ways.cpu_name(), "speeds": {}}
    with pytest.raises(ValueError, match="precision='bf16': the index 'exact' was"):
        compute(pictures, replace(EXACT, precision="bf16"), "exact")

    other = compute(pictures, FAST, "fast")  # encodes the other two, in bf16
    assert other.encoder.endswith("by torch in bf16")
    assert sorted(precisions(pictures, "fast")) == ["bf16", "fp32"]
    index = Index(pictures, "fast")
    kept = feature_stores.open_store(index).precisions()
    assert sorted(kept.values()) == ["bf16", "bf16", "fp32", "fp32"]

    run = update.update(Index(pictures, "exact"), pictures).finish()
    assert run.embedded == 2 and run.encoder.endswith("in fp32")
    assert precisions(pictures, "exact") == ["fp32"]
    kept = feature_stores.open_store(index).precisions()
    assert set(kept.values()) == {"fp32"}


def test_one_of_an_older_version_goes_on_in_fp32(pictures):
    compute(pictures, EXACT, "old", pictures[:2])
    index = Index(pictures, "old")
    index.write(replace(index.record, ways=None))
    assert update.update(index, pictures).finish().encoder.endswith("in fp32")
    assert precisions(pictures, "old") == ["unknown", "fp32"]


def test_one_that_is_begun_in_bf16_says_so(pictures):
    assert compute(pictures, FAST, "fast").encoder.endswith("in bf16")
    assert precisions(pictures, "fast") == ["bf16"]
    compute(pictures, EXACT, "fast", overwrite=True)
    assert precisions(pictures, "fast") == ["fp32"]
