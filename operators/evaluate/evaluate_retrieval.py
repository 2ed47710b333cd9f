"""The operator that measures indexes on the labels of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared import progress
from ..shared.form import resolve_form

if TYPE_CHECKING:
    from detail_embed.evaluation import Evaluation

    from .evaluation_request import EvaluationRequest


class EvaluateRetrieval(foo.Operator):
    """Searches for every class of a label field and measures what is found."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name, label and ways to run."""
        return foo.OperatorConfig(
            name="evaluate_retrieval",
            label="Evaluate retrieval",
            description="How well text search finds what the labels say",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            risk_level=types.RiskLevel.LOW,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever cannot work is said in it."""
        def fill(inputs: types.Object, samples: foc.SampleCollection) -> None:
            from .evaluation_request import EvaluationRequest, add_inputs

            add_inputs(inputs, samples)
            EvaluationRequest.from_params(ctx.params).check(samples)

        return resolve_form(ctx, self.config.label, fill)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Runs in steps in the App, or to the end where it was delegated."""
        from . import evaluation_output
        from .evaluation_request import EvaluationRequest

        request = EvaluationRequest.from_params(ctx.params)
        samples = ctx.target_view()
        if ctx.delegated:
            evaluation = progress.delegated(ctx, request.start(samples))
            return evaluation_output.results(evaluation, request.export(evaluation))
        if progress.is_for_panel(ctx):
            return progress.in_background(ctx, request.start(samples))
        return self._in_app(ctx, request, samples)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What a delegated run measured."""
        from . import evaluation_output

        return evaluation_output.schema(ctx.results or {})

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_keys: str | Sequence[str],
        label_field: str,
        name: str | None = None,
        ks: Sequence[int] | None = None,
        export_dir: str | None = None,
        delegate: bool = False,
    ) -> Evaluation | foo.ExecutionResult:
        """Measures how well text search finds what the labels say.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            evaluate = foo.get_operator("@detail/detail-embed/evaluate_retrieval")
            result = evaluate(dataset, ["detail", "detail_global"], "ground_truth")
            result.rows
            result.compare("detail_global", "detail")

        Args:
            sample_collection: a data set or view of images
            brain_keys: indexes that can be searched by text
            label_field: a field of Detections or Classifications
            name (None): key of the custom run that keeps the result; made up where None
            ks (None): depths of recall, by default 10, 50 and 100 where there are as
                many images
            export_dir (None): a folder for the tables as CSV, and a plot
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a :class:`detail_embed.evaluation.Evaluation`, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        from .evaluation_request import EvaluationRequest

        brain_keys = [brain_keys] if isinstance(brain_keys, str) else list(brain_keys)
        params = {
            "brain_keys": brain_keys,
            "label_field": label_field,
            "name": name,
            "ks": None if ks is None else list(ks),
            "export_dir": None if export_dir is None else str(export_dir),
        }
        request = EvaluationRequest.from_params(params)
        request.check(sample_collection)
        if not delegate:
            evaluation = request.start(sample_collection).finish(progress=True)
            request.export(evaluation)
            return evaluation
        return progress.queue(self, sample_collection, params)

    def _in_app(
        self,
        ctx: foo.ExecutionContext,
        request: EvaluationRequest,
        samples: foc.SampleCollection,
    ) -> Iterator[GeneratedMessage]:
        from . import evaluation_output

        run = request.start(samples)
        yield from progress.in_app(ctx, run)
        evaluation = run.result
        results = evaluation_output.results(evaluation, request.export(evaluation))
        yield ctx.ops.show_output(
            evaluation_output.schema(results).to_json(), results
        )
        if request.download:
            name = evaluation.facts["name"]
            for part, text in (
                ("", evaluation.csv()),
                ("_classes", evaluation.classes_csv()),
            ):
                url = f"data:text/csv;charset=utf-8,{quote(text)}"
                yield ctx.ops.browser_download(url, f"{name}{part}.csv")
