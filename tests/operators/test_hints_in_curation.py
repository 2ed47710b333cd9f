"""What a model cannot read of a prompt is said wherever prompts are run."""

import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.fiftyone_bridge import DetailIndex
from tests.operators.panel.helpers import OPERATORS, SETTINGS

LONG = "a red helmet on the head of a person who rides " * 6
CYRILLIC = "\u043a\u0440\u0430\u0441\u043d\u044b\u0439 \u043a\u0443\u0431"


def operator(name):
    return foo.get_operator(f"{OPERATORS}/{name}")


@pytest.mark.parametrize("name", [
    "search_by_prompts", "tag_hits", "report_long_tail", "classify_by_prompts"])
@pytest.mark.slow
def test_hints_of_prompts(name, dataset):
    index = DetailIndex(dataset, "detail")
    index.compute(dataset, SETTINGS)
    several = name in ("report_long_tail", "classify_by_prompts")
    ask, more = operator(name), {}
    for prompt, said in ((LONG, "is not read"), (CYRILLIC, "letter by letter")):
        asked = [prompt.strip(), "a cube"] if several else prompt.strip()
        more = {"overwrite": True} if name.startswith("classify") else {}
        (hint,) = ask(dataset, asked, **more).hints
        assert said in hint
    plain = ["a cube", "a ball"] if several else "a cube"
    assert ask(dataset, plain, **more).hints == ()
    index.delete()


@pytest.mark.parametrize("name, field", [
    ("report_long_tail", "prompts"), ("classify_by_prompts", "labels")])
def test_the_app_shows_them(name, field, dataset):
    index = DetailIndex(dataset, "detail")
    index.compute(dataset, SETTINGS)
    params = {field: f"a cube\n{LONG}"}
    uri = f"{OPERATORS}/{name}"
    ctx = foo.ExecutionContext(
        request_params={
            "dataset_name": dataset.name, "params": params, "filters": {}},
        executor=Executor(), operator_uri=uri)
    shown = str([message.to_json() for message in operator(name).execute(ctx)])
    assert "is not read: it is longer than" in shown
    index.delete()
