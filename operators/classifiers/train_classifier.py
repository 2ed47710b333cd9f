"""The operator that trains a classifier on a label field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import (
    add_index,
    add_ways,
    choices,
    filled,
    given,
    index_of,
    require_choice,
)
from ..shared.run_operator import RunOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.classifiers.train import TrainedClassifier
    from detail_embed.fiftyone_bridge.runs.run import Run

_NAMES = (
    "kind", "shots", "seed", "name", "use_boxes", "field", "templates", "curve", "top",
    "overwrite",
)


class TrainClassifier(RunOperator):
    """Learns classes from labels, and says how good that is."""

    name = "train_classifier"
    label = "Train a classifier"
    description = "Learn the classes of a label field, predict them, and measure it"
    risk_level = types.RiskLevel.MEDIUM
    options = {
        **RunOperator.options,
        "disable_schema_validation": True,  # Python's types; the form checks all
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Labels, kind, index, number of examples, and where the result goes."""
        from detail_embed import classifiers
        from detail_embed.fiftyone_bridge.classifiers import library
        from detail_embed.fiftyone_bridge.classifiers.predictions import is_prediction
        from detail_embed.fiftyone_bridge.classifiers.targets import has_boxes
        from detail_embed.fiftyone_bridge.classifiers.vectors import images_of
        from detail_embed.fiftyone_bridge.evaluate.labels import label_fields
        from detail_embed.fiftyone_bridge.index import brain_runs

        params = filled(ctx.params)
        keys = brain_runs.similarities(ctx.dataset)
        params["brain_key"] = add_index(inputs, params, keys)
        images_of(index_of(samples, params), samples)
        fields = [
            name for name in label_fields(samples)
            if not is_prediction(samples.get_field(name))
        ]
        if not fields:
            raise ValueError(
                "This dataset has no field of Classifications or Detections: label "
                "some images first"
            )
        choice = inputs.enum(
            "labels_field", fields, required=True, label="Labels",
            view=choices(types.DropdownView(), fields),
        )
        ways = {n: classifiers.create(n).description for n in classifiers.names()}
        add_ways(inputs, "kind", "Kind", ways, "linear", required=True)
        labels = params.get("labels_field")
        if not labels:
            require_choice(choice, labels)
        if labels in fields and has_boxes(samples, labels):
            inputs.bool(
                "use_boxes", default=True, label="Classify each box",
                description="Else the labels are tags of their image",
            )
        inputs.int(
            "shots", min=0, label="Examples of each class",
            description="Drawn at random; empty for all",
        )
        inputs.str(
            "name", label="Name",
            description="By default that of the labels and the kind; the predictions "
            "get a field of this name",
        )
        inputs.bool(
            "curve", default=False, label="Measure fewer examples, too",
            description="How good it is with 0 to 16 examples of each class: 25 "
            "trainings more",
        )
        inputs.int("seed", min=0, default=0, label="Seed")
        taken = library.names(ctx.dataset)
        if taken:
            inputs.bool(
                "overwrite", default=False,
                label="Replace a classifier of that name, and its predictions",
            )
        if labels:
            self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.classifiers.train_classifier`."""
        from detail_embed.fiftyone_bridge.classifiers import train_classifier

        if params.get("labels_field") is None:
            raise ValueError("labels_field: choose the field of labels to learn from")
        return train_classifier(
            index_of(samples, params), params["labels_field"], samples=samples,
            **given(params, *_NAMES),
        )

    def results(
        self, result: TrainedClassifier, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What was measured, with a summary, a table and the curve."""
        from .classifier_output import results

        return results(result)

    def schema(self, results: Mapping[str, Any]) -> types.Property:
        """The summary, the confused classes, and the curve as a plot."""
        from .classifier_output import schema

        return schema(results)

    def show(
        self, ctx: foo.ExecutionContext, result: TrainedClassifier
    ) -> Iterator[GeneratedMessage]:
        """Shows what was measured, and the predictions."""
        yield ctx.ops.reload_dataset()
        yield from self.show_output(ctx, result)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        labels_field: str,
        kind: str = "linear",
        shots: int | None = None,
        brain_key: str = "detail",
        seed: int = 0,
        name: str | None = None,
        use_boxes: bool = True,
        field: str | None = None,
        templates: str = "own",
        curve: bool = False,
        top: int = 10,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> TrainedClassifier | foo.ExecutionResult:
        """Trains a classifier on labels, predicts with it, and measures it.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            train = foo.get_operator("@detail/detail-embed/train_classifier")
            result = train(dataset, "ground_truth", "multiple-instance", shots=8)
            result.accuracy, result.confused
            dataset.load_evaluation_results(result.eval_key).print_report()

        Args:
            sample_collection: a dataset or view of images
            labels_field: of Classifications or Detections, or of one each
            kind ("linear"): ``"linear"``, ``"prompts"`` or ``"multiple-instance"``
            shots (None): examples of each class, None for all; with 0 the names of
                the classes are all that is known
            brain_key ("detail"): a similarity index
            seed (0): of whatever is random
            name (None): of the classifier, by default that of the field and the kind
            use_boxes (True): whether each box is classified; else Detections are tags
                of their image
            field (None): for the predictions, by default the name
            templates ("own"): sentences around the names of the classes
            curve (False): whether to measure 0 to 16 examples of each class, too
            top (10): pairs of confused classes
            overwrite (False): whether to replace a classifier of that name, and the
                labels of the field
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a :class:`~.classifiers.train.TrainedClassifier`, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        params = {
            "labels_field": labels_field,
            "kind": kind,
            "shots": shots,
            "brain_key": brain_key,
            "seed": seed,
            "name": name,
            "use_boxes": use_boxes,
            "field": field,
            "templates": templates,
            "curve": curve,
            "top": top,
            "overwrite": overwrite,
        }
        return self.run(sample_collection, params, delegate)
