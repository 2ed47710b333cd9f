"""The operator that embeds what an index lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared import progress
from ..shared.form import resolve_form

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.coverage import Coverage
    from detail_embed.fiftyone_bridge.runs.run import Run

_REASONS = 3  # that are shown


class UpdateIndex(foo.Operator):
    """Embeds new images, and those that failed, as the rest of an index."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name, label and ways to run."""
        return foo.OperatorConfig(
            name="update_index",
            label="Update a detail index",
            description="Embed the images that an index lacks, as it was made",
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
            from detail_embed.fiftyone_bridge.compute import update
            from detail_embed.fiftyone_bridge.index import facts as index_facts
            from detail_embed.fiftyone_bridge.index.coverage import coverage

            from ..shared.form import add_choice

            ours = index_facts.of_kind(ctx.dataset, index_facts.OURS)
            facts = add_choice(inputs, ctx.params, ours)
            found = coverage(samples, facts.brain_key)
            inputs.view("coverage", types.Notice(label=_summarise(found)))
            inputs.str(
                "pretrained",
                label="Checkpoint file",
                description="Only where the file of the weights was moved: its path",
            )
            pretrained = ctx.params.get("pretrained") or None
            update.check(samples, facts.brain_key, pretrained)
            if facts.searches and not found.missing + found.failed:
                raise ValueError("Every image has its vector: there is nothing to do")

        return resolve_form(ctx, self.config.label, fill)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Runs in steps in the App, or to the end where it was delegated."""
        run = _start(ctx.target_view(), ctx.params)
        if ctx.delegated:
            return asdict(progress.delegated(ctx, run))
        if progress.is_for_panel(ctx):
            return progress.in_background(ctx, run)
        return self._in_app(ctx, run)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What a delegated run did."""
        outputs = types.Object()
        if ctx.results:
            outputs.int("embedded", label="Images embedded")
            outputs.int("present", label="Images that had a vector already")
            outputs.int("failed", label="Images that could not be read")
            outputs.float("seconds", label="Seconds")
        return types.Property(outputs, view=types.View(label=self.config.label))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail",
        pretrained: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        num_workers: int | None = None,
        max_pixels: int | None = None,
        skip_identical: bool = True,
        delegate: bool = False,
    ) -> dict[str, Any] | foo.ExecutionResult:
        """Embeds the images that an index lacks, with the settings it was made with.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            dataset.add_images_dir("/flights/today")
            update = foo.get_operator("@detail/detail-embed/update_index")
            update(dataset, "detail")

        Args:
            sample_collection: a data set or view of images
            brain_key ("detail"): an index of ours; images that failed are tried again
            pretrained (None): where the checkpoint file lies now, if it was moved
            device ("auto"): where the backbone runs
            precision ("auto"): of the backbone
            batch_size (None): patches per batch
            num_workers (None): threads that decode images
            max_pixels (None): images with more are not read; by default 268 million
            skip_identical (True): whether a file with the same content as one shortly
                before takes its vectors
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a dict with brain_key, space, embedded, present, failed, error_field,
            seconds, fuser and reason, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the index is not ours, the samples cannot be used, or the
                checkpoint file is gone
        """
        params = {
            "brain_key": brain_key,
            "pretrained": None if pretrained is None else str(pretrained),
            "device": device,
            "precision": precision,
            "batch_size": batch_size,
            "num_workers": num_workers,
            "max_pixels": max_pixels,
            "skip_identical": skip_identical,
        }
        run = _start(sample_collection, params)
        if not delegate:
            return asdict(run.finish(progress=True))
        return progress.queue(self, sample_collection, params)

    def _in_app(
        self, ctx: foo.ExecutionContext, run: Run
    ) -> Iterator[GeneratedMessage]:
        yield from progress.in_app(ctx, run)
        summary = progress.summarise(run.result)
        yield ctx.ops.set_progress(label=summary, progress=1)
        yield ctx.ops.notify(summary, variant="success")
        yield ctx.ops.reload_dataset()


def _start(samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
    from detail_embed.engine.encode_options import EncodeOptions
    from detail_embed.fiftyone_bridge.compute import update

    return update.update(
        samples,
        params["brain_key"],
        params.get("pretrained") or None,
        EncodeOptions.from_params(params),
    )


def _summarise(found: Coverage) -> str:
    total = found.embedded + found.missing + found.failed
    text = f"{found.embedded:,} of {total:,} images have a vector"
    if found.missing:
        text += f", {found.missing:,} are new"
    if found.failed:
        reasons = ", ".join(f"{n:,} x {reason}" for reason, n in _first(found.reasons))
        text += f", {found.failed:,} failed and are tried again ({reasons})"
    return text


def _first(reasons: dict[str, int]) -> list[tuple[str, int]]:
    return list(reasons.items())[:_REASONS]
