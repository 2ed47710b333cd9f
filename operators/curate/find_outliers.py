"""The operator that finds images unlike all others."""

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
    from detail_embed.fiftyone_bridge.curate.outliers import Outliers
    from detail_embed.fiftyone_bridge.runs.run import Run


class FindOutliers(SummaryOperator):
    """Finds the images that are farthest from all others."""

    name = "find_outliers"
    label = "Find outliers"
    description = "Images unlike all others, by the vectors of an index"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index and number of images."""
        from detail_embed.fiftyone_bridge.curate import outliers
        from detail_embed.fiftyone_bridge.index import brain_runs

        keys = brain_runs.similarities(ctx.dataset)
        params = filled(ctx.params)
        params["brain_key"] = add_index(inputs, params, keys)
        inputs.int("count", min=1, default=outliers.COUNT, label="Images to show")
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`outliers.find_outliers`."""
        from detail_embed.fiftyone_bridge.curate import outliers

        arguments = given(params, "count")
        return outliers.find_outliers(
            index_of(samples, params), samples, **arguments
        )

    def summarise(self, result: Outliers) -> str:
        """Where the distances are."""
        return (
            f"The field '{result.field}' says how far each of {result.images} "
            f"{result.noun} is from its neighbours, 1 for the farthest."
            f"{without(result.without)}"
        )

    def show(
        self, ctx: foo.ExecutionContext, result: Outliers
    ) -> Iterator[GeneratedMessage]:
        """Shows the farthest images first."""
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_view(result.view)
        yield from self.tell(ctx, self.summarise(result))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail",
        count: int = 25,
        delegate: bool = False,
    ) -> Outliers | foo.ExecutionResult:
        """Finds the images that are farthest from all others.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            find = foo.get_operator("@detail/detail-embed/find_outliers")
            result = find(dataset)
            result.view.values(result.field)

        Args:
            sample_collection: a dataset or view of images
            brain_key ("detail"): a similarity index
            count (25): images in the view
            delegate (False): whether to queue the run for a delegated service

        Returns:
            view, field, images and without, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        params = {"brain_key": brain_key, "count": count}
        return self.run(sample_collection, params, delegate)
