"""What the operators share that draw labels in the images of a search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.app import DRAW_IN_IMAGE
from ..shared.run_operator import RunOperator

_NEW = (
    "These labels are new to the dataset: to see them in an open image, load the page "
    "again, once"
)


class DrawingOperator(RunOperator):
    """Labels the open image, or the images shown, and draws what it made.

    Its results have ``failed``, the reasons by path.
    """

    place = types.Places.SAMPLES_VIEWER_ACTIONS
    is_for_hits = True

    def drawn(self, result: Any) -> list[str]:
        """The fields of the labels that were made."""
        raise NotImplementedError

    def target(self, ctx: foo.ExecutionContext) -> foc.SampleCollection:
        """The open image, or the target view."""
        from detail_embed.fiftyone_bridge.samples.collection import flat_images
        from detail_embed.fiftyone_bridge.samples.private_names import is_generated

        if ctx.current_sample and is_generated(ctx.view):
            return ctx.view.select(ctx.current_sample)
        if ctx.current_sample:
            return flat_images(ctx.dataset).select(ctx.current_sample)
        return super().target(ctx)

    def in_app(
        self, ctx: foo.ExecutionContext, run: Any
    ) -> Iterator[GeneratedMessage]:
        """Does the run, and shows the labels, whose fields may be new."""
        before = set(ctx.dataset.get_field_schema())
        yield from super().in_app(ctx, run)
        shown = self.drawn(run.result)
        others = [name for name in ctx.active_fields if name not in shown]
        are_new = not before.issuperset(shown)
        if are_new:
            yield ctx.ops.reload_dataset()
        if not ctx.current_sample:
            yield ctx.ops.reload_samples()
            yield ctx.ops.set_active_fields([*others, *shown])
            return
        drawn = {"fields": shown, "id": ctx.current_sample}
        yield ctx.trigger(DRAW_IN_IMAGE, drawn)
        if are_new:
            yield ctx.ops.notify(_NEW, variant="info")

    def show(
        self, ctx: foo.ExecutionContext, result: Any
    ) -> Iterator[GeneratedMessage]:
        """Tells it."""
        variant = "warning" if result.failed else "success"
        yield from self.tell(ctx, self.summarise(result), variant)


def meant(ctx: foo.ExecutionContext, total: int) -> str:
    """The images that are labelled, in words."""
    if ctx.current_sample:
        return "the open image"
    return f"the {total} images of the target view"


def with_failed(text: str, failed: dict[str, str]) -> str:
    """Adds what could not be read to a summary."""
    if not failed:
        return text
    path, reason = next(iter(failed.items()))
    return f"{text}; {len(failed)} could not be read, such as {path}: {reason}"
