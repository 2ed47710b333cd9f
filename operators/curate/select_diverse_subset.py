"""The operator that chooses few images that stand for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.view as fov
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import add_index, choices, filled, given, index_of
from ..shared.output import hinted, without
from .summary_operator import SummaryOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.curate.diverse_subset import DiverseSubset
    from detail_embed.fiftyone_bridge.runs.run import Run

_SHARE = 4  # of so many images the form proposes one
_LABELLED = "Images that have it are not chosen, and what is chosen is unlike them"


class SelectDiverseSubset(SummaryOperator):
    """Chooses images so that none is far from a chosen one, such as to label them."""

    name = "select_diverse_subset"
    label = "Select a diverse subset"
    description = "Few images that stand for all, such as those to label first"
    risk_level = types.RiskLevel.MEDIUM

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, how many or how near, prompts, what is labelled, and a tag."""
        from detail_embed.fiftyone_bridge.curate import diverse_subset
        from detail_embed.fiftyone_bridge.index import brain_runs

        keys = brain_runs.similarities(ctx.dataset)
        params = filled(ctx.params)
        params["brain_key"] = add_index(inputs, params, keys)
        most = min(diverse_subset.N, max(1, len(samples) // _SHARE))
        inputs.int(
            "n", min=1, default=most, label="Images", description="To choose, at most"
        )
        if "distance" not in params:
            params.setdefault("n", most)
        if "prompts" not in params:
            inputs.float(
                "distance", label="Distance",
                description="Ends sooner, when every image is within this cosine "
                "distance, 0 to 2, of a chosen one",
            )
        if params["brain_key"] in brain_runs.promptable(ctx.dataset):
            inputs.str(
                "prompts", label="Prompts",
                description="One a line. Each gets an equal share of the images, from "
                "those that match it best",
                view=types.TextFieldView(multiline=True),
            )
        _add_labelled(inputs, ctx.dataset)
        inputs.str("tag", label="Tag", description="That the chosen images get")
        self.start(samples, params)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.select_diverse_subset`."""
        from detail_embed.fiftyone_bridge.curate import diverse_subset
        from detail_embed.fiftyone_bridge.curate.labelled import Labelled

        labelled = Labelled(
            params.get("labelled_field"),
            params.get("labelled_tag"),
            params.get("labelled_view"),
        )
        arguments = given(params, "n", "distance", "prompts", "tag")
        return diverse_subset.select_diverse_subset(
            index_of(samples, params), samples, labelled=labelled, **arguments
        )

    def summarise(self, result: DiverseSubset) -> str:
        """How many were chosen, and how well they stand for all."""
        where = f", with the tag '{result.tag}'" if result.tag else ""
        away = result.labelled + result.elsewhere
        known = f" or one of {away} labelled ones" if away else ""
        text = (
            f"{len(result.ids)} of {result.images} images were chosen{where}. Every "
            f"image is within a cosine distance of {result.radius:.3f} of a chosen one"
            f"{known}.{without(result.without)}"
        )
        if result.copies:
            text += (
                f" The last {result.copies} are copies of others: there are no more "
                "images that differ."
            )
        return hinted(text, result.hints)

    def show(
        self, ctx: foo.ExecutionContext, result: DiverseSubset
    ) -> Iterator[GeneratedMessage]:
        """Shows the chosen images, in their order."""
        if result.tag:
            yield ctx.ops.reload_dataset()
        if result.ids:
            yield ctx.ops.set_view(result.view)
        yield from self.tell(ctx, self.summarise(result))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        n: int | None = None,
        distance: float | None = None,
        brain_key: str = "detail",
        prompts: str | Sequence[str] | None = None,
        labelled_field: str | None = None,
        labelled_tag: str | None = None,
        labelled_view: str | fov.DatasetView | None = None,
        tag: str | None = None,
        delegate: bool = False,
    ) -> DiverseSubset | foo.ExecutionResult:
        """Chooses images so that none is far from a chosen one.

        Each next image is the one that is farthest from all chosen and labelled ones.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            select = foo.get_operator("@detail/detail-embed/select_diverse_subset")
            result = select(dataset, n=10, labelled_tag="train", tag="to label")
            result.ids, result.view, result.radius

            select(dataset, distance=0.3)
            select(dataset, n=10, prompts=["a boat", "a street, -a car"])

        Args:
            sample_collection: a dataset or view of images
            n (None): images to choose
            distance (None): ends as soon as every image is within this cosine
                distance, 0 to 2, of a chosen one; with ``n``, at the latest then
            brain_key ("detail"): a similarity index; with prompts, one that can be
                searched by text
            prompts (None): a list, or a text with one a line; each gets an equal share
                of ``n``, from its best matches
            labelled_field (None): a field of labels; what has one is labelled already:
                it is not chosen, and what is chosen is unlike it
            labelled_tag (None): a tag of what is labelled already
            labelled_view (None): a view of what is labelled already, or the name of a
                saved one
            tag (None): that the chosen samples get
            delegate (False): whether to queue the run for a delegated service

        Returns:
            ids, view, radius, images, labelled, elsewhere, without, copies, tag and
            hints, or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
            TypeError: if a prompt is no string
        """
        if delegate and isinstance(labelled_view, fov.DatasetView):
            labelled_view = _name_of(labelled_view)
        params = {
            "n": n,
            "distance": distance,
            "brain_key": brain_key,
            "prompts": prompts,
            "labelled_field": labelled_field,
            "labelled_tag": labelled_tag,
            "labelled_view": labelled_view,
            "tag": tag,
        }
        return self.run(sample_collection, params, delegate)


def _name_of(view: fov.DatasetView) -> str:
    if view.name is None:
        raise ValueError(
            "labelled_view: a queued run finds a view by its name; save it first, with "
            "dataset.save_view(name, view), and give the name"
        )
    return view.name


def _add_labelled(inputs: types.Object, dataset: fo.Dataset) -> None:
    """Adds what says what is labelled already, as far as the dataset has it."""
    from detail_embed.fiftyone_bridge.index.label_fields import label_fields
    from detail_embed.fiftyone_bridge.samples.collection import flat_images

    images = flat_images(dataset)

    for name, label, known in (
        ("labelled_field", "Labelled already: by a field", label_fields(images)),
        ("labelled_tag", "Labelled already: by a tag", images.distinct("tags")),
        ("labelled_view", "Labelled already: a saved view", dataset.list_saved_views()),
    ):
        if known:
            view = choices(types.DropdownView(), known)
            inputs.enum(
                name, view.values(), label=label, description=_LABELLED, view=view
            )
