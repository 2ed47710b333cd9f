"""The operator that makes an index of vectors in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared import progress
from ..shared.form import resolve_form

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.exchange.import_vectors import Imported
    from detail_embed.fiftyone_bridge.runs.run import Run

_OPTIONS = ("space", "backend", "also_global")


class ImportVectors(foo.Operator):
    """Makes an index of vectors that were computed elsewhere."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name, label and ways to run."""
        return foo.OperatorConfig(
            name="import_vectors",
            label="Import vectors",
            description="Make an index of vectors in Parquet files",
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
            from detail_embed.fiftyone_bridge.exchange import import_vectors

            _add_inputs(inputs)
            if not ctx.params.get("path"):
                return
            files = import_vectors.check(samples, **_given(ctx.params))
            inputs.view(
                "files",
                types.Notice(label=f"{files.num_rows:,} vectors of {files.slug}"),
            )

        return resolve_form(ctx, self.config.label, fill)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Runs in steps in the App, or to the end where it was delegated."""
        from detail_embed.fiftyone_bridge.exchange.import_vectors import import_vectors

        run = import_vectors(ctx.target_view(), **_given(ctx.params))
        if ctx.delegated:
            return asdict(progress.delegated(ctx, run))
        return self._in_app(ctx, run)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What a delegated run did."""
        outputs = types.Object()
        if ctx.results:
            outputs.str("brain_key", label="Brain key")
            outputs.str("space", label="Embedding space")
            outputs.int("images", label="Images that got their vectors")
            outputs.int("failed", label="Images that could not be read")
            outputs.int("unmatched", label="Images that are not in the data set")
            outputs.float("seconds", label="Seconds")
        return types.Property(outputs, view=types.View(label=self.config.label))

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
            sample_collection: a data set or view of images; rows of others are left
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
        from detail_embed.fiftyone_bridge.exchange.import_vectors import import_vectors

        params = {
            "path": str(path),
            "brain_key": brain_key,
            "space": None if space is None else str(space),
            "backend": backend,
            "also_global": also_global,
        }
        run = import_vectors(sample_collection, **params)
        if not delegate:
            return run.finish(progress=True)
        return progress.queue(self, sample_collection, params)

    def _in_app(
        self, ctx: foo.ExecutionContext, run: Run
    ) -> Iterator[GeneratedMessage]:
        yield from progress.in_app(ctx, run)
        summary = _summarise(run.result)
        yield ctx.ops.set_progress(label=summary, progress=1)
        yield ctx.ops.notify(summary, variant="success")
        yield ctx.ops.reload_dataset()


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
        label="Brain key",
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


def _given(params: dict[str, Any]) -> dict[str, Any]:
    given = {name: params[name] for name in _OPTIONS if params.get(name)}
    key = params.get("brain_key") or "detail"
    return {"path": params["path"], "brain_key": key, **given}


def _summarise(result: Imported) -> str:
    parts = [f"{result.images:,} images got their vectors"]
    if result.failed:
        parts.append(
            f"{result.failed:,} could not be read (see the field "
            f"{result.error_field!r})"
        )
    if result.unmatched:
        parts.append(f"{result.unmatched:,} are not in this data set")
    return f"{', '.join(parts)}. Search with brain key {result.brain_key!r}"
