"""The operator that finds images that are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import add_index, filled, given, index_of
from ..shared.output import without
from .summary_operator import SummaryOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.curate.brain_tools import NearDuplicates
    from detail_embed.fiftyone_bridge.runs.run import Run


class FindNearDuplicates(SummaryOperator):
    """Finds images that are nearly the same, and shows them side by side."""

    name = "find_near_duplicates"
    label = "Find near duplicates"
    description = "Images that are nearly the same, by the vectors of an index"

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index and threshold."""
        from detail_embed.fiftyone_bridge.curate import brain_tools
        from detail_embed.fiftyone_bridge.index import brain_runs

        keys = brain_runs.similarities(ctx.dataset)
        params = filled(ctx.params)
        params["brain_key"] = add_index(inputs, params, keys)
        inputs.float(
            "threshold",
            default=brain_tools.THRESHOLD,
            label="Threshold",
            description="The largest cosine distance of duplicates, 0 to 2",
        )
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`brain_tools.find_near_duplicates`."""
        from detail_embed.fiftyone_bridge.curate import brain_tools

        arguments = given(params, "threshold")
        return brain_tools.find_near_duplicates(
            index_of(samples, params), samples, **arguments
        )

    def summarise(self, result: NearDuplicates) -> str:
        """How many there are."""
        one = "box" if result.noun == "boxes" else "image"
        found = (
            f"Near duplicates: {result.duplicates}, each after the {one} it is like"
            if result.groups
            else "No near duplicates; a larger threshold may find some"
        )
        compared = f"{result.noun.capitalize()} compared: {result.images}"
        return f"{found}. {compared}.{without(result.without)}"

    def show(
        self, ctx: foo.ExecutionContext, result: NearDuplicates
    ) -> Iterator[GeneratedMessage]:
        """Shows each image, followed by its duplicates."""
        if result.groups:
            yield ctx.ops.set_view(result.view)
        yield from self.tell(ctx, self.summarise(result))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail",
        threshold: float = 0.1,
        delegate: bool = False,
    ) -> NearDuplicates | foo.ExecutionResult:
        """Finds images that are nearly the same, by the vectors of an index.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            find = foo.get_operator("@detail/detail-embed/find_near_duplicates")
            result = find(dataset, threshold=0.1)
            result.view, result.groups

        Args:
            sample_collection: a dataset or view of images
            brain_key ("detail"): a similarity index
            threshold (0.1): the largest cosine distance of duplicates, 0 to 2, after
                the mean of the vectors was taken away
            delegate (False): whether to queue the run for a delegated service

        Returns:
            view, groups, images and without, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        params = {"brain_key": brain_key, "threshold": threshold}
        return self.run(sample_collection, params, delegate)
