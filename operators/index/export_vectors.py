"""The operator that writes the vectors of an index to a Parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_known_index, filled, index_of
from ..shared.run_operator import RunOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.exchange.export_vectors import ExportResult
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.runs.run import Run


class ExportVectors(RunOperator):
    """Writes the vectors of an index to a Parquet file."""

    name = "export_vectors"
    label = "Export vectors"
    description = "Write the vectors of an index to a Parquet file"
    risk_level = types.RiskLevel.MEDIUM
    shown = {
        "path": "File",
        "vectors": "Vectors",
        "images": "Images",
        "dim": "Dimensions",
        "num_bytes": "Bytes",
        "seconds": "Seconds",
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index and file."""
        from detail_embed.fiftyone_bridge.index import facts

        known = [f for f in facts.facts(ctx.dataset) if f.searches]
        key = add_known_index(inputs, ctx.params, known).brain_key
        inputs.str(
            "path",
            label="File",
            default=_default_path(index_of(samples, {"brain_key": key})),
            description="On the machine where the App's server runs",
        )
        inputs.bool("overwrite", default=False, label="Replace a file that exists")
        self.start(samples, {**filled(ctx.params), "brain_key": key})

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.export_vectors.export_vectors`."""
        from detail_embed.fiftyone_bridge.exchange.export_vectors import export_vectors

        index = index_of(samples, params)
        path = params["path"] if "path" in params else _default_path(index)
        return export_vectors(index, samples, path, bool(params.get("overwrite")))

    def summarise(self, result: ExportResult) -> str:
        """How much was written where."""
        return f"{result.vectors:,} vectors written to {result.path}"

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str,
        path: str | Path,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> ExportResult | foo.ExecutionResult:
        """Writes the vectors of an index to a Parquet file.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo
            import pyarrow.parquet as pq

            dataset = fo.load_dataset("drone-photos")
            export = foo.get_operator("@detail/detail-embed/export_vectors")
            result = export(dataset, "detail", "~/drone-photos.parquet")
            table = pq.read_table(result.path)  # id, filepath, vector

        Args:
            sample_collection: a dataset or view of images
            brain_key: a similarity index
            path: of the file; ``~`` is the home directory
            overwrite (False): whether a file that is there is replaced
            delegate (False): whether to queue the run for a delegated service

        Returns:
            path, images, vectors, dim, num_bytes and seconds, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if there is no such index, the samples or the path cannot be
                used, or no image has a vector
            RuntimeError: if the file cannot be written
        """
        path = str(path) if isinstance(path, Path) else path
        params = {"brain_key": brain_key, "path": path, "overwrite": overwrite}
        return self.run(sample_collection, params, delegate)


def _default_path(index: Index) -> str:
    name = index.dataset.slug or "vectors"
    return str(Path("~") / f"{name}-{index.key}.parquet")
