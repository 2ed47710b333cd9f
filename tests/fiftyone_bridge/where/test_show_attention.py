"""Heat maps of where the model looks, from Python and from the App."""

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor
from PIL import Image

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.where.show_attention import (
    MEANING,
    clear_attention,
    show_attention,
)
from tests.forms import problems_of
from tests.tiny import register_tiny

URI = "@detail/detail-embed/show_attention"
FIELD = "detail_attention"


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))


@pytest.fixture
def operator():
    return foo.get_operator(URI)


def compute(dataset, backbone=DEMO, cover=4):
    settings = Settings(
        backbone=backbone, cover=cover, fuser="mean", device="cpu", keep_features=False,
        allow_random_weights=backbone != DEMO,
    )
    index = Index.of(dataset, "detail")
    compute_index.compute(index, dataset, settings, also_global=False).finish()
    return Index.of(dataset, "detail")


def context(dataset, current_sample=None, **params):
    request = {
        "dataset_name": dataset.name,
        "params": params,
        "current_sample": current_sample,
        "active_fields": ["ground_truth"],
        "filters": {},  # as the App asks
    }
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=URI
    )


def lift(samples):
    """Mean heat in the boxes of things, over the mean heat of the image."""
    found = []
    for sample in samples:
        heat = sample[FIELD].map
        height, width = heat.shape
        for thing in sample.ground_truth.detections:
            x, y, w, h = thing.bounding_box
            part = heat[int(y * height) : int(np.ceil((y + h) * height)),
                        int(x * width) : int(np.ceil((x + w) * width))]
            found.append(part.mean() / heat.mean())
    return np.mean(found)


def test_windows_look_at_things(dataset):
    index, view = compute(dataset), dataset[:8]
    run = show_attention(index, view)
    texts = [step.text for step in run]
    assert texts[0] == "Loading the model" and "8 of 8 images" in texts[-1]
    result = run.result
    assert (result.field, result.images, result.failed) == (FIELD, 8, {})
    assert result.meaning == MEANING and dataset.count(FIELD) == 8
    for sample in view:
        heat = sample[FIELD]
        assert heat.map.shape == (64, 64) and heat.range == [0, 1]
        assert heat.map.max() == pytest.approx(1) and heat.map.min() >= 0
    by_windows = lift(view)
    show_attention(index, view, windows=False).finish()
    assert by_windows > 1.3 and by_windows > lift(view)
    assert dataset.get_field(FIELD).description == MEANING


@pytest.mark.parametrize("way", ["last", "rollout"])
def test_a_vision_transformer(dataset, tmp_path, way):
    index = compute(dataset[:3], register_tiny(tmp_path), cover=2)
    result = show_attention(index, dataset[:3], way=way, field="looked_at").finish()
    assert (result.field, result.images) == ("looked_at", 3)
    maps = [sample["looked_at"].map for sample in dataset[:3]]
    assert all(np.isfinite(map).all() and map.max() == pytest.approx(1) for map in maps)
    clear_attention(dataset, "looked_at")
    assert not dataset.has_field("looked_at")


def test_a_model_with_nothing_to_roll_out(dataset):
    index = compute(dataset[:3])
    with pytest.raises(ValueError, match="nothing to roll out: give way='last'"):
        show_attention(index, dataset[:3], way="rollout").finish()
    assert not dataset.has_field(FIELD)


def test_long_and_tall_images(tmp_path):
    dataset = fo.Dataset(persistent=True)
    for i, size in enumerate([(240, 120), (80, 240)]):
        path = tmp_path / f"{i}.png"
        Image.effect_noise(size, 90).convert("RGB").save(path)
        dataset.add_sample(fo.Sample(filepath=str(path)))
    index = compute(dataset, cover=2)
    show_attention(index, dataset).finish()
    assert [map.shape for map in dataset.values(f"{FIELD}.map")] == [(32, 64), (64, 21)]
    show_attention(index, dataset, windows=False).finish()
    long, tall = dataset.values(f"{FIELD}.map")
    # the centre crop is all that the whole image's patch shows
    assert not long[:, :16].any() and not long[:, 48:].any() and long[:, 16:48].all()
    assert not tall[:21].any() and not tall[43:].any() and tall[22:42].all()
    dataset.delete()


def test_unreadable_and_too_large_files_stop_nothing(dataset, operator, tmp_path):
    compute(dataset[:3])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    large = tmp_path / "large.png"
    Image.new("RGB", (400, 300)).save(large)
    dataset.add_samples([fo.Sample(str(broken)), fo.Sample(str(large))])
    result = operator(dataset[-4:], max_pixels=100_000)
    assert result.images == 2 and set(result.failed) == {str(broken), str(large)}
    assert "400 x 300 pixels, more than the 100000" in result.failed[str(large)]
    assert dataset.count(FIELD) == 2
    assert "could not be read, such as" in operator.summarise(result)


def test_what_cannot_be_used(dataset):
    with pytest.raises(ValueError, match="no index of detail-embed"):
        show_attention(Index(dataset, "detail"), dataset)
    index = compute(dataset[:3])
    for arguments, said in (
        ({"way": "first"}, "way='first': give 'last' or 'rollout'"),
        ({"windows": "yes"}, "windows='yes': give True or False"),
        ({"field": "ground_truth"}, "holds Detections that are no heat maps"),
        ({"field": "filepath"}, "are left alone"),
    ):
        with pytest.raises(ValueError, match=said):
            show_attention(index, dataset, **arguments)
    with pytest.raises(ValueError, match="are left alone"):
        clear_attention(dataset, "ground_truth")


def test_a_run_that_is_stopped_keeps_what_is_done(dataset):
    index = compute(dataset)
    for step in show_attention(index, dataset):
        if step.text.startswith("2 of"):
            break
    assert dataset.has_field(FIELD) is False  # written in shares of 64
    assert show_attention(index, dataset).finish().images == len(dataset)


def test_the_form(dataset, operator):
    assert "no index" in problems_of(operator.resolve_input(context(dataset)))[0]
    compute(dataset[:3])
    form = operator.resolve_input(context(dataset))
    assert not problems_of(form)
    said = str(form.to_json())
    assert MEANING in said and "the 24 images of the target view" in said
    one = dataset.first().id
    assert "the open image" in str(
        operator.resolve_input(context(dataset, one)).to_json()
    )
    bad = operator.resolve_input(context(dataset, field="ground_truth"))
    assert "are left alone" in problems_of(bad)[0]


def test_in_the_app(dataset, operator):
    compute(dataset[:3])
    one = dataset.first().id
    for current, count in ((one, 1), (None, len(dataset))):
        ctx = context(dataset, current, windows=False)
        steps = list(operator.execute(ctx))
        assert steps and dataset.count(FIELD) == count
    names = [request.operator_uri for request in ctx.executor._requests]
    assert "set_active_fields" in str(names) or any(
        "set_active_fields" in str(step.to_json()) for step in steps
    )


def test_delegated(dataset, operator):
    compute(dataset[:3])
    queued = operator(dataset[:2], windows=False, delegate=True)
    service = DelegatedOperationService()
    (queued,) = [
        one for one in service.list_operations(dataset_name=dataset.name)
        if one.operator == URI
    ]
    service.execute_operation(queued, log=False)
    done = service.get(queued.id)
    assert done.run_state == "completed", done.result
    assert dataset.count(FIELD) == 2
    service.delete_operation(queued.id)
