"""The operator that searches by stored patch features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

from ..shared.form import resolve_form

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.search.found import Found
    from detail_embed.texts.query import Query


class SearchReranked(foo.Operator):
    """Searches by text: the index proposes images, their patches give the order."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name, label and ways to run."""
        return foo.OperatorConfig(
            name="search_reranked",
            label="Search with re-ranking",
            description="Text search in the exact order of the images' best patches",
            icon="/assets/icon.svg",
            dynamic=True,
            risk_level=types.RiskLevel.LOW,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever cannot work is said in it."""
        def fill(inputs: types.Object, samples: foc.SampleCollection) -> None:
            from detail_embed.fiftyone_bridge.index import feature_stores

            keys = feature_stores.searchable(ctx.dataset)
            if not keys:
                raise ValueError(
                    "No index of this data set has patch features: compute detail "
                    "embeddings with 'Keep patch features'"
                )
            _add_inputs(inputs, keys, len(samples))
            if ctx.params.get("text"):
                _check(samples, **_arguments(ctx.params))

        return resolve_form(ctx, self.config.label, fill)

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Shows what is found, best first."""
        samples = ctx.target_view()
        found = self(samples, **_arguments(ctx.params))
        ctx.ops.set_view(found.view)
        ctx.ops.notify(_summarise(found, len(samples)), variant="success")
        return {"found": len(found.ids), "scores": found.scores}

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        text: str,
        brain_key: str = "detail",
        k: int = 25,
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
            sample_collection: a data set or view of images
            text: what to look for
            brain_key ("detail"): an index that was computed with ``keep_features``
            k (25): images to return
            candidates (None): how many images are re-ranked, or a share of all, below
                1; by default a tenth, and at least 4 k

        Returns:
            a :class:`detail_embed.fiftyone_bridge.search.found.Found`, with view, ids,
            scores and the boxes that matched

        Raises:
            ValueError: if nothing can be searched so
        """
        from detail_embed.fiftyone_bridge.search.search import RERANKED, search

        _check(sample_collection, text, brain_key, k, candidates)
        return search(
            sample_collection, _query(text), brain_key, k, method=RERANKED,
            candidates=candidates,
        )


def _query(text: str) -> Query:
    """All of a text as one prompt: commas and signs are part of it."""
    from detail_embed.texts.query import Prompt, Query

    if not isinstance(text, str) or not text.strip():
        raise ValueError("type what to look for")
    return Query((Prompt(text),))


def _check(
    samples: foc.SampleCollection,
    text: str,
    brain_key: str,
    k: int,
    candidates: int | float | None,
) -> None:
    """Checks what can be checked before a search."""
    from detail_embed.fiftyone_bridge.index import brain_runs, feature_stores
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.samples.collection import check_images
    from detail_embed.fiftyone_bridge.search import search

    check_images(samples)
    _query(text)
    search.check_request(k, None)
    search.count_candidates(len(samples), k, candidates)
    dataset = dataset_of(samples)
    brain_runs.check_promptable(Index(dataset, brain_key))
    feature_stores.stored_features(Index(dataset, brain_key))


def _summarise(found: Found, total: int) -> str:
    text = f"{len(found.ids)} of {total} images, best first"
    rest = found.scores.count(None)
    if not rest:
        return text
    return f"{text}; the last {rest} have no patch features and are not re-ranked"


def _add_inputs(inputs: types.Object, keys: list[str], total: int) -> None:
    inputs.str(
        "text",
        required=True,
        label="Text",
        description=f"What to look for in the {total} images of the target view",
    )
    view = types.DropdownView()
    for key in keys:
        view.add_choice(key, label=key)
    inputs.enum(
        "brain_key", keys, required=True, default=keys[0], label="Brain key", view=view
    )
    inputs.int("k", min=1, default=25, label="Images to show")
    inputs.int(
        "candidates",
        min=1,
        label="Candidates",
        description="Images that are re-ranked. Empty: a tenth, and at least four "
        "times those to show",
    )


def _arguments(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": params.get("text", ""),
        "brain_key": params.get("brain_key", "detail"),
        "k": params.get("k") or 25,
        "candidates": params.get("candidates"),
    }
