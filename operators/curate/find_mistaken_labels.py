"""The operator that finds labels whose class is probably wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import add_index, choices, filled, given, index_of
from ..shared.output import hinted, table
from .summary_operator import SummaryOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.curate.judge_labels import MistakenLabels
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.runs.run import Run

_KEY = "detail_boxes"
_ROWS = 20


class FindMistakenLabels(SummaryOperator):
    """Finds labels whose class fits far worse than another one, the worst first."""

    name = "find_mistaken_labels"
    label = "Find mistaken labels"
    description = "Boxes whose class fits far worse than another one, by text alone"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, classes, and for an index of images the field."""
        from detail_embed.fiftyone_bridge.classifiers import library
        from detail_embed.fiftyone_bridge.curate import judge_labels
        from detail_embed.fiftyone_bridge.index import boxes, brain_runs
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.index.label_fields import label_fields

        params = filled(ctx.params)
        known = library.names(ctx.dataset)
        if known:
            inputs.enum(
                "classifier", known, label="Classifier",
                description="That was trained on the labels; left empty, texts judge",
                view=choices(types.DropdownView(), known),
            )
        if params.get("classifier"):
            self.start(samples, params)
            return
        keys = brain_runs.promptable(ctx.dataset)
        of_boxes = {key: boxes.field_of(Index(ctx.dataset, key)) for key in keys}
        keys.sort(key=lambda key: of_boxes[key] is None)
        params["brain_key"] = add_index(inputs, params, keys)
        if of_boxes.get(params["brain_key"]) is None:
            home = Index(ctx.dataset, params["brain_key"]).home
            fields = label_fields(home, judge_labels.OF_IMAGES)
            view = choices(types.DropdownView(), fields)
            inputs.enum(
                "label_field", view.values(), required=True, label="Field", view=view,
                description="Labels of whole images, as this index is of these",
            )
        inputs.str(
            "classes",
            label="Classes",
            description="One a line: a name, or name: prompt, prompt. Left empty, the "
            "classes that the labels have",
            view=types.TextFieldView(multiline=True),
        )
        inputs.int("count", min=1, default=judge_labels.COUNT, label="Labels to show")
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :mod:`.curate.mistaken_labels`."""
        from detail_embed.fiftyone_bridge.classifiers import mistaken
        from detail_embed.fiftyone_bridge.curate import mistaken_labels

        if name := params.get("classifier"):
            index = _index_of(samples, params)
            return mistaken.find_mistaken_labels(
                index, name, samples, **given(params, "count")
            )
        arguments = given(params, "label_field", "classes", "count")
        index = _index_of(samples, params)
        return mistaken_labels.find_mistaken_labels(index, samples, **arguments)

    def summarise(self, result: MistakenLabels) -> str:
        """How many labels are doubtful, and which are the worst."""
        total = len(result.mistakenness)
        text = (
            f"Of {result.doubtful:,} of {total:,} labels of `{result.label_field}` "
            "another class fits better. The worst come first; each label says how "
            "sure that is (`mistakenness`, above 0.5) and which class fits best "
            "(`suggested_label`)."
        )
        rows = [
            (result.names[id], result.suggested[id], f"{value:.2f}")
            for id, value in list(result.mistakenness.items())[:_ROWS]
        ]
        head = ["Label", "Fits better", "Mistakenness"]
        return hinted(
            "\n\n".join([text, *_left_out(result), table(head, rows)]), result.hints
        )

    def show(
        self, ctx: foo.ExecutionContext, result: MistakenLabels
    ) -> Iterator[GeneratedMessage]:
        """Shows the worst first."""
        yield ctx.ops.reload_dataset()
        yield ctx.ops.set_view(result.view)
        yield from super().show(ctx, result)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail_boxes",
        label_field: str | None = None,
        classes: str | Sequence[str] | None = None,
        count: int = 100,
        classifier: str | None = None,
        delegate: bool = False,
    ) -> MistakenLabels | foo.ExecutionResult:
        """Finds labels whose class fits far worse than another one, by texts alone.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            find = foo.get_operator("@detail/detail-embed/find_mistaken_labels")
            result = find(dataset, "detail_boxes")
            result.view.values("ground_truth.suggested_label")  # the worst first

        Args:
            sample_collection: a dataset or view of images, or of patches of the field
            brain_key ("detail_boxes"): an index of boxes that can be searched by text,
                or one of images for a field of Classifications
            label_field (None): of the labels; by default those of the boxes
            classes (None): names, or ``"name: prompt, prompt"``; by default those of
                the labels
            count (100): labels in the view
            classifier (None): name of one that was trained on the labels of the
                dataset, see ``train_classifier``; it judges instead of texts, by the
                index that it was trained on
            delegate (False): whether to queue the run for a delegated service

        Returns:
            view, label_field, mistakenness, suggested, names and what was left out, or
            an :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
            TypeError: if a class is no string
        """
        from detail_embed.texts.zero_shot import list_labels

        params = {
            "brain_key": brain_key,
            "label_field": label_field,
            "classes": None if classes is None else list_labels(classes),
            "count": count,
            "classifier": classifier,
        }
        return self.run(sample_collection, params, delegate)


def _index_of(samples: foc.SampleCollection, params: Mapping[str, Any]) -> Index:
    """The index that was chosen, or that a classifier was trained on."""
    from detail_embed.fiftyone_bridge.classifiers import library
    from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

    key = params.get("brain_key", _KEY)
    if name := params.get("classifier"):
        key = library.report(dataset_of(samples), name)["brain_key"]
    return index_of(samples, {"brain_key": key})


def _left_out(result: MistakenLabels) -> Iterator[str]:
    """What was not judged, each in a sentence."""
    if result.without:
        yield f"{result.without:,} labels have no vector and were not judged."
    if result.unnamed:
        yield f"{result.unnamed:,} labels have no class and were not judged."
    if result.unlisted:
        count = sum(result.unlisted.values())
        yield (
            f"{count:,} labels have a class that is not in the list and were not "
            f"judged: {_some(result.unlisted)}."
        )
    if result.unused:
        yield f"No label has one of these classes: {_some(result.unused)}."


def _some(names: Sequence[str]) -> str:
    from detail_embed.fiftyone_bridge.curate.judge_labels import some_of

    return some_of(list(names))
