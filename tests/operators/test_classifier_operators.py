"""Training and applying classifiers as the App and Python ask for it."""

import fiftyone as fo
import fiftyone.operators as foo
import pydash
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.classifiers import library
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from tests.browser import PANEL, Browser
from tests.forms import field_of, problems_of
from tests.operators.panel.helpers import OPERATORS, SETTINGS, run
from tests.operators.test_agents import answer


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def shared(scenes):
    dataset = load_clver_ds(scenes)
    DetailIndex(dataset, "detail").compute(dataset, SETTINGS)
    for sample in dataset.iter_samples(autosave=True):
        first = sample.ground_truth.detections[0]
        sample["material"] = fo.Classification(label=first.material)
    yield dataset
    dataset.delete()


@pytest.fixture
def labelled(shared):
    yield shared
    for name in library.names(shared):
        library.delete(shared, name)
        shared.delete_sample_field(name)
    for key in shared.list_evaluations():
        shared.delete_evaluation(key)


def operator(name):
    return foo.get_operator(f"{OPERATORS}/{name}")


def form(of, dataset, **params):
    request = {"dataset_name": dataset.name, "params": params}
    ctx = foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=of
    )
    return operator(of).resolve_input(ctx)


def test_from_python(labelled):
    trained = operator("train_classifier")(labelled, "material", name="mine")
    assert 0 <= trained.accuracy <= 1
    applied = operator("apply_classifier")(labelled[:5], "mine", overwrite=True)
    assert (applied.items, applied.field) == (5, "mine")
    (report,) = operator("manage_classifiers")(labelled)
    assert report["accuracy"] == trained.accuracy and report["brain_key"] == "detail"
    assert operator("manage_classifiers")(labelled, delete="mine") == []
    labelled.delete_sample_field("mine")


def test_the_forms(labelled):
    assert problems_of(form("train_classifier", labelled)) == [
        "Choose one: ground_truth, material"
    ]
    with pytest.raises(TypeError, match=r"fo.load_dataset\('x'\)"):
        operator("train_classifier")("x", "material")
    assert "use_boxes" in form(
        "train_classifier", labelled, labels_field="ground_truth"
    ).type.properties
    asked = {"labels_field": "material", "name": "no name"}
    assert field_of(form("train_classifier", labelled, **asked)) == "name"
    (problem,) = problems_of(form("apply_classifier", labelled))
    assert "use 'Train a classifier'" in problem
    (problem,) = problems_of(form("manage_classifiers", labelled))
    assert "use 'Train a classifier'" in problem
    operator("train_classifier")(labelled, "material")
    fields = form("train_classifier", labelled).type.properties["labels_field"]
    assert fields.type.values == ["ground_truth", "material"]  # no predictions
    with pytest.raises(ValueError, match="has one class only"):  # it is looked at
        operator("train_classifier")(labelled, "material_linear")
    again = form("train_classifier", labelled, labels_field="material")
    (problem,) = problems_of(again)
    assert "choose another" in problem
    shown = form("apply_classifier", labelled, field="other")
    assert problems_of(shown) == [] and "overwrite" not in shown.type.properties


def test_calls_without_what_they_need(labelled):
    said = answer(f"{OPERATORS}/train_classifier", labelled)
    assert "labels_field" in said and "Traceback" not in said
    said = answer(f"{OPERATORS}/apply_classifier", labelled)
    assert "use 'Train a classifier'" in said
    run("manage_classifiers", labelled)
    for call in (
        lambda: operator("train_classifier")(labelled, ""),
        lambda: operator("train_classifier")(labelled, "material", name=""),
        lambda: operator("apply_classifier")(labelled, ""),
    ):
        with pytest.raises(ValueError, match="is empty"):
            call()


def test_the_panel_shows_what_is_confused(labelled):
    browser = Browser(foo.get_operator(PANEL), labelled.name)
    browser.event("on_load")
    browser.tab("curate")
    browser.event("on_train_classifier")
    assert browser.asked()[0] == "train_classifier"
    assert browser.part("curate.classifier") is None
    run("train_classifier", labelled, labels_field="material", brain_key="detail")
    run(
        "train_classifier", labelled, labels_field="material", kind="prompts",
        shots=0, name="by_name",
    )
    browser.event("on_look")
    browser.state["curate"]["classifier"] = "by_name"
    assert browser.event("on_classifier") is None
    (row,) = pydash.get(browser.data, "curate.confused")
    assert row["pair"] == "metal / rubber"
    pictures = pydash.get(browser.data, "curate.mistakes").values()
    assert 1 <= len(pictures) <= 6
    assert all(url.startswith("data:image/jpeg") for url in pictures)
    assert "are confused" in browser.event("on_confused", row=0)
    assert browser.active == ["material", "by_name"]
    wrong = library.report(labelled, "by_name")["confused"][0]["sample_ids"]
    assert browser.shown(labelled).values("id") == wrong
    browser.event("on_apply_classifier")
    assert browser.asked() == (
        "apply_classifier", {"brain_key": "detail", "name": "by_name"}
    )
