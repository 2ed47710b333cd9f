"""The operator that tags images, all or those that fit a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_index, filled, index_of
from ..shared.form_operator import FormOperator
from ..shared.output import without

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.curate.tag_hits import Tagged


class TagHits(FormOperator):
    """Tags or untags the images of a view, or those in which a query stands out."""

    name = "tag_hits"
    label = "Tag hits"
    description = "Tag the images of a view, or those that fit a query"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Tag, query, index and threshold."""
        from detail_embed.fiftyone_bridge.curate import tag_hits
        from detail_embed.fiftyone_bridge.index import brain_runs

        params = filled(ctx.params)
        inputs.str("tag", required=True, label="Tag")
        inputs.str(
            "query",
            label="Query",
            description="Such as: a boat, -a kayak, 2 * at night. Empty: all "
            f"{len(samples)} images of the target view",
        )
        if "query" in params:
            keys = brain_runs.promptable(ctx.dataset)
            params["brain_key"] = add_index(inputs, params, keys)
            inputs.float(
                "threshold",
                default=tag_hits.THRESHOLD,
                label="Threshold",
                description="Standard deviations above the mean of all images",
            )
        inputs.bool("untag", default=False, label="Take the tag away instead")
        if "tag" in params:
            tag_hits.check_tagging(
                index_of(samples, params), samples, **_arguments(params)
            )

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Tags, and tells how many."""
        from detail_embed.fiftyone_bridge.curate import tag_hits

        untag, samples = bool(ctx.params.get("untag")), self.target(ctx)
        params = filled(ctx.params)
        arguments = _arguments(params)
        result = tag_hits.tag_hits(
            index_of(samples, params), samples, **arguments, untag=untag
        )
        done = "lost" if untag else "got"
        text = (
            f"{result.changed} of {result.hits} hits {done} the tag "
            f"'{arguments['tag'].strip()}'.{without(result.without)}"
        )
        ctx.ops.notify(text, variant="success")
        for hint in result.hints:
            ctx.ops.notify(hint, variant="warning")
        ctx.ops.reload_dataset()
        return {"hits": result.hits, "changed": result.changed}

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        query: str | None = None,
        brain_key: str = "detail",
        threshold: float = 3.0,
        tag: str = "hit",
        untag: bool = False,
    ) -> Tagged:
        """Tags images: all that are given, or those in which a query stands out.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            tag_hits = foo.get_operator("@detail/detail-embed/tag_hits")
            tag_hits(dataset, "a boat, -a kayak", threshold=3, tag="boat")
            tag_hits(dataset.match_tags("boat"), tag="boat", untag=True)

        Args:
            sample_collection: a dataset or view of images
            query (None): prompts in one line, such as ``"a boat, -a kayak"``; None for
                all images
            brain_key ("detail"): an index that can be searched by text; for a query
            threshold (3.0): the least z-score among all images of the index; for a
                query
            tag ("hit"): the tag
            untag (False): whether to take the tag away instead

        Returns:
            hits, changed, without and hints

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        from detail_embed.fiftyone_bridge.curate import tag_hits
        from detail_embed.fiftyone_bridge.index.index import Index

        index = Index.of(sample_collection, brain_key)
        return tag_hits.tag_hits(
            index, sample_collection, query, threshold, tag, untag
        )


def _arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    from detail_embed.fiftyone_bridge.curate import tag_hits

    return {
        "query": params.get("query"),
        "threshold": params.get("threshold", tag_hits.THRESHOLD),
        "tag": params.get("tag", ""),
    }
