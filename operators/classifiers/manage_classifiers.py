"""The operator that lists the classifiers of a dataset and deletes them."""

from __future__ import annotations

from typing import Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import problems
from ..shared.form import add_ways, require_choice
from ..shared.form_operator import FormOperator
from ..shared.output import table
from .apply_classifier import NONE_YET

_COLUMNS = ("Name", "Kind", "Labels", "Examples", "Right, %")


class ManageClassifiers(FormOperator):
    """Lists the classifiers of a dataset, and deletes one."""

    name = "manage_classifiers"
    label = "Manage classifiers"
    description = "List the classifiers that were trained on a dataset, or delete one"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """The table, and which one to delete."""
        trained = self(ctx.dataset)
        if not trained:
            raise ValueError(NONE_YET)
        inputs.md(_table(trained), name="table")
        names = dict.fromkeys(report["name"] for report in trained)
        delete = add_ways(
            inputs, "delete", "Delete", names, default=None,
            description="For good. The labels that it wrote stay",
        )
        require_choice(delete, ctx.params.get("delete"))

    def form_view(self, ctx: foo.ExecutionContext) -> types.View:
        """The button says what it does."""
        return types.PromptView(label=self.label, submit_button_label="Delete")

    @problems.answered
    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Deletes what was chosen; returns what is left."""
        dataset, name = ctx.dataset, ctx.params.get("delete")
        if dataset is None:
            raise ValueError("Open a dataset first")
        left = self(dataset, delete=name or None)
        if name:
            ctx.ops.notify(f"The classifier {name!r} was deleted", variant="success")
        return {"classifiers": _table(left)}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The table of what is left."""
        outputs = types.Object()
        outputs.str("classifiers", view=types.MarkdownView())
        return types.Property(outputs, view=types.View(label="Classifiers"))

    def __call__(
        self, sample_collection: foc.SampleCollection, delete: str | None = None
    ) -> list[dict[str, Any]]:
        """Lists the classifiers of a dataset, after one was deleted if asked for.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            manage = foo.get_operator("@detail/detail-embed/manage_classifiers")
            manage(dataset)
            manage(dataset, delete="ground_truth_linear")

        Args:
            sample_collection: a dataset, or a view of it
            delete (None): name of a classifier; the labels that it wrote stay

        Returns:
            what was measured of each when it was trained

        Raises:
            ValueError: if no classifier has the name
        """
        from detail_embed.fiftyone_bridge.classifiers import library
        from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

        dataset = dataset_of(sample_collection)
        if delete is not None:
            library.delete(dataset, delete)
        return [library.report(dataset, name) for name in library.names(dataset)]


def _table(trained: list[dict[str, Any]]) -> str:
    if not trained:
        return "No classifier is left."
    rows = [
        (
            f"`{report['name']}`", report["kind"], f"`{report['labels_field']}`",
            sum(report["examples"].values()),
            "" if report["accuracy"] is None else f"{100 * report['accuracy']:.1f}",
        )
        for report in trained
    ]
    return table(_COLUMNS, rows)
