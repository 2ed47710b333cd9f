"""The operator that lists trained fusers and deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import INSTALL, add_problem

if TYPE_CHECKING:
    from detail_embed.fusers.library import TrainedFacts

_COLUMNS = {
    "name": "Name",
    "kind": "Fuser",
    "patch_slug": "For patches of",
    "num_words": "Words",
    "images": "Images",
    "held_out": "Held-out words",
    "created": "Trained",
}


class ManageFusers(foo.Operator):
    """Lists the trained fusers of this user, and deletes one."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name and label."""
        return foo.OperatorConfig(
            name="manage_fusers",
            label="Manage trained fusers",
            description="List the fusers that were trained here, or delete one",
            icon="/assets/icon.svg",
            dynamic=True,
            risk_level=types.RiskLevel.MEDIUM,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The table, and which one to delete."""
        inputs = types.Object()
        view = types.PromptView(
            label=self.config.label, submit_button_label="Delete"
        )
        form = types.Property(inputs, view=view)
        try:
            from detail_embed.fusers import library

            rows = self._rows()
        except ImportError as error:
            add_problem(inputs, f"{error}. {INSTALL}")
            return form
        if not rows:
            add_problem(inputs, "No fuser was trained yet: use 'Train a fuser'")
            return form
        inputs.md(_table(rows), name="table")
        choice = types.DropdownView()
        for name in library.names():
            choice.add_choice(name, label=name)
        delete = inputs.enum(
            "delete",
            choice.values(),
            label="Delete",
            description="For good. Indexes made with it have a copy and go on",
            view=choice,
        )
        delete.invalid = not ctx.params.get("delete")
        delete.error_message = " "  # else the App calls what is not chosen yet invalid
        return form

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Deletes what was chosen; returns what is left."""
        name = ctx.params.get("delete")
        if name:
            self(delete=name)
            ctx.ops.notify(f"The fuser {name!r} was deleted", variant="success")
        return {"fusers": _table(self._rows())}

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

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {column: getattr(facts, column) for column in _COLUMNS} for facts in self()
        ]


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No trained fuser is left."
    lines = [list(_COLUMNS.values()), ["---"] * len(_COLUMNS)]
    for row in rows:
        row["held_out"] = f"{100 * row['held_out']:.1f} %"
        row["created"] = row["created"].replace("T", " ")
        lines.append(list(map(str, row.values())))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
