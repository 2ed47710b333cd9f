"""The operator that gives an index another brain key."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_known_index
from ..shared.form_operator import FormOperator
from ..shared.output import schema_of


class RenameIndex(FormOperator):
    """Renames an index with its fields and the whole-image index beside it."""

    name = "rename_index"
    label = "Rename a detail index"
    description = "Give an index of this dataset another brain key"
    risk_level = types.RiskLevel.MEDIUM
    options = {"view_target": False}

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, and its new brain key."""
        from detail_embed.fiftyone_bridge.index import facts, rename
        from detail_embed.fiftyone_bridge.index.index import Index

        ours = facts.of_kind(ctx.dataset, facts.OURS)
        key = add_known_index(inputs, ctx.params, ours).brain_key
        inputs.str(
            "new_key",
            required=True,
            label="New brain key",
            description="Letters, digits and '_'. Saved views that search by the "
            "old key are not changed",
        )
        if ctx.params.get("new_key"):
            rename.check_rename(Index(ctx.dataset, key), ctx.params["new_key"])

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, str]:
        """Renames the index, and shows the fields under their new names."""
        old, new = ctx.params["brain_key"], ctx.params["new_key"]
        self(ctx.dataset, old, new)
        ctx.ops.notify(f"The index {old!r} is now {new!r}", variant="success")
        ctx.ops.reload_dataset()
        return {"brain_key": new}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The new brain key."""
        return schema_of(ctx.results or {}, {"brain_key": "Index"}, self.label)

    def __call__(self, dataset: fo.Dataset, brain_key: str, new_key: str) -> None:
        """Renames an index with its fields and the whole-image index beside it.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            rename = foo.get_operator("@detail/detail-embed/rename_index")
            rename(dataset, "detail", "detail_2026")
            view = dataset.sort_by_similarity("a red helmet", brain_key="detail_2026")

        Args:
            dataset: the dataset
            brain_key: an index of ours
            new_key: the brain key it shall have

        Raises:
            ValueError: if the index is not ours, the new key cannot be used or is
                taken, or a run writes under one of them
        """
        from detail_embed.fiftyone_bridge import DetailIndex

        DetailIndex.of(dataset, brain_key).rename(new_key)
