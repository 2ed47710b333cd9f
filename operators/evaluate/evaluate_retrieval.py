"""The operator that measures indexes on the labels of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.run_operator import RunOperator

if TYPE_CHECKING:
    from detail_embed.evaluation import Evaluation
    from detail_embed.fiftyone_bridge.runs.run import Run


class EvaluateRetrieval(RunOperator):
    """Searches for every class of a label field and measures what is found."""

    name = "evaluate_retrieval"
    label = "Evaluate retrieval"
    description = "How well text search finds what the labels say"

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Indexes, label field, depths, and where the result goes."""
        from .evaluation_request import add_inputs

        add_inputs(inputs, samples)
        self.start(samples, ctx.params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :meth:`EvaluationRequest.start`."""
        from .evaluation_request import EvaluationRequest

        return EvaluationRequest.from_params(params).start(samples)

    def results(self, result: Evaluation, params: Mapping[str, Any]) -> dict[str, Any]:
        """Tables and plots; writes the files that were asked for."""
        from . import evaluation_output
        from .evaluation_request import EvaluationRequest

        files = EvaluationRequest.from_params(params).export(result)
        return evaluation_output.results(result, files)

    def schema(self, results: Mapping[str, Any]) -> types.Property:
        """How tables and plots are shown."""
        from . import evaluation_output

        return evaluation_output.schema(results)

    def show(
        self, ctx: foo.ExecutionContext, result: Evaluation
    ) -> Iterator[GeneratedMessage]:
        """Shows tables and plots, and has the browser download what was asked for."""
        yield from self.show_output(ctx, result)
        if not ctx.params.get("download"):
            return
        name = result.facts["name"]
        for part, text in ("", result.csv()), ("_classes", result.classes_csv()):
            url = f"data:text/csv;charset=utf-8,{quote(text)}"
            yield ctx.ops.browser_download(url, f"{name}{part}.csv")

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_keys: str | Sequence[str],
        label_field: str,
        name: str | None = None,
        ks: Sequence[int] | int | None = None,
        export_dir: str | None = None,
        delegate: bool = False,
        prompts: Mapping[str, str] | None = None,
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
            sample_collection: a dataset or view of images
            brain_keys: indexes that can be searched by text
            label_field: a field of Detections or Classifications
            name (None): key of the custom run that keeps the result; made up where None
            ks (None): depths of recall, by default 10, 50 and 100 where there are as
                many images
            export_dir (None): a folder for the tables as CSV, and a plot
            delegate (False): whether to queue the run for a delegated service
            prompts (None): what is asked for some classes instead of their names, such
                as the concept of ``{"helmet": "#helmet"}``

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
            "ks": [ks] if isinstance(ks, Integral) else ks and list(ks),
            "export_dir": None if export_dir is None else str(export_dir),
            "prompts": prompts,
        }
        result = self.run(sample_collection, params, delegate)
        if not delegate:
            EvaluationRequest.from_params(params).export(result)
        return result
