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
SILENT = ["open_detail_search"]  # does something in an App, and has nothing to tell
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
def test_every_operator_answers_with_words(kind, datasets):
    wrong, dataset = {}, datasets[kind]
    for uri in URIS:
        name, said = uri.rpartition("/")[2], answer(uri, dataset)
        if said is None:
            is_right = name in SILENT
        else:
            reason = said.rpartition("Reason: ")[2].strip()
            is_right = len(reason.split()) > 1 and "Traceback" not in said
        if not is_right or "KeyError" in str(said):
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
