"""The operator that lists the classifiers of a dataset and deletes them."""

from __future__ import annotations

from typing import Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo

from ..shared.list_operator import ListOperator
from .apply_classifier import NONE_YET


class ManageClassifiers(ListOperator):
    """Lists the classifiers of a dataset, and deletes one."""

    name = "manage_classifiers"
    label = "Manage classifiers"
    description = "List the classifiers that were trained on a dataset, or delete one"
    key, title, thing = "classifiers", "Classifiers", "classifier"
    none_yet = NONE_YET
    after = "The labels that it wrote stay"
    columns = ("Name", "Kind", "Labels", "Examples", "Right, %")

    def listed(
        self, ctx: foo.ExecutionContext, delete: str | None = None
    ) -> list[dict[str, Any]]:
        """The classifiers of the dataset."""
        if ctx.dataset is None:
            raise ValueError("Open a dataset first")
        return self(ctx.dataset, delete)

    def row(self, thing: dict[str, Any]) -> tuple[Any, ...]:
        """What a classifier tells apart, and how well."""
        right = thing["accuracy"]
        return (
            thing["name"], thing["kind"], f"`{thing['labels_field']}`",
            sum(thing["examples"].values()),
            "" if right is None else f"{100 * right:.1f}",
        )

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
