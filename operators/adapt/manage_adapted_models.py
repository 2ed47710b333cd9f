"""The operator that lists adapted models and deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_ways, require_choice
from ..shared.form_operator import FormOperator
from ..shared.output import table

if TYPE_CHECKING:
    from detail_embed.adapt.models import AdaptedFacts

_COLUMNS = ("Name", "Model", "Learned from", "Images", "Held-out images", "Nouns",
            "Offered", "Made", "Weights")


class ManageAdaptedModels(FormOperator):
    """Lists the adapted models of this user, and deletes one."""

    name = "manage_adapted_models"
    label = "Manage adapted models"
    description = "List the models that were fine-tuned here, or delete one"
    risk_level = types.RiskLevel.MEDIUM

    def target(self, ctx: foo.ExecutionContext) -> None:
        """None: adapted models are the user's, not a dataset's."""

    def add_inputs(
        self, ctx: foo.ExecutionContext, inputs: types.Object, samples: None
    ) -> None:
        """The table, and which one to delete."""
        known = self()
        if not known:
            raise ValueError("No model was adapted yet: use 'Adapt to my words'")
        inputs.md(_table(known), name="table")
        delete = add_ways(
            inputs, "delete", "Delete", dict.fromkeys(facts.name for facts in known),
            default=None,
            description="For good. Indexes made with it stay, but no text can be "
            "searched for in them any more",
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
            ctx.ops.notify(f"The model {name!r} was deleted", variant="success")
        return {"models": _table(self())}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The table of what is left."""
        outputs = types.Object()
        outputs.str("models", view=types.MarkdownView())
        return types.Property(outputs, view=types.View(label="Adapted models"))

    def __call__(self, delete: str | None = None) -> list[AdaptedFacts]:
        """Lists the adapted models, after one was deleted if a name is given.

        Example usage::

            import fiftyone.operators as foo

            manage = foo.get_operator("@detail/detail-embed/manage_adapted_models")
            manage()
            manage(delete="drones")

        Args:
            delete (None): name of an adapted model; indexes made with it stay, but no
                text can be searched for in them any more

        Returns:
            what is known of each model

        Raises:
            ValueError: if no model has the name
        """
        from detail_embed.adapt import models

        if delete is not None:
            models.delete(delete)
        return [models.describe(name) for name in models.names()]


def _table(known: list[AdaptedFacts]) -> str:
    if not known:
        return "No adapted model is left."
    rows = [
        (
            facts.name, facts.backbone, facts.source, f"{facts.images:,}",
            f"{100 * facts.verdict['gain'][0]:+.1f} points",
            f"{-100 * facts.verdict['lost']:+.1f} points",
            "yes" if facts.is_offered else "no",
            facts.created.replace("T", " "), _weights(facts),
        )
        for facts in known
    ]
    return table(_COLUMNS, rows)


def _weights(facts: AdaptedFacts) -> str:
    from detail_embed.adapt import models

    return f"`{models.checkpoint(facts.name)}`" if facts.is_offered else ""
