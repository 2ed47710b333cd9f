"""The form that computes an index: three choices that are right when it opens."""

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators import types
from fiftyone.operators.executor import Executor

from detail_embed.backbone import hub
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.engine import speed
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.speed import Speed
from detail_embed.fiftyone_bridge.compute import compute_index, estimate
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from tests.forms import field_of, problems_of

URI = "@detail/detail-embed/compute_detail_embeddings"
USUAL = Settings.backbone
MEASURE = estimate.measure
CPU = Settings(backbone=DEMO, cover=1, fuser="mean", vectors=1, keep_features=False)


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DETAIL_EMBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(estimate, "measure", lambda *_: None)  # beside the form


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(hub, "seems_out_of_reach", lambda *_: False)


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(hub, "seems_out_of_reach", lambda *_: True)
    monkeypatch.setattr(hub, "find", lambda *_: None)


def _form(dataset, **params):
    request = {"dataset_name": dataset.name, "params": params}
    ctx = foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=URI
    )
    form = foo.get_operator(URI).resolve_input(ctx)
    assert form.to_json()
    return form


def _opened(dataset, **params):
    """The form, and what the App fills in of it."""
    form = _form(dataset, **params)
    fields = form.type.properties
    return fields, {k: f.default for k, f in fields.items() if f.default is not None}


def _settings(params):
    """What the operator makes of what the App sends."""
    import sys

    room = type(foo.get_operator(URI)).__module__.rpartition(".")[0]
    return sys.modules[f"{room}.compute_request"].Request.from_params(params).settings


def test_it_opens_with_three_choices_and_is_valid(dataset, online):
    form = _form(dataset)
    fields = form.type.properties
    assert list(fields) == ["quality", "backbone", "brain_key", "advanced"]
    assert problems_of(form) == []
    assert fields["backbone"].default == USUAL
    assert fields["brain_key"].default == "detail"


def test_its_defaults_are_those_of_python(dataset, online):
    _, filled = _opened(dataset)
    assert filled["quality"] == "best"
    form, python = _settings(filled), Settings()
    assert form.identity() == python.identity() | {
        "pretrained": form.identity()["pretrained"]
    }
    assert form.must_keep and python.keep_features == "auto"  # there is room


def test_without_room_nothing_is_kept_as_by_python(dataset, online, monkeypatch):
    monkeypatch.setattr(feature_stores, "has_room", lambda *_: False)
    _, filled = _opened(dataset)
    assert filled["quality"] == "better"
    assert _settings(filled).keep_features is False


def test_each_quality_says_what_it_takes(dataset):
    fields, _ = _opened(dataset, backbone=DEMO)
    fast, better, best = fields["quality"].view.choices
    assert fast.description.startswith("30 patches of a square image, 8 vectors.")
    assert "0.246 MB; " in fast.description  # 24 images, 256 dimensions, 8 and 2
    assert better.description.startswith("39 patches, up to 16 vectors.")
    assert "At most 0.442 MB;" in better.description
    assert "MB of vectors and 1." in best.description  # 166 patches in int8
    assert "encoding of words" in best.description
    assert "words" not in fast.description


def test_the_time_is_of_what_was_measured(dataset):
    fields, _ = _opened(dataset, backbone=DEMO)
    assert all("not measured yet" in c.description for c in _choices(fields))
    speed.remember(DEMO, EncodeOptions(), Speed(100.0, has_words=True))
    fields, _ = _opened(dataset, backbone=DEMO)
    fast, better, best = (choice.description for choice in _choices(fields))
    assert f"about {round(24 * 30 / 100)} s here" in fast
    assert f"about {round(2 * 24 * 39 / 100)} s here" in better  # measured on all first
    assert f"about {round(24 * 166 / 100)} s here" in best
    assert "words" not in best


def test_each_quality_has_its_cover_unless_one_is_named(dataset):
    fields, _ = _opened(dataset, backbone=DEMO, advanced=True)
    assert fields["cover"].default == "by the quality"
    covers = [_settings({"quality": q}).cover for q in ("fast", "better", "best")]
    assert covers == [4, 5, Settings.cover]
    assert _settings({"quality": "fast", "cover": "by the quality"}).cover == 4
    assert _settings({"quality": "fast", "cover": "8"}).cover == 8


def _choices(fields):
    return fields["quality"].view.choices


def test_a_run_and_a_few_images_tell_the_speed(dataset):
    assert speed.recall(DEMO, CPU) is None
    MEASURE(dataset, CPU)
    assert speed.recall(DEMO, CPU).patches > 0
    assert not speed.recall(DEMO, CPU).has_words
    estimate.note(dataset.values("filepath"), Settings(backbone=DEMO), 2.0)
    known = speed.recall(DEMO, CPU)
    assert known == Speed(24 * 166 / 2.0, has_words=True)
    speed.remember(DEMO, CPU, Speed(7.0))
    assert speed.recall(DEMO, CPU) == Speed(7.0, has_words=True)


def test_a_run_remembers_its_speed(dataset):
    compute_index.compute(Index.of(dataset, "detail"), dataset, CPU).finish()
    assert speed.recall(DEMO, CPU).patches > 0


def test_offline_a_model_of_this_disk_is_chosen(dataset, offline):
    form = _form(dataset)
    fields = form.type.properties
    assert fields["backbone"].default == DEMO and problems_of(form) == []
    text = fields["backbone"].view.description
    assert "knows 797 things of synthetic scenes, no photographs" in text.lower()
    about = {c.value: c.description for c in fields["backbone"].view.choices}
    assert about[USUAL] == "Cannot be downloaded now"
    assert about[DEMO].endswith("on this disk")


def test_weights_that_cannot_be_had_are_said(dataset, offline):
    """The form can be sent all the same: a scheduled run may be on another machine."""
    form = _form(dataset, backbone=USUAL)
    alert = form.type.properties["weights_alert"].view
    assert isinstance(alert, types.Error) and alert.label == "Weights"
    assert "cannot be downloaded now" in alert.description
    assert "as Weights" in alert.description and problems_of(form) == []
    form = _form(dataset, backbone=DEMO, pretrained="/no/such/file.pt")
    alert = form.type.properties["weights_alert"].view
    assert "no checkpoint file" in alert.description


def test_the_model_of_the_datasets_own_index_comes_first(dataset, online):
    compute_index.compute(Index.of(dataset[:3], "detail"), dataset[:3], CPU).finish()
    fields, filled = _opened(dataset)
    assert filled["backbone"] == DEMO
    first = fields["backbone"].view.choices[0]
    assert (first.value, first.description[:32]) == (
        DEMO, "That of the index 'detail'; know"
    )


def test_a_name_that_is_free_is_proposed(dataset):
    compute_index.compute(Index.of(dataset[:3], "detail"), dataset[:3], CPU).finish()
    fields, filled = _opened(dataset)
    assert filled["brain_key"] == "detail_2"
    assert fields["brain_key"].view.description.startswith("A new index")
    same = {"brain_key": "detail", "vectors": "1", "fuser": "mean", "cover": "1"}
    form = _form(dataset, backbone=DEMO, **same)
    assert problems_of(form) == []
    assert "Goes on" in form.type.properties["brain_key"].view.description
    form = _form(dataset, backbone=DEMO, brain_key="detail")
    assert field_of(form) == "brain_key"
    (problem,) = problems_of(form)
    assert problem.startswith("The index 'detail' is there, and was made otherwise (")
    assert "Complete Cover" in problem and "space" not in problem
    form = _form(dataset, backbone=DEMO, brain_key="detail", overwrite=True)
    assert problems_of(form) == []
    assert "starts over" in form.type.properties["brain_key"].view.description


@pytest.mark.slow
def test_a_run_that_was_cut_short_goes_on(dataset):
    settings = Settings(backbone=DEMO, keep_features=False)
    run = compute_index.compute(Index.of(dataset, "detail"), dataset, settings)
    for _ in run:
        if Index.of(dataset, "detail").record is not None:
            break
    run._work.close()
    _, filled = _opened(dataset)
    assert filled["brain_key"] == "detail"


def test_advanced_shows_all_the_rest_each_with_a_sentence(dataset, online):
    fields, _ = _opened(dataset, advanced=True)
    assert {"cover", "vectors", "fuser", "keep_features", "device"} <= set(fields)
    silent = [n for n, f in fields.items() if not (f.view.description or _is_head(f))]
    assert silent == ["quality"]  # each choice has one
    opened, _ = _opened(dataset, fuser="gmp")
    assert opened["advanced"].default and "fuser" in opened


def _is_head(field):
    return type(field.view).__name__ == "Header"


@pytest.mark.parametrize(
    "wrong",
    [
        {"brain_key": "two words"},
        {"backbone": "ViT-B-33"},
        {"device": "cuda:9"},
        {"cover": "20"},
        {"vectors_by": "magic", "vectors": "4"},
    ],
)
def test_a_problem_is_said_beside_its_field(dataset, wrong):
    form = _form(dataset, **({"backbone": DEMO, "advanced": True} | wrong))
    assert field_of(form) == next(iter(wrong))


def test_an_empty_dataset_is_said_below():
    dataset = fo.Dataset()
    try:
        form = _form(dataset)
        assert "no samples" in problems_of(form)[0] and field_of(form) == "problem"
    finally:
        dataset.delete()
