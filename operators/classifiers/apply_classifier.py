"""The operator that labels samples by a trained classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..curate.summary_operator import SummaryOperator
from ..shared.form import add_index, add_ways, filled, given, index_of
from ..shared.output import table, without

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.classifiers.apply import Applied
    from detail_embed.fiftyone_bridge.runs.run import Run

NONE_YET = "This dataset has no classifier: use 'Train a classifier'"


class ApplyClassifier(SummaryOperator):
    """Labels images or boxes by a classifier that was trained before."""

    name = "apply_classifier"
    label = "Apply a classifier"
    description = "Label images or boxes by a classifier that was trained before"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Classifier, index, and where the labels go."""
        from detail_embed.fiftyone_bridge.classifiers import library
        from detail_embed.fiftyone_bridge.index import brain_runs

        known = library.names(ctx.dataset)
        if not known:
            raise ValueError(NONE_YET)
        params = filled(ctx.params)
        ways = {name: _describe(ctx, name) for name in known}
        add_ways(inputs, "name", "Classifier", ways, known[0], required=True)
        params.setdefault("name", known[0])
        params["brain_key"] = add_index(
            inputs, params, brain_runs.similarities(ctx.dataset)
        )
        inputs.str(
            "field", label="Field",
            description="For the labels; by default that of the classifier",
        )
        field = params.get("field") or params["name"]
        if samples.has_field(field):
            inputs.bool(
                "overwrite", default=False, label="Replace the labels of the field"
            )
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.classifiers.apply_classifier`."""
        from detail_embed.fiftyone_bridge.classifiers import apply_classifier

        if params.get("name") is None:
            raise ValueError("name: choose a classifier")
        return apply_classifier(
            index_of(samples, params), params["name"], samples,
            **given(params, "field", "boxes_field", "overwrite"),
        )

    def summarise(self, result: Applied) -> str:
        """How many images or boxes got each class."""
        rows = [(f"`{name}`", count) for name, count in result.counts.items()]
        what = "boxes" if result.unit == "box" else "images"
        odd = "".join(f" {n} labels {why}." for why, n in result.left_out.items())
        return (
            f"{result.items} {what} were classified; the labels are in "
            f"`{result.field}`.{without(result.without)}{odd}\n\n"
            + table(["Class", what.capitalize()], rows)
        )

    def show(
        self, ctx: foo.ExecutionContext, result: Applied
    ) -> Iterator[GeneratedMessage]:
        """Shows the numbers, and the new labels."""
        yield ctx.ops.reload_dataset()
        yield from super().show(ctx, result)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        name: str,
        field: str | None = None,
        brain_key: str = "detail",
        boxes_field: str | None = None,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> Applied | foo.ExecutionResult:
        """Labels images or boxes by a classifier that was trained before.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            apply = foo.get_operator("@detail/detail-embed/apply_classifier")
            result = apply(dataset, "ground_truth_linear", field="predicted")
            result.counts

        Args:
            sample_collection: a dataset or view of images
            name: of a classifier of the dataset
            field (None): a new field, or one of its labels; by default its name
            brain_key ("detail"): an index in the space of the classifier
            boxes_field (None): of a classifier of boxes, the Detections to classify; by
                default those that it was trained on
            overwrite (False): whether to replace the labels that the images have
            delegate (False): whether to queue the run for a delegated service

        Returns:
            name, field, unit, counts, items, without and left_out, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        params = {
            "name": name,
            "field": field,
            "brain_key": brain_key,
            "boxes_field": boxes_field,
            "overwrite": overwrite,
        }
        return self.run(sample_collection, params, delegate)


def _describe(ctx: foo.ExecutionContext, name: str) -> str:
    from detail_embed.fiftyone_bridge.classifiers import library

    classifier = library.load(ctx.dataset, name)
    return f"{classifier.kind}, {len(classifier.classes)} classes of " + str(
        classifier.facts["labels_field"]
    )
