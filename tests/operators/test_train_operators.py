"""Training a fuser from FiftyOne, using it, listing and deleting it."""

import dataclasses
import json
import re
import sys

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor

from detail_embed.engine import cut
from detail_embed.fiftyone_bridge.compute import compute_index, train_fuser
from detail_embed.fiftyone_bridge.compute.train_fuser import TrainResult
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fusers import library
from detail_embed.training import TrainingConfig
from tests.forms import problems_of

COMPUTE = "@detail/detail-embed/compute_detail_embeddings"
TRAIN = "@detail/detail-embed/train_fuser"
PROXIES = ["cube", "sphere", "cone", "cylinder", "torus", "red metal cube",
           "blue rubber sphere", "green metal cone", "pyramid", "ring"]
CHOICES = {"backbone": "detail-demo", "cover": 2, "proxies": PROXIES, "device": "cpu"}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))


@pytest.fixture
def train():
    return foo.get_operator(TRAIN)


@pytest.fixture
def manage():
    return foo.get_operator("@detail/detail-embed/manage_fusers")


@pytest.fixture
def compute():
    return foo.get_operator(COMPUTE)


def context(uri, dataset, **params):
    request = {"dataset_name": dataset.name, "params": params}
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=uri
    )


def problems(operator, ctx):
    return problems_of(operator.resolve_input(ctx))


@pytest.mark.slow
def test_train_use_list_delete(dataset, train, manage, compute, monkeypatch):
    result = train(dataset, "solids_1", epochs=2, **CHOICES)
    assert (result.images, result.epochs, result.kind) == (24, 2, "attention")
    assert result.held_out >= result.before > 0
    assert [e["number"] for e in result.history] == [0, 1, 2]
    run = dataset.get_run_info("solids_1")
    assert run.config.method == train_fuser.METHOD
    assert run.config.patch_slug == result.patch_slug and run.config.versions["torch"]
    assert len(dataset.load_run_results("solids_1").history) == 3
    assert not library.checkpoint_directory("solids_1").exists()
    assert [facts.name for facts in manage()] == ["solids_1"]

    def fail(*args, **kwargs):
        raise AssertionError("patches are stored and not to be encoded again")

    extract = cut.extract_patches
    monkeypatch.setattr(cut, "extract_patches", fail)
    settings = Settings(fuser="solids_1", **CHOICES)
    found = compute_index.compute(
        Index(dataset, "trained"), dataset, settings
    ).finish()
    assert (found.embedded, found.fuser) == (24, "solids_1")
    vectors = np.stack(dataset.values("trained_embedding"))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    view = dataset.sort_by_similarity("red metal cube", brain_key="trained", k=5)
    assert len(view) == 5

    assert manage(delete="solids_1") == []
    with pytest.raises(ValueError, match="no trained fuser is called 'solids_1'"):
        manage(delete="solids_1")
    again = dataset.sort_by_similarity("red metal cube", brain_key="trained", k=5)
    assert again.values("id") == view.values("id")

    extra = dataset.add_sample(fo.Sample(filepath=dataset.first().filepath))
    monkeypatch.setattr(cut, "extract_patches", extract)
    ctx = context(COMPUTE, dataset, brain_key="trained", advanced=True)
    properties = compute.resolve_input(ctx).type.properties
    assert properties["fuser"].type.values[-1] == "solids_1"
    assert compute_index.compute(
        Index(dataset, "trained"), dataset, settings
    ).finish().embedded == 1
    cosine = dataset[extra]["trained_embedding"] @ vectors[0]
    assert cosine > 0.999  # those of the others are of features in float16
    with pytest.raises(ValueError, match="unknown fuser 'solids_1'"):
        compute_index.compute(
            Index(dataset, "trained"), dataset, settings, overwrite=True
        )


def test_a_name_that_another_run_has(dataset, train, compute):
    compute(dataset, **CHOICES, brain_key="mine", fuser="mean")
    with pytest.raises(ValueError, match="'mine' belongs to another run"):
        train(dataset, "mine", epochs=1, **CHOICES)
    compute(dataset, **CHOICES, brain_key="mine", fuser="mean")


def test_the_seed_decides_and_deleting_forgets_the_checkpoint(dataset):
    settings = Settings(fuser="transformer", **CHOICES)
    config = TrainingConfig(epochs=1)
    one, two = (
        train_fuser.train(dataset, settings, name, config).finish()
        for name in ("one", "two")
    )
    assert one.before == two.before and one.held_out == two.held_out
    steps = iter(train_fuser.train(dataset, settings, "cut", config))
    for progress in steps:
        if progress.text.startswith("Epoch 0"):
            break
    steps.close()
    assert library.checkpoint_directory("cut").is_dir()
    assert library.delete("cut")
    assert not library.checkpoint_directory("cut").exists()


def test_a_trained_fuser_is_for_its_own_patches(dataset, train, compute):
    train(dataset, "solids_1", epochs=1, **CHOICES)
    with pytest.raises(ValueError, match="trained on patches of .*cc2.*, not of .*cc3"):
        compute(dataset, fuser="solids_1", **(CHOICES | {"cover": 3}))
    with pytest.raises(ValueError, match="unknown fuser 'solids_2'.*'solids_1'"):
        compute(dataset, fuser="solids_2", **CHOICES)


def test_cancelling_keeps_the_best_and_the_next_run_goes_on(dataset):
    settings = Settings(fuser="attention", **CHOICES)
    config = TrainingConfig(epochs=3)
    steps = iter(train_fuser.train(dataset, settings, "cut", config))
    for progress in steps:
        if progress.text.startswith("Epoch 1"):
            break
    steps.close()
    assert len(library.describe("cut").history) == 2
    assert len(dataset.load_run_results("cut").history) == 2
    result = train_fuser.train(dataset, settings, "cut", config).finish()
    assert [e["number"] for e in result.history] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="'cut' was trained on 20.*overwrite=True"):
        train_fuser.train(dataset, settings, "cut", config)
    anew = train_fuser.train(dataset, settings, "cut", config, overwrite=True)
    assert anew.finish().held_out == pytest.approx(result.held_out)


def test_of_one_name_one_fuser_is_trained_at_a_time(dataset):
    settings = Settings(**CHOICES, fuser="attention")
    first, second, third, other = (
        iter(train_fuser.train(dataset, settings, name, TrainingConfig(epochs=1)))
        for name in ("twins", "twins", "twins", "another")
    )
    next(first)
    with pytest.raises(ValueError, match="'twins' is being trained by another run"):
        next(second)
    next(other)
    first.close()
    next(third)
    third.close()
    other.close()


def test_progress_shows_loss_and_curve(dataset):
    settings = Settings(fuser="attention", **CHOICES)
    run = train_fuser.train(dataset, settings, "seen", TrainingConfig(epochs=2))
    texts = [progress.text for progress in run]
    assert texts[0] == "Loading the model"
    assert any("24 of 24 images" in text for text in texts)
    assert re.match(
        r"Epoch 2: loss \d\.\d+, kept for held-out words \d+\.\d % .+ best \d+\.\d %$",
        texts[-1],
    )


def test_the_form(dataset, train):
    ctx = context(TRAIN, dataset, backbone="detail-demo", cover="2", name="solids_1")
    properties = train.resolve_input(ctx).type.properties
    assert problems(train, ctx) == []
    estimate = properties["estimate"].view.label
    assert properties["kind"].view.description is None
    assert "24 images take about" in estimate and "at most 30 minutes" in estimate
    ctx.params["kind"] = "transformer"
    assert "size" in train.resolve_input(ctx).type.properties
    ctx.params["name"] = "two words"
    assert "cannot name a fuser" in problems(train, ctx)[0]
    del ctx.params["name"]
    assert problems(train, ctx) == ["Type a name for the fuser"]


def test_a_delegated_training(dataset, train):
    queued = train(dataset, "later", epochs=1, delegate=True, **CHOICES)
    assert queued.delegated
    service = DelegatedOperationService()
    service.execute_queued_operations(log=False)
    assert library.describe("later").images == 24
    results = service.get(queued.result["id"]).result.result
    assert "**later** is trained" in results["summary"]
    ctx = context(TRAIN, dataset)
    output = sys.modules[type(train).__module__].training_output.schema(results)
    assert set(output.type.properties) == {"summary", "curve"}
    assert train.resolve_output(ctx).to_json()


def test_in_the_app(dataset, train):
    ctx = context(
        TRAIN, dataset, name="shown", epochs=1, backbone="detail-demo", cover="2",
        proxies="\n".join(PROXIES),
    )
    assert train.resolve_output(ctx).type.properties == {}
    for _ in train.execute(ctx):
        pass
    assert library.names() == ["shown"]
    (output,) = (
        r.params for r in ctx.executor._requests if r.operator_uri == "show_output"
    )
    assert json.dumps(output, allow_nan=False)
    results = output["results"]
    shown = output["outputs"]["type"]["properties"]
    assert set(shown) == {"summary", "curve"} and shown["curve"]["view"]["height"]
    facts = library.describe("shown")
    assert f"keeps {100 * facts.held_out:.1f} % of the ranking" in results["summary"]
    kept, loss = results["curve"]
    assert kept["y"] == [100 * epoch["held_out"] for epoch in facts.history]
    assert loss["yaxis"] == "y2" and loss["y"][0] is None

    compute = foo.get_operator(COMPUTE)
    ctx = context(COMPUTE, dataset, backbone="detail-demo", advanced=True)
    form = compute.resolve_input(ctx)
    (choice,) = (
        c for c in form.type.properties["fuser"].view.choices if c.value == "shown"
    )
    assert facts.patch_slug in choice.description
    ctx = context(
        COMPUTE, dataset, backbone="detail-demo", cover="2", fuser="shown"
    )
    assert problems(compute, ctx) == []


def test_what_a_training_gained_is_told(train):
    output = sys.modules[type(train).__module__].training_output
    facts = ("a", "attention", "slug", 24, 10, 2)
    gained = TrainResult(*facts, before=0.5, held_out=0.61, seconds=3.2, history=[])
    assert "keeps 61.0 % " in output.results(gained)["summary"]
    assert "50.0 % before the first step" in output.results(gained)["summary"]
    same = dataclasses.replace(gained, held_out=0.5)
    assert "it stays as it started" in output.results(same)["summary"]


def test_the_list_in_the_app(dataset, train, manage):
    uri = "@detail/detail-embed/manage_fusers"
    assert "No fuser was trained yet" in problems(manage, context(uri, dataset))[0]
    train(dataset, "solids_1", epochs=1, **CHOICES)
    ctx = context(uri, dataset)
    properties = manage.resolve_input(ctx).type.properties
    assert properties["delete"].type.values == ["solids_1"]
    assert properties["delete"].invalid  # nothing is chosen yet
    ctx.params["delete"] = "solids_1"
    form = manage.resolve_input(ctx)
    assert not form.type.properties["delete"].invalid
    assert form.view.to_json()["submit_button_label"] == "Delete"
    train(dataset, "solids_2", epochs=1, **CHOICES)
    left = manage.execute(ctx)["fusers"]
    assert library.names() == ["solids_2"]
    held_out = library.describe("solids_2").held_out
    assert "| solids_2 | attention |" in left and f"{100 * held_out:.1f} % |" in left
    assert "solids_1" not in left
    none = manage.execute(context(uri, dataset, delete="solids_2"))
    assert none == {"fusers": "No trained fuser is left."}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kind": "mean"}, "'mean'.* is not trained"),
        ({"name": "ridge"}, "kind of fuser"),
        ({"objective": "labels"}, "objective"),
        ({"minutes": -1}, "time_budget"),
        ({"proxy_field": "nope"}, "'nope' is no label field"),
    ],
)
def test_bad_input(dataset, train, change, message):
    arguments = {"name": "solids_1", "epochs": 1} | CHOICES | change
    with pytest.raises(ValueError, match=message):
        train(dataset, **arguments)


def test_too_few_images(dataset, train):
    with pytest.raises(ValueError, match="5 images are too few"):
        train(dataset[:5], "solids_1", **CHOICES)
    empty = fo.Dataset()
    try:
        with pytest.raises(ValueError, match="no samples"):
            train(empty, "solids_1", **CHOICES)
    finally:
        empty.delete()
