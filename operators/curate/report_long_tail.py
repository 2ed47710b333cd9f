"""The operator that reports what is rare in a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import add_index, filled, given, index_of
from ..shared.output import hinted, table, without
from .summary_operator import SummaryOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.curate.long_tail import LongTail
    from detail_embed.fiftyone_bridge.runs.run import Run


class ReportLongTail(SummaryOperator):
    """Counts in how many images each prompt stands out, rarest first."""

    name = "report_long_tail"
    label = "Report the long tail"
    description = "In how many images each prompt stands out, rarest first"

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Prompts, index and threshold."""
        from detail_embed.fiftyone_bridge.curate import long_tail
        from detail_embed.fiftyone_bridge.index import brain_runs

        inputs.str(
            "prompts",
            required=True,
            label="Prompts",
            description="One a line",
            view=types.TextFieldView(multiline=True),
        )
        keys = brain_runs.promptable(ctx.dataset)
        params = filled(ctx.params)
        params["brain_key"] = add_index(inputs, params, keys)
        inputs.float(
            "threshold",
            default=long_tail.THRESHOLD,
            label="Threshold",
            description="Standard deviations above the mean of all images that count",
        )
        if params.get("prompts"):
            self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`long_tail.long_tail`."""
        from detail_embed.fiftyone_bridge.curate import long_tail

        arguments = given(params, "threshold")
        return long_tail.long_tail(
            index_of(samples, params), samples, params.get("prompts", ""), **arguments
        )

    def show(
        self, ctx: foo.ExecutionContext, result: LongTail
    ) -> Iterator[GeneratedMessage]:
        """Shows the table, and keeps it for the panel."""
        from detail_embed.fiftyone_bridge.curate import long_tail as reports

        reports.keep(index_of(ctx.dataset, ctx.params), result)
        yield from super().show(ctx, result)

    def summarise(self, result: LongTail) -> str:
        """The table, rarest first."""
        rows = [
            (row.prompt, row.count, f"{row.best_z:.1f}", f"{row.best_score:.3f}")
            for row in result.rows
        ]
        head = ["Prompt", "Images", "Best z-score", "Best cosine"]
        text = (
            f"{result.images} images; those count whose z-score is at least "
            f"{result.threshold:g}.{without(result.without)}\n\n"
            + table(head, rows)
        )
        return hinted(text, result.hints)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        prompts: str | Sequence[str],
        brain_key: str = "detail",
        threshold: float = 3.0,
        delegate: bool = False,
    ) -> LongTail | foo.ExecutionResult:
        """Counts in how many images each prompt stands out, rarest first.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            report = foo.get_operator("@detail/detail-embed/report_long_tail")
            result = report(dataset, ["a kite", "a lifebuoy", "a tent"])
            dataset[result.rows[0].best_id]

        Args:
            sample_collection: a dataset or view of images
            prompts: a list, or a text with one a line
            brain_key ("detail"): an index that can be searched by text
            threshold (3.0): the z-score that counts
            delegate (False): whether to queue the run for a delegated service

        Returns:
            rows with prompt, count, best_score, best_z and best_id, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
            TypeError: if a prompt is no string
        """
        from detail_embed.fiftyone_bridge.curate.long_tail import list_prompts

        params = {
            "prompts": list_prompts(prompts),
            "brain_key": brain_key,
            "threshold": threshold,
        }
        return self.run(sample_collection, params, delegate)
