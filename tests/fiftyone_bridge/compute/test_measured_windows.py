"""Windows left out as a sample of the images allows, once for an index."""

from dataclasses import replace

import fiftyone as fo
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index, measured_windows
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.space import choose_fuser, flat_limit

SETTINGS = Settings(backbone=DEMO, cover=3, fuser="mean", device="cpu", vectors=1,
                    keep_features=False, precision="fp32", skip_flat="auto")


@pytest.fixture
def pictures(make_pictures):
    return make_pictures(8)


def compute(dataset, settings, key="detail", **more):
    index = Index(dataset, key)
    run = compute_index.compute(index, dataset, settings, also_global=False, **more)
    return run.finish()


def space_of(dataset):
    return Index(dataset, "detail").record.space


def test_of_few_images_all_windows_are_encoded(pictures):
    result = compute(pictures, SETTINGS)
    assert result.windows == (
        "All windows are encoded: it takes 1,000 images to save time, not 8"
    )
    assert "-cc3-even-mean-" in space_of(pictures)
    assert Index(pictures, "detail").record.identity["skip_flat"] == "auto"
    assert compute(pictures, replace(SETTINGS, skip_flat=False), "all").windows == ""


def test_the_limit_is_measured_once_and_kept(pictures, monkeypatch):
    monkeypatch.setattr(measured_windows, "MIN_IMAGES", 8)
    monkeypatch.setattr(choose_fuser, "_NOUNS", 120)
    asked = []

    def fit(sampled, words, held_out):
        asked.append((len(sampled.features), len(words) + len(held_out)))
        return flat_limit.FlatLimit(90, 0.5, 0.98, 4)

    monkeypatch.setattr(flat_limit, "fit_limit", fit)
    result = compute(pictures, SETTINGS)
    assert asked == [(8, 120)]
    assert result.windows.startswith("50% of the windows show too little")
    assert "-cc3-even-flat90-mean-" in space_of(pictures)

    pictures.add_sample(fo.Sample(filepath=pictures.first().filepath))
    again = compute(pictures, SETTINGS)  # goes on with what was measured
    assert (again.embedded, again.windows, len(asked)) == (1, "", 1)
    assert "-cc3-even-flat90-mean-" in space_of(pictures)
    with pytest.raises(ValueError, match="skip_flat"):
        compute(pictures, replace(SETTINGS, skip_flat=90))


@pytest.mark.parametrize("bad", ["none", 0, 1, 256, 1.5, None])
def test_other_values_are_refused(bad):
    with pytest.raises(ValueError, match="skip_flat"):
        replace(SETTINGS, skip_flat=bad).check()
