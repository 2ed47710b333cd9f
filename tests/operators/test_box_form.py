"""The form asks for boxes of a label field: none by default, the rest once chosen."""

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import estimate
from tests.forms import problems_of

URI = "@detail/detail-embed/compute_detail_embeddings"
PARAMS = {
    "backbone": DEMO, "cover": "1", "fuser": "mean", "vectors": "1", "device": "cpu",
    "quality": "fast", "brain_key": "boxed", "advanced": True,
}


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    monkeypatch.setattr(estimate, "measure", lambda *_: None)  # beside the form


def form(dataset, **params):
    request = {"dataset_name": dataset.name, "params": PARAMS | params}
    ctx = foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=URI
    )
    made = foo.get_operator(URI).resolve_input(ctx)
    return made.type.properties, problems_of(made)


def test_boxes_are_offered_and_what_belongs_to_them_once_they_are_chosen(dataset):
    inputs, problems = form(dataset)
    assert problems == []
    assert inputs["patches_field"].view.values() == ["ground_truth"]
    assert inputs["patches_field"].default is None
    assert "padding" not in inputs and "none" not in inputs["cover"].type.values

    inputs, problems = form(dataset, patches_field="ground_truth", cover="none")
    assert problems == []
    assert inputs["padding"].default == 0 and "none" in inputs["cover"].type.values
    _, (problem,) = form(dataset, patches_field="ground_truth", padding=-1)
    assert problem == (
        "Padding of the boxes: -1: give a number from 0 to 10, the share of a box's "
        "longer side that is added around it"
    )
    _, (problem,) = form(dataset, cover="none")
    assert problem.startswith("Complete Cover: 'none' leaves the whole image alone")


def test_boxes_are_not_offered_where_there_are_none(dataset):
    dataset.delete_sample_field("ground_truth")
    dataset.set_values("kind", [fo.Classification(label="a")] * len(dataset))
    inputs, problems = form(dataset)
    assert "patches_field" not in inputs and problems == []
    _, (problem,) = form(dataset, patches_field="kind")
    assert "holds Classification" in problem


def test_what_was_filled_in_is_computed(dataset):
    view = dataset[:2]
    sample = view.first()
    sample.ground_truth.detections[0].bounding_box = [2, 2, 1, 1]
    sample.save()
    params = PARAMS | {"patches_field": "ground_truth", "padding": 0.5}
    assert not foo.execute_operator(URI, ctx={"view": view}, params=params).delegated
    dataset.reload()
    boxes = view.count("ground_truth.detections")
    root = "ground_truth.detections.boxed_boxes"
    assert dataset.count(f"{root}_embedding") == boxes - 1
    assert dataset.count(f"{root}_error") == 1
    assert dataset.list_brain_runs()[:2] == ["boxed", "boxed_boxes"]
    found = foo.get_operator(URI)(
        view, patches_field="ground_truth", padding=0.5, backbone=DEMO, cover=1,
        fuser="mean", vectors=1, keep_features=False, brain_key="boxed", device="cpu",
    )
    assert (found["present"], found["boxes"]) == (2, 0)
