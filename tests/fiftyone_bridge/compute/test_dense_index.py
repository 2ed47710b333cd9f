"""An index whose windows were read in one pass."""

from dataclasses import replace

import fiftyone.zoo as foz
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.where.show_where import show_where
from detail_embed.images.image_file import read_image
from tests.tiny import register_tiny

SETTINGS = Settings(backbone=DEMO, cover=3, fuser="mean", device="cpu", vectors=1,
                    keep_features="float16", precision="fp32", features="dense")


def compute(dataset, settings, key="detail"):
    index = Index(dataset, key)
    return compute_index.compute(index, dataset, settings, also_global=False).finish()


def test_it_is_searched_goes_on_and_is_not_mixed_with_crops(make_pictures):
    pictures = make_pictures(6)
    assert compute(pictures, SETTINGS).embedded == 6
    record = Index(pictures, "detail").record
    assert "-cc3-even-dense-mean-" in record.space
    assert record.identity["features"] == "dense"
    assert Settings.from_identity(record.identity).make_cover().is_dense
    assert compute(pictures, SETTINGS).present == 6
    assert len(pictures.sort_by_similarity("a red cube", brain_key="detail", k=2)) == 2
    shown = show_where(Index.of(pictures, "detail"), pictures, "a red cube").finish()
    assert shown
    crops = replace(SETTINGS, features="crops")
    with pytest.raises(ValueError, match="features='?crops"):
        compute(pictures, crops)
    assert compute(pictures, crops, "crops").embedded == 6
    first = pictures.first()
    one, each = (
        first[Index(pictures, key).vector_field] for key in ("detail", "crops")
    )
    assert 0.7 < float(np.dot(one, each)) < 0.9999
    model = foz.load_zoo_model(record.space, cache=False)
    found = model.embed(read_image(first.filepath))
    np.testing.assert_allclose(found, one, atol=1e-4)


def test_what_cannot_be_is_said_before_anything_is_encoded(make_pictures, tmp_path):
    pictures = make_pictures(2)
    with pytest.raises(ValueError, match="give one of the two"):
        replace(SETTINGS, skip_flat="auto").check()
    with pytest.raises(ValueError, match="features='maps'"):
        replace(SETTINGS, features="maps").check()
    vit = replace(SETTINGS, backbone=register_tiny(tmp_path),
                  allow_random_weights=True)
    with pytest.raises(ValueError, match="takes a ModifiedResNet"):
        compute(pictures, vit)
    assert not pictures.list_brain_runs()
