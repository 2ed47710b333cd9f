"""An empty text from Python is an error: only a form means a default by it."""

import inspect

import fiftyone.operators as foo
import pytest

from tests.operators.panel.helpers import OPERATORS, SETTINGS

# those whose other arguments need no files
NAMES = [
    "adapt_backbone", "classify_by_prompts", "compute_detail_embeddings",
    "create_clver_ds", "delete_index", "evaluate_retrieval", "find_mistaken_labels",
    "find_near_duplicates", "find_outliers", "index_videos", "map_embeddings",
    "rename_index", "report_long_tail", "search_by_prompts", "search_reranked",
    "select_diverse_subset", "show_attention", "show_where", "tag_hits", "train_fuser",
    "update_index",
]
NEEDED = {
    "query": "a car", "text": "a car", "prompts": ["a car"], "new_key": "other",
    "label_field": "ground_truth", "brain_keys": ["detail"], "name": "other",
    "brain_key": "detail", "labels": ["a car", "a tree"],
}
BESIDE = {"tag_hits": {"query": "a car"}, "search_by_prompts": {"text": "a car"}}


def texts_of(name):
    """The arguments of an operator that take a text, and what a call needs."""
    operator = foo.get_operator(f"{OPERATORS}/{name}")
    parameters = inspect.signature(operator.__call__).parameters
    kinds = {p.name: str(p.annotation) for p in parameters.values()}
    texts = [p for p, kind in kinds.items() if "str" in kind and "Sequence" not in kind]
    return [p for p in texts if p not in ("query", "text", "prompts", "classes")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_an_empty_text_is_no_default(name, dataset):
    from detail_embed.fiftyone_bridge import DetailIndex

    DetailIndex(dataset, "detail").compute(dataset, SETTINGS)
    operator = foo.get_operator(f"{OPERATORS}/{name}")
    parameters = inspect.signature(operator.__call__).parameters
    needed = {k: NEEDED[k] for k, p in parameters.items() if k in NEEDED
              and p.default is inspect.Parameter.empty}
    samples = [] if name == "create_clver_ds" else [dataset]
    before = dataset.list_brain_runs(), dataset.get_field_schema().keys()
    for text in texts_of(name):
        with pytest.raises(ValueError, match=r"''|type a tag"):
            operator(*samples, **(needed | BESIDE.get(name, {}) | {text: ""}))
    dataset.reload()
    assert before == (dataset.list_brain_runs(), dataset.get_field_schema().keys())
