"""The operator that makes an index of vectors in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.app import take_defaults
from ..shared.form import filled, given, index_of
from ..shared.run_operator import RunOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.exchange.import_vectors import Imported
    from detail_embed.fiftyone_bridge.runs.run import Run


class ImportVectors(RunOperator):
    """Makes an index of vectors that were computed elsewhere."""

    name = "import_vectors"
    label = "Import vectors"
    description = "Make an index of vectors in Parquet files"
    risk_level = types.RiskLevel.MEDIUM
    shown = {
        "brain_key": "Index",
        "space": "Embedding space",
        "images": "Images that got their vectors",
        "failed": "Images that could not be read",
        "unmatched": "Images that are not in the dataset",
        "seconds": "Seconds",
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Files, brain key, and what they hold."""
        from detail_embed.fiftyone_bridge.exchange import import_vectors

        _add_inputs(inputs)
        params = filled(ctx.params)
        if "path" not in params:
            return
        index = index_of(samples, params)
        files = import_vectors.check_import(index, samples, **_arguments(params))
        found = f"{files.num_rows:,} vectors of {files.slug}"
        inputs.view("files", types.Notice(label=found))

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.import_vectors.import_vectors`."""
        from detail_embed.fiftyone_bridge.exchange.import_vectors import import_vectors

        index = index_of(samples, params)
        return import_vectors(index, samples, **_arguments(params))

    def summarise(self, result: Imported) -> str:
        """How many images got their vectors, and why others did not."""
        parts = [f"{result.images:,} images got their vectors"]
        if result.failed:
            parts.append(
                f"{result.failed:,} could not be read (see the field "
                f"{result.error_field!r})"
            )
        if result.unmatched:
            parts.append(f"{result.unmatched:,} are not in this dataset")
        return f"{', '.join(parts)}. Search with brain key {result.brain_key!r}"

    def show(
        self, ctx: foo.ExecutionContext, result: Imported
    ) -> Iterator[GeneratedMessage]:
        """Tells it, and shows the new fields."""
        yield from super().show(ctx, result)
        yield ctx.ops.reload_dataset()
        yield take_defaults(ctx)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        path: str | Path,
        brain_key: str = "detail",
        space: str | Path | None = None,
        backend: str | None = None,
        also_global: bool = False,
        delegate: bool = False,
    ) -> Imported | foo.ExecutionResult:
        """Makes an index of vectors in Parquet files, or adds them to one.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            load = foo.get_operator("@detail/detail-embed/import_vectors")
            load(dataset, "/shared/drone-parts", brain_key="detail")
            view = dataset.sort_by_similarity("a red helmet", brain_key="detail", k=25)

        Args:
            sample_collection: a dataset or view of images; rows of others are left
                out
            path: a folder of parts, or a file that ``export_vectors`` wrote; rows go
                by sample id, or by file path
            brain_key ("detail"): key of the index; one that exists gets the vectors
                too, if they are of its space
            space (None): the folder of the embedding space, where it is neither beside
                the parts nor on this machine
            backend (None): a FiftyOne similarity backend
            also_global (False): whether to index the plain whole-image vectors too,
                under ``<brain_key>_global``
            delegate (False): whether to queue the run for a delegated service

        Returns:
            brain_key, space, images, failed, unmatched, error_field and seconds, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples, the files or the brain key cannot be used, or
                no row finds a sample
        """
        params = {
            "path": str(path),
            "brain_key": brain_key,
            "space": None if space is None else str(space),
            "backend": backend,
            "also_global": also_global,
        }
        return self.run(sample_collection, params, delegate)


def _add_inputs(inputs: types.Object) -> None:
    inputs.str(
        "path",
        required=True,
        label="File or folder",
        description="Parts of detail_embed.distributed, or a file of Export vectors, "
        "on the machine where the App's server runs",
    )
    inputs.str(
        "brain_key",
        required=True,
        default="detail",
        label="Index name",
        description="Names the index. One that exists gets the vectors too, if they "
        "are of its space",
    )
    inputs.str(
        "space",
        label="Folder of the embedding space",
        description="Only where it is neither beside the parts nor on this machine",
    )
    inputs.bool(
        "also_global",
        default=False,
        label="Index whole-image vectors too",
        description="What the backbone finds today, to compare",
    )


def _arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "path": params["path"],
        **given(params, "space", "backend", "also_global"),
    }
