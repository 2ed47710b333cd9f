"""The operator that labels images by prompts."""

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
    from detail_embed.fiftyone_bridge.curate.classify import Classified
    from detail_embed.fiftyone_bridge.runs.run import Run


class ClassifyByPrompts(SummaryOperator):
    """Labels images by the prompts that fit them best."""

    name = "classify_by_prompts"
    label = "Classify by prompts"
    description = "Label images by the prompts that fit them best"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Labels, index, field, and how labels are given."""
        from detail_embed.fiftyone_bridge.curate import classify
        from detail_embed.fiftyone_bridge.index import brain_runs

        inputs.str(
            "labels",
            required=True,
            label="Labels",
            description="One a line: a name, or name: prompt, prompt",
            view=types.TextFieldView(multiline=True),
        )
        keys = brain_runs.promptable(ctx.dataset)
        params = filled(ctx.params)
        params["brain_key"] = add_index(inputs, params, keys)
        inputs.str(
            "field", required=True, default=classify.FIELD, label="Field"
        )
        inputs.float(
            "temperature",
            default=classify.TEMPERATURE,
            label="Temperature",
            description="Of the probabilities: the smaller, the surer",
        )
        inputs.bool("none_of_these", default=False, label="Allow 'none of these'")
        inputs.bool("multi", default=False, label="Several labels per image")
        if params.get("none_of_these") or params.get("multi"):
            inputs.float(
                "threshold",
                default=classify.THRESHOLD,
                label="Threshold",
                description="Standard deviations above the mean of all images that a "
                "label needs",
            )
        if samples.has_field(params.get("field") or classify.FIELD):
            inputs.bool(
                "overwrite", default=False, label="Replace the labels of the field"
            )
        if params.get("labels"):
            self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.classify.classify`."""
        from detail_embed.fiftyone_bridge.curate import classify

        arguments = given(
            params, "field", "temperature", "none_label", "threshold",
            "multi", "overwrite",
        )
        if params.get("none_of_these"):
            arguments["none_label"] = classify.NONE
        return classify.classify(
            index_of(samples, params), samples, params.get("labels", ""), **arguments
        )

    def summarise(self, result: Classified) -> str:
        """How many images got each label."""
        rows = [(f"`{name}`", count) for name, count in result.counts.items()]
        text = (
            f"{result.images} images were classified; the labels are in "
            f"`{result.field}`.{without(result.without)}\n\n"
            + table(["Label", "Images"], rows)
        )
        return hinted(text, result.hints)

    def show(
        self, ctx: foo.ExecutionContext, result: Classified
    ) -> Iterator[GeneratedMessage]:
        """Shows the numbers, and the new labels."""
        yield ctx.ops.reload_dataset()
        yield from super().show(ctx, result)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        labels: str | Sequence[str],
        brain_key: str = "detail",
        field: str = "prompt_label",
        temperature: float = 0.01,
        none_label: str | None = None,
        threshold: float = 3.0,
        multi: bool = False,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> Classified | foo.ExecutionResult:
        """Labels images by the prompts that fit them best.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            classify = foo.get_operator("@detail/detail-embed/classify_by_prompts")
            labels = ["boat: a boat, a ship", "bicycle", "red_car"]
            result = classify(dataset, labels, none_label="none")
            result.counts

        Args:
            sample_collection: a dataset or view of images
            labels: names, or ``"name: prompt, prompt"``; a list, or a text with one a
                line
            brain_key ("detail"): an index that can be searched by text
            field ("prompt_label"): a new field, or one of Classifications
            temperature (0.01): of the probabilities, in units of the cosine
            none_label (None): the label for "none of these", None to do without
            threshold (3.0): the z-score that a label needs, with ``none_label`` or
                ``multi``
            multi (False): whether to give each image all labels that stand out
            overwrite (False): whether to replace the labels that the images have
            delegate (False): whether to queue the run for a delegated service

        Returns:
            field, counts, images, without and hints, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
            TypeError: if a label is no string
        """
        from detail_embed.texts.zero_shot import list_labels

        params = {
            "labels": list_labels(labels),
            "brain_key": brain_key,
            "field": field,
            "temperature": temperature,
            "none_label": none_label,
            "threshold": threshold,
            "multi": multi,
            "overwrite": overwrite,
        }
        return self.run(sample_collection, params, delegate)
