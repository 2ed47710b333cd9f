"""The operator that deletes an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_known_index
from ..shared.form_operator import FormOperator
from ..shared.output import schema_of

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.facts import IndexFacts


class DeleteIndex(FormOperator):
    """Deletes an index, its vectors, and patch features that no other index uses."""

    name = "delete_index"
    label = "Delete an index"
    description = "Delete an index of this dataset, with its vectors"
    risk_level = types.RiskLevel.HIGH
    submit = "Delete"
    options = {"view_target": False}

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Which index, and all that goes with it."""
        from detail_embed.fiftyone_bridge.index import delete
        from detail_embed.fiftyone_bridge.index import facts as index_facts
        from detail_embed.fiftyone_bridge.index.index import Index

        known = index_facts.facts(ctx.dataset)
        chosen = add_known_index(inputs, ctx.params, known, preselect=False)
        if chosen is not None:
            delete.check_delete(Index(ctx.dataset, chosen.brain_key))
            what = _describe(ctx.dataset, chosen, known)
            inputs.view("what", types.Warning(label="For good", description=what))

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, str]:
        """Deletes the index; returns the brain keys that are left."""
        from detail_embed.fiftyone_bridge.index import brain_runs

        key = ctx.params["brain_key"]
        self(ctx.dataset, key)
        ctx.ops.notify(f"The index {key!r} was deleted", variant="success")
        ctx.ops.reload_dataset()
        return {"left": ", ".join(brain_runs.similarities(ctx.dataset)) or "none"}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The brain keys that are left."""
        labels = {"left": "Indexes that are left"}
        return schema_of(ctx.results or {}, labels, self.label)

    def __call__(self, dataset: fo.Dataset, brain_key: str) -> None:
        """Deletes a similarity index, for good.

        Of one of ours, also its vectors, its whole-image index, and the patch features
        that no other index uses. Of another's, its run, as FiftyOne does.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            delete = foo.get_operator("@detail/detail-embed/delete_index")
            delete(dataset, "detail")

        Args:
            dataset: the dataset
            brain_key: the index to delete

        Raises:
            ValueError: if there is no such index, or a run writes to it
        """
        from detail_embed.fiftyone_bridge import DetailIndex

        DetailIndex.of(dataset, brain_key).delete()


def _describe(
    dataset: fo.Dataset, facts: IndexFacts, known: Sequence[IndexFacts]
) -> str:
    """What is deleted with an index."""
    from detail_embed.fiftyone_bridge.index import delete, feature_stores
    from detail_embed.fiftyone_bridge.index import (
        facts as index_facts,
    )
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.storage.whole_files import megabytes

    key = facts.brain_key
    if facts.kind == index_facts.OTHER:
        return (
            f"The brain run {key!r}, which detail-embed did not make; a field that "
            "holds its vectors stays"
        )
    size = megabytes(facts.vector_bytes)
    parts = [f"the vectors of {facts.images:,} images ({size})"]
    if facts.kind == index_facts.OURS:
        kinds = {f.brain_key: f.kind for f in known}
        beside = [one.key for one in Index(dataset, key).beside]
        parts += [f"{one!r} ({kinds[one]})" for one in beside if one in kinds]
        folder = delete.unshared_features(Index(dataset, key))
        freed = feature_stores.num_bytes(folder)
        if freed is not None:
            parts.append(f"{megabytes(freed)} of patch features")
        elif facts.feature_bytes is not None:
            parts.append("no patch features: they are not this index's alone")
    return f"The index {key!r}: {', '.join(parts)}"
