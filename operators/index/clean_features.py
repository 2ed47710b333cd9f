"""The operator that deletes patch features that no index uses."""

from __future__ import annotations

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import app
from ..shared.form_operator import FormOperator
from ..shared.output import schema_of, table


class CleanFeatures(FormOperator):
    """Lists patch features that no index uses, with sizes, and deletes them."""

    name = "clean_features"
    label = "Clean up patch features"
    description = "Delete stored patch features that no index uses any more"
    risk_level = types.RiskLevel.HIGH
    submit = "Delete"

    def target(self, ctx: foo.ExecutionContext) -> None:
        """None: the features of all datasets are looked at."""
        return None

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection | None,
    ) -> None:
        """What there is, and whether what may be wanted yet is deleted, too."""
        from detail_embed.fiftyone_bridge.index import leftovers
        from detail_embed.storage.whole_files import megabytes

        found = leftovers.find()
        if not found:
            raise ValueError("No patch features are left over: there is nothing to do")
        inputs.md(
            "No index uses these patch features. *Delete* frees their room on the "
            "disk, for good.",
            name="what",
        )
        rows = [(megabytes(one.num_bytes), one.dataset, one.why) for one in found]
        inputs.md(table(("Size", "Dataset", "Why"), rows), name="found")
        if not all(one.is_sure for one in found):
            inputs.bool(
                "everything",
                default=False,
                label="Delete all of them",
                description="Else those of deleted datasets only",
            )

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, str]:
        """Deletes them; returns how much is free now.

        Its button says *Delete* to a person; an agent has to say so.
        """
        from detail_embed.fiftyone_bridge.index import leftovers
        from detail_embed.storage.whole_files import megabytes

        if not app.is_app(ctx) and ctx.params.get("delete") is not True:
            size = megabytes(sum(one.num_bytes for one in leftovers.find()))
            return {
                "problem": f"{size} of patch features are left over: give delete=True "
                "to delete those of deleted datasets, and everything=True for all"
            }
        freed = megabytes(self(everything=bool(ctx.params.get("everything"))))
        ctx.ops.notify(f"{freed} of patch features deleted", variant="success")
        return {"freed": freed}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """How much is free now."""
        return schema_of(ctx.results or {}, {"freed": "Freed"}, self.label)

    def __call__(self, everything: bool = False) -> int:
        """Deletes patch features that no index uses, for good.

        Example usage::

            import fiftyone.operators as foo

            clean = foo.get_operator("@detail/detail-embed/clean_features")
            print(clean(), "bytes freed")

        Args:
            everything (False): whether to delete what may be wanted yet, too: features
                of datasets that exist but have no index on them, and of datasets that
                this database does not have

        Returns:
            the bytes that are free now
        """
        from detail_embed.fiftyone_bridge.index import leftovers

        found = leftovers.find()
        return leftovers.delete(one for one in found if one.is_sure or everything)

