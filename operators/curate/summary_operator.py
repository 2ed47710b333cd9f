"""What the operators share whose result is told in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.run_operator import RunOperator


class SummaryOperator(RunOperator):
    """A run on the vectors of an index, whose summary is all that is kept of it."""

    options = {
        **RunOperator.options,
        "disable_schema_validation": True,  # Python's types; the form checks all
    }

    def results(self, result: Any, params: Mapping[str, Any]) -> dict[str, Any]:
        """The summary."""
        return {"summary": self.summarise(result)}

    def schema(self, results: Mapping[str, Any]) -> types.Property:
        """The summary, as Markdown."""
        outputs = types.Object()
        if results:
            outputs.str("summary", view=types.MarkdownView())
        return types.Property(outputs, view=types.View(label=self.label))

    def show(
        self, ctx: foo.ExecutionContext, result: Any
    ) -> Iterator[GeneratedMessage]:
        """Shows the summary."""
        yield from self.show_output(ctx, result)
