"""Fine-tuning from FiftyOne: the form, the run, the list, and using what was made."""

import dataclasses

import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.adapt import models
from detail_embed.backbone.weights import create_model
from detail_embed.fiftyone_bridge.adapt import tune
from operators.adapt.fine_tune import _request
from tests.forms import problems_of

ADAPT = "@detail/detail-embed/adapt_backbone"
COMPUTE = "@detail/detail-embed/compute_detail_embeddings"
TUNE = "fine-tune the model"
CHOICES = {"field": "ground_truth", "backbone": "detail-demo", "device": "cpu"}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))


@pytest.fixture
def adapt():
    return foo.get_operator(ADAPT)


@pytest.fixture
def manage():
    return foo.get_operator("@detail/detail-embed/manage_adapted_models")


def finish(dataset, **choices):
    """A fine-tuning of one pass, as the form starts it."""
    params = {**CHOICES, "method": TUNE, "epochs": 1, **choices}
    return foo.get_operator(ADAPT).start(dataset, params).finish()


def context(uri, dataset, **params):
    request = {"dataset_name": dataset.name, "params": params}
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=uri
    )


def form(operator, dataset, **params):
    ctx = context(operator.uri, dataset, **params)
    return operator.resolve_input(ctx)


@pytest.mark.slow
def test_tune_list_use_delete(dataset, adapt, manage):
    facts = finish(dataset, name="toys")
    assert facts.history[-1]["number"] == 1
    assert (facts.images, facts.backbone) == (24, "detail-demo")
    assert facts.source == "the label field 'ground_truth'" and facts.history
    assert manage() == [facts]
    with pytest.raises(ValueError, match="'toys' was made on .*: choose another name"):
        adapt(dataset, TUNE, minutes=0.02, name="toys", **CHOICES)

    verdict = {**facts.verdict, "is_offered": True}
    weights = {
        name: value * 1.01 if value.is_floating_point() else value
        for name, value in create_model("detail-demo", None)[0].state_dict().items()
    }
    models.save(dataclasses.replace(facts, verdict=verdict), weights)
    compute = foo.get_operator(COMPUTE)
    properties = form(compute, dataset, backbone="detail-demo", advanced=True)
    view = properties.type.properties["pretrained"].view
    assert [choice.value for choice in view.choices] == ["toys"]
    result = compute(
        dataset, backbone="detail-demo", pretrained="toys", cover=2, fuser="mean",
        brain_key="mine", device="cpu",
    )
    assert result["embedded"] == 24
    assert len(dataset.sort_by_similarity("red cube", brain_key="mine", k=5)) == 5
    listed = form(manage, dataset)
    assert "toys" in listed.type.properties["delete"].type.values
    assert manage(delete="toys") == []
    with pytest.raises(ValueError, match="no adapted model is called 'toys'; none was"):
        manage(delete="toys")


@pytest.mark.slow
def test_too_little_time_says_so_and_is_not_taken(dataset, adapt):
    facts = adapt(dataset, TUNE, minutes=0.001, name="toys", **CHOICES)
    assert not facts.is_offered and "give more minutes" in facts.reason
    results = adapt.results(facts, {"method": TUNE})
    assert "**toys** is not offered: no pass" in results["summary"]
    assert "24 images" in results["summary"]
    assert [line["name"] for line in results["curve"]] == [
        "your texts, held-out images", "general nouns", "loss"
    ]
    assert {"summary", "curve"} <= set(adapt.schema(results).type.properties)
    verdict = {**facts.verdict, "is_offered": False, "reason": "nouns would lose"}
    models.save(dataclasses.replace(facts, verdict=verdict), {})
    compute = foo.get_operator(COMPUTE)
    with pytest.raises(ValueError, match="'toys' is not offered: nouns would lose"):
        compute(dataset, backbone="detail-demo", pretrained="toys", brain_key="mine")


def test_the_form_asks_and_says_what_it_takes(dataset, adapt):
    properties = form(adapt, dataset, method=TUNE, **CHOICES).type.properties
    assert {"field", "use_boxes", "name", "trained", "minutes"} <= set(properties)
    label = properties["estimate"].view.label
    assert "24 images" in label and "boxes say where" in label
    assert problems_of(form(adapt, dataset, method=TUNE, **CHOICES)) == []
    named = form(adapt, dataset, method=TUNE, **(CHOICES | {"name": "a b"}))
    assert "cannot name an adapted model" in str(problems_of(named))


def test_a_form_of_a_dataset_without_fields(make_pictures, adapt):
    problems = problems_of(form(adapt, make_pictures(3), method=TUNE))
    assert "no field of labels or captions" in str(problems)


@pytest.mark.parametrize(("change", "message"), [
    ({"field": None}, "name the field to learn from"),
    ({"field": "nothing"}, "field='nothing' is no field of labels"),
    ({"trained": "magic"}, "method must be one of"),
    ({"minutes": "long"}, "minutes must be a number"),
    ({"pretrained": "/no/such.safetensors"}, "there is no checkpoint file"),
    ({"backbone": "hf-hub:some/model"}, "is loaded as a whole"),
    ({"backbone": "no-such-model"}, "open_clip has no model"),
])
def test_what_cannot_be_used(dataset, adapt, change, message):
    with pytest.raises(ValueError, match=message):
        adapt(dataset, TUNE, **(CHOICES | change))


def test_too_few_images(dataset, adapt):
    with pytest.raises(ValueError, match="something of 5 images only.*at least 20"):
        adapt(dataset.limit(5), TUNE, **CHOICES)


@pytest.mark.slow
def test_a_stopped_training_goes_on_and_the_panel_sees_the_curve(dataset):
    steps = iter(tune.tune(dataset, _request({**CHOICES, "epochs": 2})))
    for progress in steps:
        if progress.text.startswith("Pass 1"):
            break
    steps.close()
    assert {"number", "loss", "held_out", "nouns"} <= set(progress.history[0])
    rest = list(tune.tune(dataset, _request({**CHOICES, "epochs": 1})))
    assert not any(step.text.startswith("Pass") for step in rest)
    assert models.names() == ["adapted"] and len(models.describe("adapted").blends) == 6


def test_of_one_name_one_model_is_trained_at_a_time(dataset):
    params = {**CHOICES, "method": TUNE, "epochs": 1, "name": "twins"}
    first, second, third = (
        iter(foo.get_operator(ADAPT).start(dataset, params)) for _ in range(3)
    )
    next(first)
    with pytest.raises(ValueError, match="'twins' is being trained by another run"):
        next(second)
    first.close()
    next(third)
    third.close()
