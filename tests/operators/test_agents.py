"""What an agent gets that calls operators by their URIs: words, whatever it leaves out.

FiftyOne's MCP server does what ``foo.execute_operator()`` does, and shows the text of
its errors and the result.
"""

import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionError, Executor

from detail_embed.fiftyone_bridge import DetailIndex
from tests.forms import problems_of
from tests.operators.panel.helpers import OPERATORS, SETTINGS

URIS = sorted(one.uri for one in foo.list_operators() if OPERATORS in one.uri)
THEIRS = ["Required property", "Invalid enum value", "KeyError"]  # FiftyOne's words
MADE = {"detail", "detail_global"}


@pytest.fixture(scope="module")
def datasets(loaded, tmp_path_factory):
    """No dataset, one without an index, and one with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        bare = loaded.limit(6).clone(persistent=True)
        full = loaded.limit(6).clone(persistent=True)
        DetailIndex(full, "detail").compute(full, SETTINGS)
        yield {"none": None, "bare": bare, "full": full}
        DetailIndex(full, "detail").delete()
        bare.delete()
        full.delete()


def answer(uri, dataset, **params):
    """The words that an agent gets."""
    ctx = {} if dataset is None else {"dataset": dataset}
    try:
        result = foo.execute_operator(uri, ctx=ctx, params=params).result
    except ExecutionError as error:
        return str(error)
    return None if result is None else str(result)


@pytest.mark.parametrize("kind", ["none", "bare", "full"])
@pytest.mark.slow
def test_every_operator_answers_with_words(kind, datasets):
    wrong, dataset = {}, datasets[kind]
    for uri in URIS:
        name, said = uri.rpartition("/")[2], answer(uri, dataset)
        reason = (said or "").rpartition("Reason: ")[2].strip()
        is_right = len(reason.split()) > 1 and "Traceback" not in said
        if not is_right or any(theirs in said for theirs in THEIRS):
            wrong[name] = said
    assert not wrong
    if dataset is not None:
        assert set(dataset.list_brain_runs()) >= (MADE if kind == "full" else set())


@pytest.mark.parametrize("kind", ["none", "bare", "full"])
def test_every_form_can_be_read(kind, datasets):
    dataset = datasets[kind]
    place = {} if dataset is None else {
        "dataset_name": dataset.name, "view": dataset.view()._serialize()}
    for uri in URIS:
        request = {**place, "params": {}}
        ctx = foo.ExecutionContext(
            request_params=request, executor=Executor(), operator_uri=uri)
        form = foo.get_operator(uri).resolve_input(ctx)
        if form is not None:
            assert form.to_json()
            assert all(len(problem.split()) > 1 for problem in problems_of(form)), uri


@pytest.mark.parametrize(
    "name, params, said",
    [
        ("find_outliers", {"count": 3}, "'summary': \"The field 'detail_uniqueness'"),
        ("select_diverse_subset", {"n": 2}, "2 of 6 images were chosen"),
        ("search_by_prompts", {"text": "a red cube", "k": 2}, "'found': 2"),
        ("report_long_tail", {"prompts": "cube"}, "| cube |"),
        ("report_long_tail", {}, "'problem': 'there is no prompt"),
        ("find_near_duplicates", {"threshold": 9}, "cosine distance from 0 to 2"),
        ("find_outliers", {"brain_key": "no"}, "'no' is no similarity index"),
    ],
)
def test_what_was_done_is_told(name, params, said, datasets):
    assert said in answer(f"{OPERATORS}/{name}", datasets["full"], **params)


@pytest.mark.parametrize(
    "name, params, said",
    [
        ("create_clver_ds", {}, "name is missing: give it, such as 'clver-ds'"),
        ("evaluate_retrieval", {}, "brain_keys is missing: give some of 'detail_"),
        ("evaluate_retrieval", {}, "label_field is missing: give one of 'ground_t"),
        ("export_vectors", {}, "brain_key is missing: give one of 'detail', 'detail_g"),
        ("rename_index", {}, "brain_key is missing: give one of 'detail'; new_key is"),
        ("rename_index", {"brain_key": "detail", "new_key": ""}, "new_key is missing"),
        ("update_index", {}, "brain_key is missing: give one of 'detail'"),
        ("import_vectors", {}, "path is missing: give it. Parts of"),
        ("search_reranked", {}, "text is missing: give it. What to look for"),
        ("show_where", {}, "text is missing: give it. What to look for"),
        ("tag_hits", {}, "tag is missing: give it"),
        ("find_mistaken_labels", {}, "Field must be given: the index 'detail' holds"),
        ("classify_by_prompts", {}, "there is no label: give labels, one a line"),
        ("report_long_tail", {}, "there is no prompt: give prompts, one a line"),
        ("export_vectors", {"brain_key": "no"}, "'no' is not there"),
    ],
)
def test_what_is_missing_is_named_and_what_may_be_chosen(name, params, said, datasets):
    assert said in answer(f"{OPERATORS}/{name}", datasets["full"], **params)


def test_the_concepts_of_a_dataset_are_told(datasets):
    uri = f"{OPERATORS}/manage_concepts"
    assert "has no concept yet" in answer(uri, datasets["bare"])
    dataset = datasets["bare"]
    index = DetailIndex(dataset, "detail")
    index.compute(dataset, SETTINGS, also_global=False)
    index.teach("it", dataset.values("id")[:2], text="a cube")
    said = answer(uri, dataset)
    assert "#it (text 'a cube', 2 up, 0 down" in said and "rename, delete" in said
    index.delete()
    answer(uri, dataset, action="delete", concept="#it")
    assert "has no concept yet" in answer(uri, dataset)


def test_examples_are_enough_to_teach_and_what_is_wrong_is_said(datasets):
    dataset, uri = datasets["full"], f"{OPERATORS}/teach_concept"
    first, *_, last = dataset.values("id")
    place = {"sample_id": first, "box": [0.1, 0.1, 0.5, 0.5]}
    for positives in ([first], first, [place]):
        said = answer(uri, dataset, name="it", positives=positives, overwrite=True)
        assert "'prompt': '#it', 'positives': 1" in said
    assert "'negatives': 1" in answer(
        uri, dataset, name="it", text="cube", negatives=[last], overwrite=True
    )
    assert "give a name, and positives" in answer(uri, dataset, name="other")
    said = answer(uri, dataset, name="other", positives=5)
    assert said.startswith("{'problem'") and "5 is no id" in said
    said = answer(f"{OPERATORS}/search_by_prompts", dataset, text="#nothing")
    assert said.startswith("{'problem'") and "Did you mean #it" not in said
    said = answer(f"{OPERATORS}/select_diverse_subset", dataset, n=2, prompts="#no")
    assert "no concept 'no'" in said and "Traceback" not in said
    said = answer(f"{OPERATORS}/manage_concepts", dataset)
    assert "Choose one: rename, delete, export, import" in said
