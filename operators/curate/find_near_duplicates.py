"""The operator that finds images that are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import add_index, filled, given, index_of
from ..shared.output import hinted, without
from .summary_operator import SummaryOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.curate.near_duplicates import NearDuplicates
    from detail_embed.fiftyone_bridge.runs.run import Run


class FindNearDuplicates(SummaryOperator):
    """Finds images that are nearly the same, and shows them side by side.

    Nothing is deleted: FiftyOne deletes the samples that a person selects.
    """

    name = "find_near_duplicates"
    label = "Find near duplicates"
    description = "Images that are the same, close or related, and the best of each"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, threshold and tag."""
        from detail_embed.fiftyone_bridge.curate import grades, near_duplicates
        from detail_embed.fiftyone_bridge.index import brain_runs

        keys = brain_runs.similarities(ctx.dataset)
        params = filled(ctx.params)
        params["brain_key"] = add_index(inputs, params, keys)
        inputs.float(
            "threshold",
            default=near_duplicates.THRESHOLD,
            label="Threshold",
            description="The largest cosine distance of duplicates, 0 to 2: "
            + ", ".join(f"{grade} up to {x:g}" for grade, x in grades.LIMITS.items()),
        )
        inputs.str(
            "tag", label="Tag",
            description="That those get that could go, such as: duplicate. Of each "
            "group the best file stays: most pixels, then most bytes",
        )
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.find_near_duplicates`."""
        from detail_embed.fiftyone_bridge.curate import near_duplicates

        arguments = given(params, "threshold", "tag")
        return near_duplicates.find_near_duplicates(
            index_of(samples, params), samples, **arguments
        )

    def summarise(self, result: NearDuplicates) -> str:
        """How many there are of each grade."""
        compared = f"{result.noun.capitalize()} compared: {result.images}"
        left_out = f"{compared}.{without(result.without)}"
        if not result.groups:
            text = f"No near duplicates; a larger threshold may find some. {left_out}"
            return hinted(text, result.hints)
        counts = (
            f"{sum(map(len, groups.values()))} {grade} in {len(groups)} groups"
            for grade, groups in result.grades.items() if groups
        )
        one = "box" if result.noun == "boxes" else "image"
        tagged = f" and have the tag '{result.tag}'" if result.tag else ""
        field = f", and the field '{result.field}' says the grade" * bool(result.field)
        text = (
            f"Near duplicates: {result.duplicates}, each after the {one} it is like "
            f"({', '.join(counts)}). They could go{tagged}: nothing was deleted{field}."
            f" {left_out}"
        )
        return hinted(text, result.hints)

    def show(
        self, ctx: foo.ExecutionContext, result: NearDuplicates
    ) -> Iterator[GeneratedMessage]:
        """Shows each image, followed by its duplicates."""
        yield ctx.ops.reload_dataset()
        if result.groups:
            yield ctx.ops.set_view(result.view)
        yield from self.tell(ctx, self.summarise(result))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail",
        threshold: float = 0.3,
        tag: str | None = None,
        delegate: bool = False,
    ) -> NearDuplicates | foo.ExecutionResult:
        """Finds images that are nearly the same, by the vectors of an index.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            find = foo.get_operator("@detail/detail-embed/find_near_duplicates")
            result = find(dataset, tag="duplicate")
            result.view, result.groups, result.grades["same"]

        Args:
            sample_collection: a dataset or view of images
            brain_key ("detail"): a similarity index
            threshold (0.3): the largest cosine distance of duplicates, 0 to 2, after
                the mean of all vectors of the index was taken away. Up to 0.05 they
                are the same, up to 0.15 close, and above related
            tag (None): that those get that could go: all but the image with the best
                file of each group
            delegate (False): whether to queue the run for a delegated service

        Returns:
            view, groups, grades, field, images, without, tag, noun and hints, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        params = {"brain_key": brain_key, "threshold": threshold, "tag": tag}
        return self.run(sample_collection, params, delegate)
