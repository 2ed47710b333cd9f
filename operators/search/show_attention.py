"""The operator that shows where the model looks in images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_index, add_ways, filled, given, index_of
from .drawing_operator import DrawingOperator, meant, with_failed

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Run
    from detail_embed.fiftyone_bridge.where.show_attention import Shown

_OPTIONS = ("field", "way", "windows")
_WAYS = {
    "last": "the last layer, from what becomes the vector to the places",
    "rollout": "through all layers of a vision transformer (attention roll-out)",
}
_NO_INDEX = (
    "This dataset has no index of detail-embed: use 'Compute detail embeddings'"
)


class ShowAttention(DrawingOperator):
    """Gives images heat maps of where the model looks."""

    name = "show_attention"
    label = "Show attention"
    description = "A heat map of where the model looks in images, whatever the prompt"
    place = None
    shown = {
        "images": "Images with a heat map",
        "failed": "Could not be read",
        "meaning": "What it means",
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, windows, way and field."""
        from detail_embed.fiftyone_bridge.where import show_attention as attention
        from detail_embed.fiftyone_bridge.where.shown_index import showable

        params = filled(ctx.params)
        images = meant(ctx, len(samples))
        text = f"Where the model looks in {images}. {attention.MEANING}"
        inputs.view("meaning", types.Notice(label=text))
        keys = showable(ctx.dataset)
        params["brain_key"] = add_index(inputs, params, keys, _NO_INDEX)
        inputs.bool(
            "windows", default=True, label="In all windows of the index",
            description="What the vectors of the index are made of: small things are "
            "seen, and it takes as long as embedding. Off: one look at the whole image",
        )
        add_ways(inputs, "way", "Attention", _WAYS, "last")
        inputs.str("field", default=attention.FIELD, label="Field of the heat maps")
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.show_attention.show_attention`."""
        from detail_embed.engine.encode_options import EncodeOptions
        from detail_embed.fiftyone_bridge.where.show_attention import show_attention

        arguments = given(params, *_OPTIONS)
        options = EncodeOptions.from_params(params)
        return show_attention(
            index_of(samples, params), samples, options=options, **arguments
        )

    def drawn(self, result: Shown) -> list[str]:
        """The heat maps; nothing where no image could be read."""
        return [result.field] if result.images else []

    def summarise(self, result: Shown) -> str:
        """How many heat maps there are, and what they mean."""
        s = "s" * (result.images != 1)
        text = f"Heat maps in {result.images:,} image{s}. {result.meaning[:-1]}"
        return with_failed(text, result.failed)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail",
        field: str = "detail_attention",
        way: str = "last",
        windows: bool = True,
        max_pixels: int | None = None,
        read_seconds: float | None = None,
        delegate: bool = False,
    ) -> Shown | foo.ExecutionResult:
        """Gives images Heatmaps of where the model of an index looks in them.

        The higher, the more of its vector of an image the model takes from there,
        whatever the prompt: it does not say what is there, or why a prompt matched.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            attention = foo.get_operator("@detail/detail-embed/show_attention")
            attention(dataset.limit(20), brain_key="detail")
            dataset.first().detail_attention.map

        Args:
            sample_collection: a dataset or view of images
            brain_key ("detail"): an index that was computed by detail-embed with a
                model that has attention: a vision transformer or open_clip's ResNets
            field ("detail_attention"): of the heat maps
            way ("last"): attention of the last layer, or ``"rollout"`` through all
                layers
            windows (True): whether it looks in all windows of the cover, or at the
                whole image once
            max_pixels (None): images with more are left out; by default 268 million
            read_seconds (None): that a file may be waited for, as on a network; by
                default 60
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a :class:`~detail_embed.fiftyone_bridge.where.show_attention.Shown` with the
            field, the number of images and those that could not be read, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        params = {
            "brain_key": brain_key,
            "field": field,
            "way": way,
            "windows": windows,
            "max_pixels": max_pixels,
            "read_seconds": read_seconds,
        }
        return self.run(sample_collection, params, delegate)
