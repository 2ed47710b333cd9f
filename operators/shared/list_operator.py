"""What operators share that list what was made before, and delete one of it."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from . import problems
from .form import add_ways, require_choice
from .form_operator import FormOperator
from .output import table


class ListOperator(FormOperator):
    """Lists things in a table, and deletes one.

    Attributes:
        key: of the table among the results
        title: above the table
        thing: what one of them is called
        none_yet: what to do where there is none
        after: what stays when one is deleted
        columns: of the table, the name first
    """

    risk_level = types.RiskLevel.MEDIUM
    submit = "Delete"
    key: ClassVar[str]
    title: ClassVar[str]
    thing: ClassVar[str]
    none_yet: ClassVar[str]
    after: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    def listed(self, ctx: foo.ExecutionContext, delete: str | None = None) -> list[Any]:
        """All things, after one was deleted if a name is given.

        Raises:
            ValueError: if none has the name
        """
        raise NotImplementedError

    def row(self, thing: Any) -> tuple[Any, ...]:
        """What the table says of one; its name first."""
        raise NotImplementedError

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection | None,
    ) -> None:
        """The table, and which one to delete."""
        rows = [self.row(thing) for thing in self.listed(ctx)]
        if not rows:
            raise ValueError(self.none_yet)
        inputs.md(table(self.columns, rows), name="table")
        delete = add_ways(
            inputs, "delete", "Delete", dict.fromkeys(name for name, *_ in rows),
            default=None, description=f"For good. {self.after}",
        )
        require_choice(delete, ctx.params.get("delete"))

    @problems.answered
    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Deletes what was chosen; returns what is left."""
        name = ctx.params.get("delete") or None
        rows = [self.row(thing) for thing in self.listed(ctx, name)]
        if name:
            ctx.ops.notify(f"The {self.thing} {name!r} was deleted", variant="success")
        return {self.key: table(self.columns, rows) if rows else
                f"No {self.thing} is left."}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The table of what is left."""
        outputs = types.Object()
        outputs.str(self.key, view=types.MarkdownView())
        return types.Property(outputs, view=types.View(label=self.title))
