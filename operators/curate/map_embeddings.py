"""The operator that lays the vectors of an index out in a plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import add_index, filled, given, index_of
from ..shared.output import without
from .summary_operator import SummaryOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.compute.embeddings_map import EmbeddingsMap
    from detail_embed.fiftyone_bridge.runs.run import Run

_PANEL = "Embeddings"


class MapEmbeddings(SummaryOperator):
    """Lays the vectors of an index out, and opens the map."""

    name = "map_embeddings"
    label = "Map embeddings"
    description = "Lay the vectors of an index out for the panel 'Embeddings'"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, and whether a map that there is shall be replaced."""
        from detail_embed.fiftyone_bridge.compute import embeddings_map
        from detail_embed.fiftyone_bridge.index import brain_runs

        keys = brain_runs.similarities(ctx.dataset)
        params = filled(ctx.params)
        params["brain_key"] = add_index(inputs, params, keys)
        index = index_of(samples, params)
        key = embeddings_map.map_key(index.key)
        if embeddings_map.is_of_choice(index):
            inputs.bool("overwrite", default=False, label=f"Replace the map '{key}'")
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`embeddings_map.map_embeddings`."""
        from detail_embed.fiftyone_bridge.compute import embeddings_map

        arguments = given(params, "method", "overwrite")
        return embeddings_map.map_embeddings(
            index_of(samples, params), samples, **arguments
        )

    def summarise(self, result: EmbeddingsMap) -> str:
        """Where the map is."""
        notice = f" {result.notice}." if result.notice else ""
        return (
            f"{result.images} {result.noun} are on the map '{result.brain_key}', in "
            f"the panel '{_PANEL}'.{notice}{without(result.without)}"
        )

    def show(
        self, ctx: foo.ExecutionContext, result: EmbeddingsMap
    ) -> Iterator[GeneratedMessage]:
        """Opens the panel; that of FiftyOne 1.22 lists the maps, older ones show it."""
        yield ctx.ops.reload_dataset()
        yield ctx.ops.open_panel(
            _PANEL, layout="horizontal", state={"brainResult": result.brain_key}
        )
        yield from self.tell(ctx, self.summarise(result))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail",
        method: str | None = None,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> EmbeddingsMap | foo.ExecutionResult:
        """Lays the vectors of an index out for the panel "Embeddings".

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            map_embeddings = foo.get_operator("@detail/detail-embed/map_embeddings")
            result = map_embeddings(dataset)
            dataset.load_brain_results(result.brain_key).points

        Args:
            sample_collection: a dataset or view of images
            brain_key ("detail"): a similarity index
            method (None): ``"umap"``, ``"tsne"`` or ``"pca"``; by default UMAP, and PCA
                where umap-learn is not installed or there are too few images
            overwrite (False): whether to replace the map that there is
            delegate (False): whether to queue the run for a delegated service

        Returns:
            brain_key, method, notice, images and without, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        params = {"brain_key": brain_key, "method": method, "overwrite": overwrite}
        return self.run(sample_collection, params, delegate)
