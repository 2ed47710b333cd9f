"""The operator that shows where images match a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_index, filled, given, index_of
from .drawing_operator import DrawingOperator, meant, with_failed

if TYPE_CHECKING:
    import numpy as np

    from detail_embed.fiftyone_bridge.runs.run import Run
    from detail_embed.fiftyone_bridge.where.show_where import Where

_OPTIONS = ("field", "heatmap_field", "max_boxes", "templates")
_NO_INDEX = (
    "This dataset has no index of detail-embed: use 'Compute detail embeddings'"
)


class ShowWhere(DrawingOperator):
    """Labels where images match a text: boxes, and a heat map."""

    name = "show_where"
    label = "Show where"
    description = "Boxes and a heat map of what images show of a text"
    shown = {
        "images": "Images with labels",
        "boxes": "Boxes",
        "failed": "Could not be read",
    }

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
        images = meant(ctx, len(samples))
        searched = match.text_of(ctx.view)
        if searched and not has_vector:
            params.setdefault("text", searched)
        inputs.str(
            "text",
            required=not has_vector,
            default=searched,
            label="Text",
            description=f"What to look for in {images}. Commas between prompts, a "
            "minus for 'but not': a helmet, -a bicycle",
        )
        keys = where.showable(ctx.dataset)
        params["brain_key"] = add_index(inputs, params, keys, _NO_INDEX)
        inputs.int(
            "max_boxes", min=1, default=3, label="Boxes per image and prompt, at most"
        )
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

        label = params.get("text") if "vector" in params else None
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
        return with_failed(text, result.failed)

    def drawn(self, result: Where) -> list[str]:
        """Boxes and heat maps."""
        return [result.field, result.heatmap_field]

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
            max_boxes (3): boxes per image and prompt, at most
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


def _query(params: Mapping[str, Any]) -> str | np.ndarray:
    import numpy as np

    if "vector" in params:
        return np.asarray(params["vector"], np.float32)
    return params.get("text", "")
