"""What the operators share that embed images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import fiftyone.operators as foo
from fiftyone.operators.message import GeneratedMessage

from ..shared.app import take_defaults
from ..shared.run_operator import RunOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Result


class EmbeddingOperator(RunOperator):
    """A run that embeds images, and indexes them."""

    def summarise(self, result: Result) -> str:
        """How many images were embedded, and what was measured and kept."""
        parts = [f"{result.embedded} images embedded"]
        if result.group_slice:
            parts[0] += f" of the slice {result.group_slice!r}"
        parts += [f"{n} of them anew, as {why}" for why, n in result.again.items()]
        if result.present:
            parts.append(f"{result.present} had a vector already")
        if result.failed:
            parts.append(
                f"{result.failed} could not be read (see the field "
                f"{result.error_field!r})"
            )
        if result.silent:
            parts.append(
                f"of {result.silent} it is not known whether they have changed, as "
                "nothing came of their files: update once it does"
            )
        if result.boxes:
            parts.append(f"{result.boxes} boxes embedded")
        if result.failed_boxes:
            parts.append(
                f"{result.failed_boxes} boxes cannot be (see the attribute "
                f"'{result.brain_key}_boxes_error' of their labels)"
            )
        text = f"{', '.join(parts)}. Search with brain key {result.brain_key!r}"
        why = next((f"Of {n} the file {why}" for why, n in result.reasons.items()), "")
        return ". ".join(filter(None, [text, why, result.reason, result.features]))

    def show(
        self, ctx: foo.ExecutionContext, result: Result
    ) -> Iterator[GeneratedMessage]:
        """Tells it, and shows the new fields."""
        yield from super().show(ctx, result)
        yield ctx.ops.reload_dataset()
        yield take_defaults(ctx)
