"""The operator that searches by prompts, examples, or both."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import problems
from ..shared.form import add_index, filled, given, index_of
from ..shared.form_operator import FormOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search.examples import Box
    from detail_embed.fiftyone_bridge.search.found import Found

_MAX_BYTES = 50_000_000
_ENDINGS = ("bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp")
_PICTURES = ",".join(  # the App compares the ends of names, letter by letter
    f".{ending}" for low in _ENDINGS for ending in (low, low.upper())
)
_OPTIONS = ("k", "threshold", "templates", "method")


class SearchByPrompts(FormOperator):
    """Finds images by prompts, by selected images and boxes, or by a picture."""

    name = "search_by_prompts"
    label = "Search by prompts and examples"
    description = "But not, weights, thresholds, selected images, a picture"
    options = {
        "disable_schema_validation": True  # Python's types; the form checks all
    }

    def target(self, ctx: foo.ExecutionContext) -> foc.SampleCollection:
        """The target view; our panel knows itself where to search."""
        return ctx.dataset if ctx.params.get("for_panel") else super().target(ctx)

    def form_view(self, ctx: foo.ExecutionContext) -> types.View:
        """The title; our panel asks for examples only."""
        is_for_panel = ctx.params.get("for_panel")
        return types.View(label="Search by example" if is_for_panel else self.label)

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, prompts and examples; for our panel, only the examples."""
        if not ctx.params.get("for_panel"):
            _add_query(inputs, ctx, samples)
        _add_examples(inputs, ctx)

    @problems.answered
    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Shows what is found; for our panel, only makes the query of the examples."""
        from detail_embed.fiftyone_bridge.search import examples
        from detail_embed.fiftyone_bridge.search.methods import AUTO, for_examples
        from detail_embed.fiftyone_bridge.search.search import search

        params = filled(ctx.params)
        index = index_of(ctx.dataset, params)
        shown = _examples(ctx, index)
        weight = params.get("weight", 1.0)
        if params.get("for_panel"):
            vector = examples.mix(index, **shown)
            return {
                "vector": [round(float(x), 6) for x in vector],
                "weight": weight,
                "label": _name(shown),
            }
        query, options = params.get("text"), given(params, *_OPTIONS)
        if any(shown.values()):
            query = examples.mix(index, query, **shown, weight=weight)
            options["method"] = for_examples(options.get("method", AUTO))
        found = search(index, self.target(ctx), query, **options)
        ctx.ops.set_view(found.shown)
        ctx.ops.notify(
            f"{len(found.ids)} of {found.searched} {found.noun}, best first",
            variant="success",
        )
        for hint in found.hints:
            ctx.ops.notify(hint, variant="warning")
        return {"found": len(found.ids), "scores": found.scores}

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        text: str | None = None,
        brain_key: str = "detail",
        k: int | None = 25,
        threshold: float | None = None,
        templates: str = "own",
        method: str = "auto",
        sample_ids: Sequence[str] = (),
        boxes: Sequence[Box] = (),
        pictures: Sequence[bytes] = (),
        weight: float = 1.0,
    ) -> Found:
        """Finds the images, or boxes, that fit prompts, examples, or both.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            search = foo.get_operator("@detail/detail-embed/search_by_prompts")
            found = search(dataset, "a red helmet, -a bicycle", threshold=2.5)
            found.view.values("detail_score")  # of boxes, a view of patches

            like_the_first = search(dataset, sample_ids=[dataset.first().id])

        Args:
            sample_collection: a dataset or view of images
            text (None): prompts with commas between them, a minus for "but not" and
                ``2 *`` for weights
            brain_key ("detail"): an index that can be searched by text
            k (25): images to return, at most, None for all; with a threshold all that
                reach it are
            threshold (None): z-score that an image must reach
            templates ("own"): sentences around the prompts: ``"own"``,
                ``"openai-80"``, ``"simple-7"`` or ``"plain"``
            method ("auto"): ``"vectors"``, ``"reranked"`` or ``"patches"``; the
                latter two where patch features are stored. By default the most exact
                of them that takes no time; with examples, by the vectors
            sample_ids (()): images to search by, which the index holds; of an index of
                boxes, labels
            boxes (()): parts of images, see
                :class:`detail_embed.fiftyone_bridge.search.examples.Box`
            pictures (()): the bytes of image files
            weight (1.0): of all examples together, against 1 of the text

        Returns:
            a :class:`detail_embed.fiftyone_bridge.search.found.Found`

        Raises:
            TypeError: if samples, prompts or examples are something else
            ValueError: if nothing can be searched so
        """
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.search import examples
        from detail_embed.fiftyone_bridge.search.methods import for_examples
        from detail_embed.fiftyone_bridge.search.search import search

        index = Index.of(sample_collection, brain_key)
        sample_ids, boxes = examples.ids_of(sample_ids), examples.list_of(boxes)
        if text is None or sample_ids or boxes or pictures:
            method = for_examples(method)
            text = examples.mix(
                index, text, sample_ids, boxes, pictures, weight=weight,
                templates=templates,
            )
        return search(index, sample_collection, text, k, threshold, templates, method)


def _add_query(
    inputs: types.Object, ctx: foo.ExecutionContext, samples: foc.SampleCollection
) -> None:
    from detail_embed.fiftyone_bridge.index import brain_runs
    from detail_embed.fiftyone_bridge.index.image_vectors import check_images_of_index
    from detail_embed.fiftyone_bridge.index.index import Index

    key = add_index(inputs, ctx.params, brain_runs.promptable(ctx.dataset))
    check_images_of_index(Index(ctx.dataset, key), samples)
    inputs.str(
        "text",
        label="Prompts",
        description="For example: a red helmet, -a bicycle, 2 * at night",
    )
    inputs.int("k", min=1, default=25, label="Images to show")


def _add_examples(inputs: types.Object, ctx: foo.ExecutionContext) -> None:
    from detail_embed.fiftyone_bridge.samples.private_names import is_generated

    images, labels = len(ctx.selected or ()), len(ctx.selected_labels or ())
    noun = "boxes" if is_generated(ctx.view) else "images"
    if images:
        inputs.bool(
            "use_images", default=True, label=f"Like the selected {noun}: {images}"
        )
    if labels:
        inputs.bool(
            "use_labels", default=True, label=f"Like the selected boxes: {labels}"
        )
    inputs.uploaded_file(
        "picture",
        label="Like a picture",
        view=types.FileView(
            types=_PICTURES,
            max_size=_MAX_BYTES,
            max_size_error_message="The picture is larger than 50 MB",
        ),
    )
    inputs.float(
        "weight",
        default=1.0,
        label="Weight of the examples",
        description="Against 1 of the text; below 0: not like these",
    )
    if not (images or labels or ctx.params.get("picture") or ctx.params.get("text")):
        way = "Select images in the grid, or boxes in an open image, or give a picture"
        if not ctx.params.get("for_panel"):
            way += ", or type a prompt"
        raise ValueError(way)


def _examples(ctx: foo.ExecutionContext, index: Index) -> dict[str, Any]:
    """The examples that were chosen, as arguments of ``mix``."""
    from detail_embed.fiftyone_bridge.search import selected

    images = ctx.selected if ctx.params.get("use_images", True) else ()
    labels = ctx.selected_labels if ctx.params.get("use_labels", True) else ()
    chosen = selected.arguments(index, ctx.view, images or (), labels or ())
    picture = ctx.params.get("picture")
    if picture and picture.get("content"):
        chosen["pictures"] = [_decode(picture)]
    return chosen


def _decode(picture: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(picture["content"], validate=True)
    except (ValueError, TypeError) as error:
        name = picture.get("name") or "the picture"
        raise ValueError(f"{name} did not arrive whole: choose it again") from error


def _name(chosen: Mapping[str, Sequence[Any]]) -> str:
    """What the examples are, for a person."""
    names = {"sample_ids": "image", "boxes": "box", "pictures": "picture"}
    plural = {"box": "boxes"}
    parts = []
    for key, some in chosen.items():
        name = names[key]
        if len(some) > 1:
            name = plural.get(name, f"{name}s")
        parts.append(f"{len(some)} {name}")
    return " and ".join(parts)
