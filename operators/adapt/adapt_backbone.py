"""The operator that adapts what a model knows to one's own images and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import add_ways, filled
from ..shared.run_operator import RunOperator
from .fine_tune import MINUTES, NAME, FineTune
from .forget_words import ForgetWords
from .learn_words import LearnWords
from .method import Method

WORDS, UNDO, TUNE = "learn my words", "forget my words", "fine-tune the model"
METHODS: dict[str, Method] = {
    WORDS: LearnWords(), UNDO: ForgetWords(), TUNE: FineTune()
}


class AdaptBackbone(RunOperator):
    """Adapts a model to one's own images and words, from safe to bold."""

    name = "adapt_backbone"
    label = "Adapt to my words"
    description = "Teach an index the words of your labels, captions or concepts"
    risk_level = types.RiskLevel.MEDIUM
    options = {
        **RunOperator.options,
        "disable_schema_validation": True,  # Python's types; the form checks all
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """The way, and what it asks for."""
        ways = {name: method.description for name, method in METHODS.items()}
        add_ways(inputs, "method", "What to do", ways, WORDS, required=True)
        _method(filled(ctx.params)).add_inputs(ctx, inputs, samples)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Any:
        """Checks, and returns the run of the way that was chosen."""
        return _method(params).start(samples, params)

    def results(self, result: Any, params: Mapping[str, Any]) -> dict[str, Any]:
        """What the run did, with the way that it did it."""
        params = filled(params)
        return {
            "method": params.get("method", WORDS), **_method(params).results(result)
        }

    def schema(self, results: Mapping[str, Any]) -> types.Property:
        """The summary, and what else the way shows."""
        outputs = types.Object()
        if results:
            outputs.str("summary", view=types.MarkdownView())
            _method(results).add_outputs(outputs, results)
        return types.Property(outputs, view=types.View(label=self.label))

    def show(
        self, ctx: foo.ExecutionContext, result: Any
    ) -> Iterator[GeneratedMessage]:
        """Shows the summary, and what else the way shows."""
        yield from self.show_output(ctx, result)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        method: str = WORDS,
        brain_key: str = "detail",
        source: str = "labels",
        field: str | None = None,
        use_boxes: bool = True,
        seed: int = 0,
        name: str = NAME,
        backbone: str = "ViT-B-32",
        pretrained: str | None = None,
        trained: str = "full",
        minutes: float = MINUTES,
        epochs: int = 20,
        learning_rate: float | None = None,
        device: str = "auto",
        overwrite: bool = False,
        delegate: bool = False,
    ) -> Any:
        """Adapts to one's own images and words.

        ``"learn my words"`` takes seconds and can be undone: prompts that are near to a
        learned word are moved to what its examples look like, in every search by text.
        No image is encoded again and no stored vector changes. It is kept only if
        images that were held out are found better. ``"forget my words"`` undoes it.

        ``"fine-tune the model"`` takes minutes to hours: it makes another model, with
        which indexes are computed anew. It is offered only if images that were held
        out are found better and general nouns lose at most 2 points. A training that
        was cut short goes on where it was.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            adapt = foo.get_operator("@detail/detail-embed/adapt_backbone")
            result = adapt(dataset, field="ground_truth", brain_key="detail")
            result.before, result.after
            adapt(dataset, "forget my words", brain_key="detail")

            model = adapt(
                dataset, "fine-tune the model", field="ground_truth", name="drones"
            )
            if model.is_offered:
                compute = foo.get_operator(
                    "@detail/detail-embed/compute_detail_embeddings"
                )
                compute(
                    dataset, backbone=model.backbone, pretrained="drones",
                    brain_key="adapted",
                )

        Args:
            sample_collection: a dataset or view of images
            method ("learn my words"): or ``"forget my words"``, or
                ``"fine-tune the model"``
            brain_key ("detail"): of an index that detail-embed computed
            source ("labels"): or ``"captions"`` or ``"concepts"``
            field (None): that holds the labels or captions
            use_boxes (True): whether boxes say what is meant, where labels have some
            seed (0): of the split into images to learn from and to measure by
            name ("adapted"): of the model that fine-tuning makes
            backbone ("ViT-B-32"): of open_clip, that is fine-tuned
            pretrained (None): its open_clip tag, the path of a checkpoint, or the name
                of an adapted model
            trained ("full"): ``"full"``, ``"heads"`` or ``"lora"``, see
                :mod:`detail_embed.adapt.trainable`
            minutes (30.0): time budget of the training
            epochs (20): passes over the crops, at most
            learning_rate (None): its peak; by default the usual one of model and
                ``trained``
            device ("auto"): where it is trained
            overwrite (False): whether to train anew where the name is taken
            delegate (False): whether to queue the run for a delegated service

        Returns:
            what was learned and how good it is on held-out images, for a model a
            :class:`detail_embed.adapt.models.AdaptedFacts`; or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if nothing can be learned so; the message says what to do
        """
        params = {
            "method": method,
            "brain_key": brain_key,
            "source": source,
            "field": field,
            "use_boxes": use_boxes,
            "seed": seed,
            "name": name,
            "backbone": backbone,
            "pretrained": pretrained,
            "trained": trained,
            "minutes": minutes,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "device": device,
            "overwrite": overwrite,
        }
        return self.run(sample_collection, params, delegate)


def _method(params: Mapping[str, Any]) -> Method:
    name = params.get("method", WORDS)
    if name not in METHODS:
        raise ValueError(f"method={name!r}: give one of {', '.join(METHODS)}")
    return METHODS[name]
