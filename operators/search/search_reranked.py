"""The operator that searches by stored patch features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import problems
from ..shared.form import add_index, filled, index_of
from ..shared.form_operator import FormOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search.found import Found
    from detail_embed.texts.query import Query

_NO_FEATURES = (
    "No index of this dataset has patch features: compute detail embeddings with "
    "'Keep patch features'"
)


class SearchReranked(FormOperator):
    """Searches by text: the index proposes images, their patches give the order."""

    name = "search_reranked"
    label = "Search with re-ranking"
    description = "Text search in the exact order of the images' best patches"

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Text, index, and how many images are shown and re-ranked."""
        from detail_embed.fiftyone_bridge.index import feature_stores

        params = filled(ctx.params)
        inputs.str(
            "text",
            required=True,
            label="Text",
            description=f"What to look for in the {len(samples)} images of the target "
            "view",
        )
        keys = feature_stores.searchable(ctx.dataset)
        params["brain_key"] = add_index(inputs, params, keys, _NO_FEATURES)
        inputs.int("k", min=1, default=25, label="Images to show")
        inputs.int(
            "candidates",
            min=1,
            label="Candidates",
            description="Images that are re-ranked. Empty: a tenth, and at least four "
            "times those to show",
        )
        if "text" in params:
            _check(index_of(samples, params), samples, **_arguments(params))

    @problems.answered
    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Shows what is found, best first."""
        samples, params = self.target(ctx), filled(ctx.params)
        found = _search(index_of(samples, params), samples, **_arguments(params))
        ctx.ops.set_view(found.shown)
        ctx.ops.notify(_summarise(found, len(samples)), variant="success")
        return {"found": len(found.ids), "scores": found.scores}

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        text: str,
        brain_key: str = "detail",
        k: int | None = 25,
        candidates: int | float | None = None,
    ) -> Found:
        """Finds the images whose best patch fits a text.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            search = foo.get_operator("@detail/detail-embed/search_reranked")
            found = search(dataset, "a red helmet", brain_key="detail")
            found.view, found.scores, found.boxes

        Args:
            sample_collection: a dataset or view of images
            text: what to look for
            brain_key ("detail"): an index that was computed with ``keep_features``
            k (25): images to return, None for all that are re-ranked
            candidates (None): how many images are re-ranked, or a share of all, below
                1; by default a tenth, and at least 4 k

        Returns:
            a :class:`detail_embed.fiftyone_bridge.search.found.Found`, with view, ids,
            scores and the boxes that matched

        Raises:
            ValueError: if nothing can be searched so
        """
        from detail_embed.fiftyone_bridge.index.index import Index

        index = Index.of(sample_collection, brain_key)
        return _search(index, sample_collection, text, k, candidates)


def _query(text: str) -> Query:
    """All of a text as one prompt, commas and signs too; ``#name`` is a concept."""
    from detail_embed.texts.query import Query
    from detail_embed.texts.read_query import read_prompt

    if not isinstance(text, str):
        raise TypeError(f"text={text!r:.80}: give one text")
    if not text.strip():
        raise ValueError("type what to look for")
    return Query((read_prompt(text),))


def _check(
    index: Index,
    samples: foc.SampleCollection,
    text: str,
    k: int | None,
    candidates: int | float | None,
) -> None:
    """Checks what can be checked before a search."""
    from detail_embed.fiftyone_bridge.index import brain_runs, feature_stores
    from detail_embed.fiftyone_bridge.search import methods, search

    samples = index.images_of(samples)
    _query(text)
    k = len(samples) if k is None else k
    search.check_request(k, None)
    methods.count_candidates(len(samples), k, candidates)
    brain_runs.check_promptable(index)
    feature_stores.stored_features(index)


def _search(
    index: Index,
    samples: foc.SampleCollection,
    text: str,
    k: int | None,
    candidates: int | float | None,
) -> Found:
    from detail_embed.fiftyone_bridge.search.methods import RERANKED
    from detail_embed.fiftyone_bridge.search.search import search

    _check(index, samples, text, k, candidates)
    query = _query(text)
    return search(index, samples, query, k, method=RERANKED, candidates=candidates)


def _summarise(found: Found, total: int) -> str:
    text = f"{len(found.ids)} of {total} images, best first"
    rest = found.scores.count(None)
    if not rest:
        return text
    return f"{text}; the last {rest} have no patch features and are not re-ranked"


def _arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "text": params.get("text", ""),
        "k": params.get("k", 25),
        "candidates": params.get("candidates"),
    }
