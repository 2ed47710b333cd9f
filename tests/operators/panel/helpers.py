"""What the tests of the panel share."""

import fiftyone.operators as foo
import pydash
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.index.settings import Settings

THING, OTHER = "red metal cube", "blue rubber sphere"
KEYS = ["detail", "detail_global"]
TABS = ["search", "compare", "curate", "indexes", "fusers", "evaluate"]
SETTINGS = Settings(
    backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features="float16"
)
OPERATORS = "@detail/detail-embed"


def queries(browser):
    return [row["query"] for row in pydash.get(browser.data, "search.history", [])]


def run(operator, dataset, **params):
    """Does what the form of an operator does when it is sent."""
    uri = f"{OPERATORS}/{operator}"
    request = {"dataset_name": dataset.name, "params": params}
    ctx = foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=uri
    )
    for _ in foo.get_operator(uri).execute(ctx):
        pass
