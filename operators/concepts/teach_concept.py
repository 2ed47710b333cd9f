"""The operator that teaches a concept by examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import problems
from ..shared.form import add_index, filled, index_of
from ..shared.form_operator import FormOperator
from ..shared.output import schema_of

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.concepts.concept import Concept

_SHOWN = {"prompt": "Concept", "positives": "Up", "negatives": "Down"}
_UP, _DOWN = "These show it", "These do not show it"
_JUDGED = ("positives", "negatives")


class TeachConcept(FormOperator):
    """Keeps under a name what images and boxes show, or do not show."""

    name = "teach_concept"
    label = "Teach a concept"
    description = "Learn a prompt such as #helmet from images and boxes that show it"
    risk_level = types.RiskLevel.MEDIUM
    submit = "Save"
    options = {
        "disable_schema_validation": True  # Python's types; the form checks all
    }

    def target(self, ctx: foo.ExecutionContext) -> foc.SampleCollection:
        """The dataset: examples are selected, or named."""
        if ctx.dataset is None:
            raise ValueError("Open a dataset first")
        return ctx.dataset

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """A name; what it is taught by, unless our panel has told."""
        from detail_embed.fiftyone_bridge.concepts import kept
        from detail_embed.fiftyone_bridge.concepts.concept import check_name
        from detail_embed.fiftyone_bridge.index import brain_runs

        params = filled(ctx.params)
        inputs.str(
            "name", required=True, label="Name",
            description="Such as: helmet. Then #helmet is a prompt",
        )
        if not params.get("for_panel"):
            add_index(inputs, params, brain_runs.promptable(ctx.dataset))
            _add_examples(inputs, ctx)
        if "name" not in params:
            return
        if check_name(params["name"]) in kept.names(ctx.dataset):
            inputs.bool(
                "overwrite", default=False, label="Replace the concept of this name"
            )
            if not params.get("overwrite"):
                kept.check_free(ctx.dataset, params["name"])

    @problems.answered
    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Teaches, keeps, and tells what was left out."""
        import numpy as np

        from detail_embed.fiftyone_bridge.teach.teach import teach

        params = filled(ctx.params)
        text = params.get("text")
        if params.get("vector"):
            text = np.array(params["vector"], np.float32)
        positives, negatives = _examples(ctx, params)
        concept = teach(
            index_of(ctx.dataset, params), params.get("name", ""), positives, negatives,
            text, overwrite=bool(params.get("overwrite")),
        )
        ctx.ops.notify(f"{concept.prompt} is a prompt now", variant="success")
        for id, reason in concept.left_out.items():
            ctx.ops.notify(f"Left out: {id} {reason}", variant="warning")
        return {
            "prompt": concept.prompt,
            "positives": len(concept.positives),
            "negatives": len(concept.negatives),
            "left_out": concept.left_out,
        }

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property | None:
        """What it was taught by; our panel says it itself."""
        if ctx.params.get("for_panel"):
            return None
        return schema_of(ctx.results or {}, _SHOWN, self.label)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        name: str,
        positives: Iterable[Any] | None = (),
        negatives: Iterable[Any] | None = (),
        text: str | None = None,
        brain_key: str = "detail",
        overwrite: bool = True,
    ) -> Concept:
        """Teaches a concept, and keeps it in the dataset: ``#name`` is a prompt then.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            teach = foo.get_operator("@detail/detail-embed/teach_concept")
            good, bad = dataset.take(3).values("id"), []
            teach(dataset, "helmet", good, bad, text="a red helmet")

        Args:
            sample_collection: a dataset or view of images
            name: of the concept
            positives (()): ids of samples, or of labels with boxes, that show it, or
                ``(sample id, [left, top, width, height])`` in shares of the image
            negatives (()): what does not, named likewise
            text (None): what a person would type for it
            brain_key ("detail"): an index that can be searched by text
            overwrite (True): whether a concept of this name is taught anew

        Returns:
            a :class:`detail_embed.fiftyone_bridge.concepts.concept.Concept`, with what
            was left out

        Raises:
            TypeError, ValueError: if nothing can be learned so
        """
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.teach.teach import teach

        index = Index.of(sample_collection, brain_key)
        return teach(index, name, positives, negatives, text, overwrite)


def _add_examples(inputs: types.Object, ctx: foo.ExecutionContext) -> None:
    images, labels = len(ctx.selected or ()), len(ctx.selected_labels or ())
    chosen = f"{labels} boxes" if labels else f"{images} images"
    inputs.str(
        "text", label="What a person would type", description="Such as: a red helmet"
    )
    if images or labels:
        ways = types.RadioGroup()
        ways.add_choice("up", label=_UP)
        ways.add_choice("down", label=_DOWN)
        inputs.enum(
            "selected_are", ways.values(), default="up", view=ways,
            label=f"Of the {chosen} that are selected",
        )
    elif not any(ctx.params.get(given) for given in ("text", *_JUDGED)):
        raise ValueError(
            "Select images in the grid, or boxes in an open image, or give a text. "
            "Without an App, give a name, and positives, which are ids of images or of "
            "labels, or a text"
        )


def _examples(
    ctx: foo.ExecutionContext, params: Mapping[str, Any]
) -> tuple[list[Any], list[Any]]:
    """What was judged: in our panel, or what is selected."""
    from detail_embed.fiftyone_bridge.teach.judged import selected

    given = [
        [
            _place(place)
            for place in _list(params.get(name, ()))
        ]
        for name in _JUDGED
    ]
    if params.get("for_panel") or any(given):
        return given[0], given[1]
    chosen = selected(ctx.view, ctx.selected, ctx.selected_labels)
    is_up = params.get("selected_are", "up") == "up"
    return (chosen, []) if is_up else ([], chosen)


def _list(items: Any) -> list[Any]:
    """What was given as a list; one thing is one example."""
    return list(items) if isinstance(items, (list, tuple)) else [items]


def _place(item: Any) -> Any:
    """An image, or a place in it, as :func:`.teach.judged.read` takes it."""
    if isinstance(item, dict) and "sample_id" in item:
        return item["sample_id"], item.get("box")
    return item
