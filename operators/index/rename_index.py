"""The operator that gives an index another brain key."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import resolve_form


class RenameIndex(foo.Operator):
    """Renames an index with its fields and the whole-image index beside it."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name and label."""
        return foo.OperatorConfig(
            name="rename_index",
            label="Rename a detail index",
            description="Give an index of this data set another brain key",
            icon="/assets/icon.svg",
            dynamic=True,
            risk_level=types.RiskLevel.MEDIUM,
            view_target=False,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever cannot work is said in it."""
        def fill(inputs: types.Object, samples: foc.SampleCollection) -> None:
            from detail_embed.fiftyone_bridge.index import facts, rename
            from detail_embed.fiftyone_bridge.index.index import Index

            from ..shared.form import add_choice

            ours = facts.of_kind(ctx.dataset, facts.OURS)
            key = add_choice(inputs, ctx.params, ours).brain_key
            inputs.str(
                "new_key",
                required=True,
                label="New brain key",
                description="Letters, digits and '_'. Saved views that search by the "
                "old key are not changed",
            )
            if ctx.params.get("new_key"):
                rename.check(Index(ctx.dataset, key), ctx.params["new_key"])

        return resolve_form(ctx, self.config.label, fill)

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, str]:
        """Renames the index, and shows the fields under their new names."""
        old, new = ctx.params["brain_key"], ctx.params["new_key"]
        self(ctx.dataset, old, new)
        ctx.ops.notify(f"The index {old!r} is now {new!r}", variant="success")
        ctx.ops.reload_dataset()
        return {"brain_key": new}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The new brain key."""
        outputs = types.Object()
        outputs.str("brain_key", label="Brain key")
        return types.Property(outputs, view=types.View(label=self.config.label))

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
            dataset: the data set
            brain_key: an index of ours
            new_key: the brain key it shall have

        Raises:
            ValueError: if the index is not ours, the new key cannot be used or is
                taken, or a run writes under one of them
        """
        from detail_embed.fiftyone_bridge import DetailIndex

        DetailIndex(dataset, brain_key).rename(new_key)
