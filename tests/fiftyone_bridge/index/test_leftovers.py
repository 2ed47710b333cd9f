"""Patch features that no index uses: listed with sizes, deleted on request."""

import os
import time
from pathlib import Path

import fiftyone.operators as foo
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index import feature_stores, leftovers
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.leftovers import main
from detail_embed.storage.user_folders import DATA_VARIABLE

KEPT = Settings(backbone=DEMO, cover=1, fuser="mean", device="cpu", vectors=1,
                keep_features="float16")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))


@pytest.fixture
def computed(loaded):
    made = loaded[:4].clone(persistent=True)
    compute_index.compute(Index(made, "detail"), made, KEPT).finish()
    return made


def grow_old(folder):
    for path in (folder, *folder.iterdir()):
        os.utime(path, (time.time() - 7200,) * 2)


def test_features_of_a_deleted_dataset(computed, capsys):
    name, folder = computed.name, Index(computed, "detail").record.features
    size = feature_stores.num_bytes(folder)
    assert leftovers.find() == []
    computed.delete()
    (left,) = leftovers.find()
    assert (str(left.folder), left.dataset) == (folder, name)
    assert left.is_sure and left.num_bytes > size > 0
    main([])
    assert f"{name}: the dataset was deleted" in capsys.readouterr().out
    assert os.path.isdir(folder)
    main(["--delete"])
    assert "freed" in capsys.readouterr().out
    assert leftovers.find() == [] and not os.path.exists(os.path.dirname(folder))


def test_what_may_be_wanted_is_deleted_on_request_only(computed):
    clean = foo.get_operator("@detail/detail-embed/clean_features")
    index = Index(computed, "detail")
    folder = index.record.features
    computed.delete_run("detail")  # as somebody might who does not know of us
    assert leftovers.find() == []  # a run may be filling them
    grow_old(Path(folder))
    (left,) = leftovers.find()
    assert not left.is_sure and "no index" in left.why
    assert clean() == 0 and os.path.isdir(folder)
    assert clean(everything=True) == left.num_bytes and not os.path.isdir(folder)
    computed.delete()


def test_an_agent_deletes_nothing_unasked(computed):
    uri = "@detail/detail-embed/clean_features"
    folder = Index(computed, "detail").record.features
    computed.delete()
    answer = foo.execute_operator(uri, params={}).result
    assert "delete=True" in answer["problem"] and os.path.isdir(folder)
    answer = foo.execute_operator(uri, params={"delete": True}).result
    assert "MB" in answer["freed"] and not os.path.exists(folder)


def test_features_of_another_database_are_left_alone(computed):
    folder = Path(Index(computed, "detail").record.features)
    owner = folder.parent / "dataset.json"
    text = owner.read_text()
    computed.delete()
    owner.write_text(text.replace('"database": "', '"database": "other'))
    assert leftovers.find() == []
    owner.unlink()  # of an older version
    grow_old(folder)
    (left,) = leftovers.find()
    assert not left.is_sure and "no such dataset" in left.why
