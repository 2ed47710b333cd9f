"""The operator that adapts a model to one's words: its form, results and undoing."""

import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionError, Executor

from detail_embed.fiftyone_bridge import DetailIndex
from tests.forms import problems_of

URI = "@detail/detail-embed/adapt_backbone"
SETTINGS = {"backbone": "detail-demo", "cover": 3, "fuser": "mean", "vectors": 4,
            "device": "cpu", "keep_features": True}
SHAPES = {"cube": "blorfle", "sphere": "quendrix", "cylinder": "snurple",
          "cone": "vatomy", "torus": "zibbet"}


@pytest.fixture(scope="module")
def named(loaded):
    """Scenes whose solids have names that no model knows, with an index."""
    dataset = loaded.clone(persistent=True)
    for sample in dataset.iter_samples(autosave=True):
        for label in sample["ground_truth"].detections:
            shape = label.label.split()[-1]
            label.label = SHAPES.get(shape, shape)
        names = [label.label for label in sample["ground_truth"].detections]
        sample["caption"] = ", ".join(names)
    DetailIndex(dataset, "detail").compute(**SETTINGS)
    yield dataset
    dataset.delete()


@pytest.fixture
def adapt(named):
    yield foo.get_operator(URI)
    index = DetailIndex(named, "detail")
    if index.record.words:
        index.forget_words()


def form(adapt, dataset, **params):
    request = {"dataset_name": dataset.name, "params": params}
    ctx = foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=URI
    )
    return adapt.resolve_input(ctx)


def answer(dataset, **params):
    return foo.execute_operator(URI, ctx={"dataset": dataset}, params=params).result


def test_the_form_says_what_will_be_learned_and_from_what(adapt, named):
    found = form(adapt, named, field="ground_truth")
    properties = found.type.properties
    assert problems_of(found) == []
    assert [*properties["method"].type.values] == [
        "learn my words", "forget my words", "fine-tune the model"
    ]
    assert {"brain_key", "source", "field", "use_boxes"} <= set(properties)
    said = properties["estimate"].view.label
    assert "words from the boxes in 'ground_truth'" in said
    assert "by the stored patch features" in said and "you can undo it" in said
    captions = form(adapt, named, source="captions", field="caption")
    assert "from the captions in 'caption'" in (
        captions.type.properties["estimate"].view.label
    )


def test_what_is_missing_is_said_in_the_form(adapt, named, dataset):
    assert "no index to choose" in str(problems_of(form(adapt, dataset)))
    assert "no concept to learn from" in str(
        problems_of(form(adapt, named, source="concepts"))
    )
    assert "No index of this dataset knows learned words" in str(
        problems_of(form(adapt, named, method="forget my words"))
    )


def test_an_agent_learns_and_forgets(adapt, named):
    index = DetailIndex(named, "detail")
    said = answer(named, field="ground_truth", brain_key="detail")
    assert said["kept"] and said["after"] > said["before"]
    assert said["method"] == "learn my words" and "mAP" in said["summary"]
    assert index.facts.learned.startswith(f"{said['words']} learned words")
    known = form(adapt, named, method="forget my words", brain_key="detail")
    assert "learned words" in known.type.properties["what"].view.label
    again = form(adapt, named, field="ground_truth").type.properties["estimate"]
    assert "What it knows so far is replaced" in again.view.label
    said = answer(named, method="forget my words", brain_key="detail")
    assert "has forgotten" in said["summary"] and index.record.words is None
    for match, params in (
        ("No index of this dataset knows", {"method": "forget my words"}),
        ("'nothing' is no field of", {"field": "nothing"}),
        ("'fly': give one of", {"method": "fly"}),
    ):
        with pytest.raises(ExecutionError, match=match):
            answer(named, **params)


def test_python_learns_and_odd_arguments_are_named(adapt, named):
    result = adapt(named, field="ground_truth")
    assert result.kept and result.best[0][2] > result.best[0][1]
    for match, arguments in (
        ("give one of learn my words", {"method": "fly"}),
        ("give one of labels, captions", {"source": "fly"}),
        ("name the field that holds the labels", {}),
        ("no index of detail-embed", {"brain_key": "other", "field": "ground_truth"}),
    ):
        with pytest.raises(ValueError, match=match):
            adapt(named, **arguments)
