"""The operator that shows where images match a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.app import DRAW_IN_IMAGE
from ..shared.form import add_index, filled, given, index_of
from ..shared.run_operator import RunOperator

if TYPE_CHECKING:
    import numpy as np

    from detail_embed.fiftyone_bridge.runs.run import Run
    from detail_embed.fiftyone_bridge.where.show_where import Where

_OPTIONS = ("field", "heatmap_field", "max_boxes")
_NEW = (
    "These labels are new to the dataset: to see them in an open image, load the page "
    "again, once"
)
_NO_INDEX = (
    "This dataset has no index of detail-embed: use 'Compute detail embeddings'"
)


class ShowWhere(RunOperator):
    """Labels where images match a text: boxes, and a heat map."""

    name = "show_where"
    label = "Show where"
    description = "Boxes and a heat map of what images show of a text"
    place = types.Places.SAMPLES_VIEWER_ACTIONS
    is_for_hits = True
    shown = {
        "images": "Images with labels",
        "boxes": "Boxes",
        "failed": "Could not be read",
    }

    def target(self, ctx: foo.ExecutionContext) -> foc.SampleCollection:
        """The open image, or the target view."""
        from detail_embed.fiftyone_bridge.samples.collection import flat_images
        from detail_embed.fiftyone_bridge.samples.private_names import is_generated

        if ctx.current_sample and is_generated(ctx.view):
            return ctx.view.select(ctx.current_sample)
        if ctx.current_sample:
            return flat_images(ctx.dataset).select(ctx.current_sample)
        return super().target(ctx)

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Text, index, boxes and fields."""
        from detail_embed.fiftyone_bridge.search import match
        from detail_embed.fiftyone_bridge.where import show_where as where

        params = filled(ctx.params)
        has_vector = "vector" in params
        meant = _meant(ctx, len(samples))
        searched = match.text_of(ctx.view)
        if searched and not has_vector:
            params.setdefault("text", searched)
        inputs.str(
            "text",
            required=not has_vector,
            default=searched,
            label="Text",
            description=f"What to look for in {meant}. Commas between prompts, a minus "
            "for 'but not': a helmet, -a bicycle",
        )
        keys = where.showable(ctx.dataset)
        params["brain_key"] = add_index(inputs, params, keys, _NO_INDEX)
        inputs.int("max_boxes", min=1, default=3, label="Boxes per image, at most")
        inputs.str("field", default=where.FIELD, label="Field of the boxes")
        inputs.str(
            "heatmap_field", default=where.HEATMAP_FIELD, label="Field of the heat maps"
        )
        if has_vector or "text" in params:
            self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.show_where.show_where`."""
        from detail_embed.engine.encode_options import EncodeOptions
        from detail_embed.fiftyone_bridge.where.show_where import show_where

        label = params.get("text") or None
        arguments = given(params, *_OPTIONS)
        options = EncodeOptions.from_params(params)
        return show_where(
            index_of(samples, params), samples, _query(params), label=label,
            options=options, **arguments,
        )

    def summarise(self, result: Where) -> str:
        """How many places there are, and what could not be read."""
        text = (
            f"{result.boxes:,} place{'s' * (result.boxes != 1)} in {result.images:,} "
            f"image{'s' * (result.images != 1)}"
        )
        if not result.failed:
            return text
        path, reason = next(iter(result.failed.items()))
        failed = len(result.failed)
        return f"{text}; {failed} could not be read, such as {path}: {reason}"

    def in_app(
        self, ctx: foo.ExecutionContext, run: Run
    ) -> Iterator[GeneratedMessage]:
        """Does the run, and shows the labels, whose fields may be new."""
        before = set(ctx.dataset.get_field_schema())
        yield from super().in_app(ctx, run)
        shown = [run.result.field, run.result.heatmap_field]
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
        self, ctx: foo.ExecutionContext, result: Where
    ) -> Iterator[GeneratedMessage]:
        """Tells it."""
        variant = "warning" if result.failed else "success"
        yield from self.tell(ctx, self.summarise(result), variant)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        query: str | np.ndarray,
        brain_key: str = "detail",
        field: str = "detail_where",
        heatmap_field: str = "detail_heatmap",
        max_boxes: int = 3,
        max_pixels: int | None = None,
        read_seconds: float | None = None,
        delegate: bool = False,
    ) -> Where | foo.ExecutionResult:
        """Labels where images match a query.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            hits = dataset.sort_by_similarity("a helmet", brain_key="detail", k=25)
            show = foo.get_operator("@detail/detail-embed/show_where")
            show(hits, "a helmet, -a bicycle", brain_key="detail")
            hits.values("detail_where.detections.score")

        Args:
            sample_collection: a dataset or view of images
            query: prompts with commas between them, a minus for "but not" and ``2 *``
                for weights; or a vector in the space of the index
            brain_key ("detail"): an index that was computed by detail-embed
            field ("detail_where"): of the boxes
            heatmap_field ("detail_heatmap"): of the heat maps
            max_boxes (3): boxes per image, at most
            max_pixels (None): images with more are read by parts, which needs
                rasterio; by default 268 million
            read_seconds (None): that a file may be waited for, as on a network; by
                default 60
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a :class:`~detail_embed.fiftyone_bridge.where.show_where.Where` with the
            fields, the numbers of images and boxes, and the images that could not be
            read, or an :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        import numpy as np

        from detail_embed.texts.read_query import read_query

        params = {
            "brain_key": brain_key,
            "field": field,
            "heatmap_field": heatmap_field,
            "max_boxes": max_boxes,
            "max_pixels": max_pixels,
            "read_seconds": read_seconds,
        }
        if isinstance(query, np.ndarray):
            params["vector"] = query.tolist()
        else:
            params["text"] = str(read_query(query))
        return self.run(sample_collection, params, delegate)


def _meant(ctx: foo.ExecutionContext, total: int) -> str:
    if ctx.current_sample:
        return "the open image"
    return f"the {total} images of the target view"


def _query(params: Mapping[str, Any]) -> str | np.ndarray:
    import numpy as np

    if "vector" in params:
        return np.asarray(params["vector"], np.float32)
    return params.get("text", "")
