"""The operator that lists trained fusers and deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_ways, require_choice
from ..shared.form_operator import FormOperator
from ..shared.output import table

if TYPE_CHECKING:
    from detail_embed.fusers.library import TrainedFacts

_COLUMNS = ("Name", "Fuser", "For patches of", "Words", "Images", "Held-out words",
            "Trained")


class ManageFusers(FormOperator):
    """Lists the trained fusers of this user, and deletes one."""

    name = "manage_fusers"
    label = "Manage trained fusers"
    description = "List the fusers that were trained here, or delete one"
    risk_level = types.RiskLevel.MEDIUM

    def target(self, ctx: foo.ExecutionContext) -> None:
        """None: fusers are the user's, not a dataset's."""

    def add_inputs(
        self, ctx: foo.ExecutionContext, inputs: types.Object, samples: None
    ) -> None:
        """The table, and which one to delete."""
        trained = self()
        if not trained:
            raise ValueError("No fuser was trained yet: use 'Train a fuser'")
        inputs.md(_table(trained), name="table")
        delete = add_ways(
            inputs, "delete", "Delete", dict.fromkeys(facts.name for facts in trained),
            default=None,
            description="For good. Indexes made with it have a copy and go on",
        )
        require_choice(delete, ctx.params.get("delete"))

    def form_view(self, ctx: foo.ExecutionContext) -> types.View:
        """The button says what it does."""
        return types.PromptView(label=self.label, submit_button_label="Delete")

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Deletes what was chosen; returns what is left."""
        name = ctx.params.get("delete")
        if name:
            self(delete=name)
            ctx.ops.notify(f"The fuser {name!r} was deleted", variant="success")
        return {"fusers": _table(self())}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The table of what is left."""
        outputs = types.Object()
        outputs.str("fusers", view=types.MarkdownView())
        return types.Property(outputs, view=types.View(label="Trained fusers"))

    def __call__(self, delete: str | None = None) -> list[TrainedFacts]:
        """Lists the trained fusers, after one was deleted if a name is given.

        Example usage::

            import fiftyone.operators as foo

            manage = foo.get_operator("@detail/detail-embed/manage_fusers")
            manage()
            manage(delete="drones")

        Args:
            delete (None): name of a trained fuser; indexes made with it stay as they
                are

        Returns:
            what is known of each fuser

        Raises:
            ValueError: if no fuser has the name
        """
        from detail_embed.fusers import library

        if delete is not None:
            library.describe(delete)
            library.delete(delete)
        return [library.describe(name) for name in library.names()]


def _table(trained: list[TrainedFacts]) -> str:
    if not trained:
        return "No trained fuser is left."
    rows = [
        (
            facts.name, facts.kind, facts.patch_slug, facts.num_words, facts.images,
            f"{100 * facts.held_out:.1f} %", facts.created.replace("T", " "),
        )
        for facts in trained
    ]
    return table(_COLUMNS, rows)
