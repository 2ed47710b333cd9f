"""Few images that stand for all: chosen, tagged, shown, and what cannot be chosen."""

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor

from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.index.image_vectors import read_vectors
from tests.forms import problems_of
from tests.operators.panel.helpers import OPERATORS, SETTINGS

NAME = "select_diverse_subset"
URI = f"{OPERATORS}/{NAME}"


def select(*args, **kwargs):
    return foo.get_operator(URI)(*args, **kwargs)


@pytest.fixture(scope="module")
def shared(loaded, tmp_path_factory):
    """24 scenes with an index, and an image without a vector."""
    dataset = loaded.clone(persistent=True)
    DetailIndex(dataset, "detail").compute(dataset, SETTINGS)
    dataset.add_sample(fo.Sample(str(tmp_path_factory.mktemp("no") / "none.jpg")))
    yield dataset
    DetailIndex(dataset, "detail").delete()
    dataset.delete()


@pytest.fixture(autouse=True)
def clean(shared):
    yield
    shared.untag_samples(["known", "new"])
    shared.delete_saved_views()


def distances(dataset, chosen):
    """Of each image with a vector to the nearest of some, by its id."""
    images, matrix, _ = read_vectors(DetailIndex(dataset, "detail"), dataset, 1)
    ids = images.values("id")
    rows = [ids.index(id) for id in chosen]
    return dict(zip(ids, 1 - (matrix @ matrix[rows].T).max(1)))


def context(dataset, view=None, **params):
    view = dataset.view() if view is None else view
    request = {
        "dataset_name": dataset.name, "view": view._serialize(), "params": params}
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=URI)


def in_app(ctx):
    for _ in foo.get_operator(URI).execute(ctx):
        pass
    return {r.operator_uri: r.params for r in ctx.executor._requests}


def test_so_many_images(shared):
    result = select(shared, 6)
    assert len(result.ids) == 6 and (result.images, result.without) == (24, 1)
    assert result.view.values("id") == result.ids
    found = distances(shared, result.ids)
    assert result.radius == pytest.approx(max(found.values()), abs=1e-5)
    others = np.random.default_rng(0)
    by_chance = [
        max(distances(shared, others.choice(list(found), 6, replace=False)).values())
        for _ in range(20)
    ]
    assert result.radius < np.mean(by_chance)
    assert select(shared, 6).ids == result.ids == select(shared, 9).ids[:6]
    assert (result.tag, result.labelled, result.copies) == (None, 0, 0)


def test_down_to_a_distance(shared):
    result = select(shared, distance=0.1)
    assert result.radius <= 0.1 and len(result.ids) > 1
    assert select(shared, len(result.ids) - 1).radius > 0.1
    assert select(shared, 2, distance=0.1).ids == result.ids[:2]
    assert len(select(shared, distance=2).ids) == 1


@pytest.mark.parametrize("known", ["labelled_tag", "labelled_view", "labelled_field"])
def test_away_from_what_is_labelled(shared, known):
    some = shared.limit(9)
    if known == "labelled_tag":
        some.tag_samples("known")
        given = "known"
    elif known == "labelled_view":
        shared.save_view("known", some)
        given = "known"
    else:
        given = "marked"
        shared.add_sample_field(
            given, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
        some.set_values(given, [fo.Classification(label="x")] * 9)
    result = select(shared, 4, **{known: given})
    assert (result.labelled, result.images) == (9, 15)
    assert not set(result.ids) & set(some.values("id"))
    start = distances(shared, some.values("id"))
    assert start[result.ids[0]] == pytest.approx(max(start.values()), abs=1e-5)
    assert select(shared, 4, labelled_view=some).ids == result.ids
    assert select(shared[5:], 4, **{known: given}).ids == result.ids  # 5 are elsewhere
    near = select(shared, distance=2, **{known: given})
    assert near.ids == [] and not len(near.view) and near.radius < 2
    with pytest.raises(ValueError, match="labelled already, so there is nothing to"):
        select(some, 4, **{known: given})
    if known == "labelled_field":
        shared.delete_sample_field(given)


@pytest.mark.parametrize("kind, field, member", [
    (fo.Classification, None, {}),
    (fo.Detections, "detections", {"bounding_box": [0, 0, 0.5, 0.5]}),
])
def test_a_label_without_a_class_is_none_yet(shared, kind, field, member):
    shared.add_sample_field(
        "half", fo.EmbeddedDocumentField, embedded_doc_type=kind)
    if field is None:
        done, open_, empty = kind(label="x"), kind(), None
    else:
        done = kind(detections=[fo.Detection(label="x", **member)])
        open_, empty = kind(detections=[fo.Detection(**member)]), kind()
    labels = [done] * 3 + [open_] * 4 + [empty] * 2
    shared.limit(9).set_values("half", labels)
    result = select(shared, 4, labelled_field="half")
    shared.delete_sample_field("half")
    assert result.labelled == (3 if empty is None else 5)
    assert result.hints[0].startswith("In 'half', 4 images have labels without a class")
    said = ["2 images have an empty list: they count as labelled" in hint
            for hint in result.hints]
    assert any(said) == (empty is not None)


def test_what_is_labelled_elsewhere_and_tagged_before_is_said(shared):
    shared[20:].tag_samples("known")  # 4 images, and one without a vector
    shared[:2].tag_samples("new")
    view = shared[2:20]
    result = select(view, 3, labelled_tag="known", tag="new")
    assert (result.labelled, result.elsewhere) == (0, 4)
    assert result.hints == (
        "1 labelled images have no vector: nothing is kept away from them.",
        "2 other images have the tag 'new' from before.",
    )
    text = foo.get_operator(URI).summarise(result)
    assert "of a chosen one or one of 4 labelled ones." in text and "before" in text


def test_an_equal_share_for_each_prompt(shared):
    prompts = ["red metal cube", "blue rubber sphere, -red metal cube"]
    result = select(shared, 6, prompts="\n".join(prompts) + "\n\n")
    assert len(set(result.ids)) == 6
    assert select(shared, 6, prompts=prompts).ids == result.ids
    index = DetailIndex(shared, "detail")
    best = [index.search(p, k=None, method="vectors").ids for p in prompts]
    for place, id in enumerate(result.ids):  # the best 9 that are left
        assert best[place % 2].index(id) < 9 + place
    assert select(shared, 24, prompts=prompts).radius == 0


def test_tags_form_and_view(shared):
    form = foo.get_operator(URI).resolve_input(context(shared))
    assert problems_of(form) == [] and form.to_json()
    assert {"n", "distance", "prompts", "tag", "labelled_field"} <= set(
        form.type.properties)
    requests = in_app(context(shared, n=5, tag=" new "))
    assert len(shared.match_tags("new")) == 5
    text = requests["notify"]["message"]
    assert text.startswith("5 of 24 images were chosen, with the tag 'new'. Every ")
    assert "Left out, without a vector: 1" in text
    assert {"reload_dataset", "set_view"} <= set(requests)
    ctx = context(shared, shared[:3], n=4)
    assert "there are only 3 images" in problems_of(
        foo.get_operator(URI).resolve_input(ctx))[0]
    ctx = context(shared, n=4, prompts="a\nb\nc\nd\ne")
    assert "5 prompts" in problems_of(foo.get_operator(URI).resolve_input(ctx))[0]


def test_copies_are_said(shared, tmp_path):
    copies = fo.Dataset()
    path = shared.first().filepath
    copies.add_samples([fo.Sample(path) for _ in range(6)])
    DetailIndex(copies, "detail").compute(copies, SETTINGS)
    result = select(copies, 4)
    assert result.ids == copies.values("id")[:4] and result.radius == 0
    assert result.copies == 3
    assert len(select(copies, distance=0).ids) == 1
    text = in_app(context(copies, n=4))["notify"]["message"]
    assert "The last 3 are copies of others" in text
    DetailIndex(copies, "detail").delete()
    copies.delete()


def test_delegated(shared):
    shared.save_view("known", shared.limit(9))
    queued = select(shared, 4, labelled_view=shared.load_saved_view("known"),
                    tag="new", delegate=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(operator=URI, log=False)
    run = service.get(queued.result["id"])
    assert run.result.result["summary"].startswith("4 of 15 images were chosen")
    assert len(shared.match_tags("new")) == 4
    with pytest.raises(ValueError, match="labelled_view: a queued run.*save it first"):
        select(shared, 4, labelled_view=shared.limit(2), delegate=True)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "how many images to choose, such as n=100, or how near"),
        ({"n": 0}, "n must be a whole number of at least 1, not 0"),
        ({"n": 2.5}, "n must be a whole number.*2.5"),
        ({"n": True}, "n must be a whole number.*True"),
        ({"n": 99}, "n=99: there are only 25 images"),
        ({"n": 25}, "n=25: of these 25 images, 24 have a vector in the index 'detail'"),
        ({"distance": -0.1}, "distance must be a cosine distance .* 2, not -0.1"),
        ({"distance": float("nan")}, "distance must be"),
        ({"distance": "near"}, "distance must be .* not 'near'"),
        ({"n": 3, "brain_key": "no"}, "'no' is no similarity index; choose one of"),
        ({"n": 3, "labelled_tag": "no"}, "labelled_tag='no': there is no such tag"),
        ({"n": 3, "labelled_field": "filepath"}, "no such field of labels; choose one"),
        ({"n": 3, "labelled_field": 5}, "labelled_field=5: there is no such field"),
        ({"n": 3, "labelled_view": "no"}, "no such saved view; this dataset has none"),
        ({"n": 3, "tag": " "}, "tag=' ': give a word"),
        ({"n": 3, "tag": ""}, "tag='' is empty"),
        ({"n": 3, "prompts": []}, "there is no prompt, give one a line"),
        ({"n": 3, "prompts": ["a", "-"]}, "a prompt is missing here"),
        ({"n": 3, "prompts": ["-a car"]}, "says only what is not wanted"),
        ({"n": 1, "prompts": ["a", "b"]}, "n=1: there are 2 prompts"),
        ({"distance": 0.1, "prompts": ["a"]}, "prompts share out .* give n"),
    ],
)
def test_what_cannot_be_chosen(shared, arguments, message):
    with pytest.raises(ValueError, match=message):
        select(shared, **arguments)


def test_other_samples(shared, loaded):
    with pytest.raises(ValueError, match="this view of .* has no samples"):
        select(shared.limit(0), 3)
    with pytest.raises(ValueError, match="labelled_view is of the dataset"):
        select(shared, 3, labelled_view=loaded.limit(2))
    with pytest.raises(ValueError, match="0 of these images have a vector"):
        select(shared.skip(24), 1)
    with pytest.raises(TypeError, match="prompts=7"):
        select(shared, 3, prompts=7)
