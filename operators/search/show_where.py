"""The operator that shows where images match a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared import progress
from ..shared.form import resolve_form

if TYPE_CHECKING:
    import numpy as np

    from detail_embed.fiftyone_bridge.runs.run import Run
    from detail_embed.fiftyone_bridge.where.show_where import Where


class ShowWhere(foo.Operator):
    """Labels where images match a text: boxes, and a heat map."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Name, label and ways to run."""
        return foo.OperatorConfig(
            name="show_where",
            label="Show where",
            description="Boxes and a heat map of what images show of a text",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            risk_level=types.RiskLevel.LOW,
        )

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        """Puts a button beside an open image."""
        return types.Placement(
            types.Places.SAMPLES_VIEWER_ACTIONS,
            types.Button(label=self.config.label, icon="/assets/icon.svg", prompt=True),
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever cannot work is said in it."""
        def fill(inputs: types.Object, samples: foc.SampleCollection) -> None:
            from detail_embed.fiftyone_bridge.where import show_where as where

            keys = where.showable(ctx.dataset)
            if not keys:
                raise ValueError(
                    "This data set has no index of detail-embed: use 'Compute detail "
                    "embeddings'"
                )
            has_vector = bool(ctx.params.get("vector"))
            _add_inputs(inputs, keys, _meant(ctx, len(samples)), has_vector)
            if has_vector or ctx.params.get("text"):
                where.check(samples, **_arguments(ctx.params))

        return resolve_form(ctx, self.config.label, fill, _target)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Runs in steps in the App, or to the end where it was delegated."""
        from detail_embed.engine.encode_options import EncodeOptions
        from detail_embed.fiftyone_bridge.where.show_where import show_where

        arguments = _arguments(ctx.params)
        label = ctx.params.get("text") or None
        options = EncodeOptions.from_params(ctx.params)
        run = show_where(_target(ctx), **arguments, label=label, options=options)
        if ctx.delegated:
            return asdict(progress.delegated(ctx, run))
        fields = arguments["field"], arguments["heatmap_field"]
        is_new = not all(map(ctx.dataset.has_field, fields))
        return self._in_app(ctx, run, is_new)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What a delegated run did."""
        outputs = types.Object()
        outputs.int("images", label="Images with labels")
        outputs.int("boxes", label="Boxes")
        outputs.obj("failed", label="Could not be read", view=types.JSONView())
        return types.Property(outputs, view=types.View(label=self.config.label))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        query: str | np.ndarray,
        brain_key: str = "detail",
        field: str = "detail_where",
        heatmap_field: str = "detail_heatmap",
        max_boxes: int = 3,
        max_pixels: int | None = None,
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
            sample_collection: a data set or view of images
            query: prompts with commas between them, a minus for "but not" and ``2 *``
                for weights; or a vector in the space of the index
            brain_key ("detail"): an index that was computed by detail-embed
            field ("detail_where"): of the boxes
            heatmap_field ("detail_heatmap"): of the heat maps
            max_boxes (3): boxes per image, at most
            max_pixels (None): images with more are not read; by default 268 million
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a :class:`~detail_embed.fiftyone_bridge.where.show_where.Where` with the
            fields, the numbers of images and boxes, and the images that could not be
            read, or an :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
        """
        from detail_embed.engine.encode_options import EncodeOptions
        from detail_embed.fiftyone_bridge.where.show_where import show_where

        params = {
            "brain_key": brain_key,
            "field": field,
            "heatmap_field": heatmap_field,
            "max_boxes": max_boxes,
        }
        limit = {"max_pixels": max_pixels}
        options = EncodeOptions.from_params(limit)
        run = show_where(sample_collection, query, **params, options=options)
        if not delegate:
            return run.finish(progress=True)
        is_text = isinstance(query, str)
        params |= {"text": query} if is_text else {"vector": list(map(float, query))}
        params |= limit
        return progress.queue(self, sample_collection, params)

    def _in_app(
        self, ctx: foo.ExecutionContext, run: Run, is_new: bool
    ) -> Iterator[GeneratedMessage]:
        yield from progress.in_app(ctx, run)
        found = run.result
        summary = _summarise(found)
        if ctx.current_sample:  # FiftyOne keeps an image as it was when it was opened
            summary += ". To see the labels in an image that was open, reload the page"
        yield ctx.ops.set_progress(label=summary, progress=1)
        yield ctx.ops.notify(summary, variant="warning" if found.failed else "success")
        if is_new:
            yield ctx.ops.reload_dataset()
        yield ctx.ops.reload_samples()
        shown = [found.field, found.heatmap_field]
        others = [name for name in ctx.active_fields if name not in shown]
        yield ctx.ops.set_active_fields([*others, *shown])


def _target(ctx: foo.ExecutionContext) -> foc.SampleCollection:
    """The open image, or the target view."""
    from detail_embed.fiftyone_bridge.samples.collection import flat_images

    if ctx.current_sample:
        return flat_images(ctx.dataset).select(ctx.current_sample)
    return ctx.target_view()


def _meant(ctx: foo.ExecutionContext, total: int) -> str:
    if ctx.current_sample:
        return "the open image"
    return f"the {total} images of the target view"


def _summarise(found: Where) -> str:
    text = (
        f"{found.boxes:,} place{'s' * (found.boxes != 1)} in {found.images:,} "
        f"image{'s' * (found.images != 1)}"
    )
    if not found.failed:
        return text
    path, reason = next(iter(found.failed.items()))
    return f"{text}; {len(found.failed)} could not be read, such as {path}: {reason}"


def _add_inputs(
    inputs: types.Object, keys: Sequence[str], meant: str, has_vector: bool
) -> None:
    inputs.str(
        "text",
        required=not has_vector,
        label="Text",
        description=f"What to look for in {meant}. Commas between prompts, a minus "
        "for 'but not': a helmet, -a bicycle",
    )
    view = types.DropdownView()
    for key in keys:
        view.add_choice(key, label=key)
    inputs.enum(
        "brain_key", keys, required=True, default=keys[0], label="Brain key", view=view
    )
    inputs.int("max_boxes", min=1, default=3, label="Boxes per image, at most")
    inputs.str("field", default="detail_where", label="Field of the boxes")
    inputs.str(
        "heatmap_field", default="detail_heatmap", label="Field of the heat maps"
    )


def _arguments(params: dict[str, Any]) -> dict[str, Any]:
    query = params.get("text") or ""
    if params.get("vector"):
        import numpy as np

        query = np.asarray(params["vector"], np.float32)
    return {
        "query": query,
        "brain_key": params.get("brain_key") or "detail",
        "field": params.get("field") or "detail_where",
        "heatmap_field": params.get("heatmap_field") or "detail_heatmap",
        "max_boxes": params.get("max_boxes") or 3,
    }
