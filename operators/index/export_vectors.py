"""The operator that writes the vectors of an index to a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

from ..shared import progress
from ..shared.form import resolve_form

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.exchange.export_vectors import ExportResult
    from detail_embed.fiftyone_bridge.runs.run import Run


class ExportVectors(foo.Operator):
    """Writes the vectors of an index to a Parquet file."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name, label and ways to run."""
        return foo.OperatorConfig(
            name="export_vectors",
            label="Export vectors",
            description="Write the vectors of an index to a Parquet file",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            risk_level=types.RiskLevel.MEDIUM,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever cannot work is said in it."""
        def fill(inputs: types.Object, samples: foc.SampleCollection) -> None:
            from detail_embed.fiftyone_bridge.exchange import export_vectors as export
            from detail_embed.fiftyone_bridge.index import facts

            from ..shared.form import add_choice

            known = [f for f in facts.facts(ctx.dataset) if f.searches]
            key = add_choice(inputs, ctx.params, known).brain_key
            path = _default_path(samples, key)
            inputs.str(
                "path",
                label="File",
                default=path,
                description="On the machine where the App's server runs",
            )
            inputs.bool("overwrite", default=False, label="Replace a file that exists")
            params = {"path": path, **_given(ctx.params)}
            export.check(samples, key, params["path"], bool(params.get("overwrite")))

        return resolve_form(ctx, self.config.label, fill)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Runs in steps in the App, or to the end where it was delegated."""
        from detail_embed.fiftyone_bridge.exchange.export_vectors import export_vectors

        samples, key = ctx.target_view(), ctx.params["brain_key"]
        path = ctx.params.get("path") or _default_path(samples, key)
        overwrite = bool(ctx.params.get("overwrite"))
        run = export_vectors(samples, key, path, overwrite)
        if ctx.delegated:
            return asdict(progress.delegated(ctx, run))
        return self._in_app(ctx, run)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What a delegated run wrote."""
        outputs = types.Object()
        if ctx.results:
            outputs.str("path", label="File")
            outputs.int("vectors", label="Vectors")
            outputs.int("images", label="Images")
            outputs.int("dim", label="Dimensions")
            outputs.int("num_bytes", label="Bytes")
            outputs.float("seconds", label="Seconds")
        return types.Property(outputs, view=types.View(label=self.config.label))

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
            sample_collection: a data set or view of images
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
        from detail_embed.fiftyone_bridge.exchange.export_vectors import export_vectors

        run = export_vectors(sample_collection, brain_key, path, overwrite)
        if not delegate:
            return run.finish(progress=True)
        params = {"brain_key": brain_key, "path": str(path), "overwrite": overwrite}
        return progress.queue(self, sample_collection, params)

    def _in_app(
        self, ctx: foo.ExecutionContext, run: Run
    ) -> Iterator[GeneratedMessage]:
        yield from progress.in_app(ctx, run)
        result = run.result
        summary = f"{result.vectors:,} vectors written to {result.path}"
        yield ctx.ops.set_progress(label=summary, progress=1)
        yield ctx.ops.notify(summary, variant="success")


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value}


def _default_path(samples: foc.SampleCollection, brain_key: str) -> str:
    name = dataset_of(samples).slug or "vectors"
    return str(Path("~") / f"{name}-{brain_key}.parquet")
