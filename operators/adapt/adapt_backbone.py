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
from .forget_words import ForgetWords
from .learn_words import LearnWords
from .method import Method

WORDS, UNDO = "learn my words", "forget my words"
METHODS: dict[str, Method] = {WORDS: LearnWords(), UNDO: ForgetWords()}


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
        delegate: bool = False,
    ) -> Any:
        """Adapts to one's own images and words.

        ``"learn my words"`` takes seconds and can be undone: prompts that are near to a
        learned word are moved to what its examples look like, in every search by text.
        No image is encoded again and no stored vector changes. It is kept only if
        images that were held out are found better. ``"forget my words"`` undoes it.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            adapt = foo.get_operator("@detail/detail-embed/adapt_backbone")
            result = adapt(dataset, field="ground_truth", brain_key="detail")
            result.before, result.after
            adapt(dataset, "forget my words", brain_key="detail")

        Args:
            sample_collection: a dataset or view of images
            method ("learn my words"): or ``"forget my words"``
            brain_key ("detail"): of an index that detail-embed computed
            source ("labels"): or ``"captions"`` or ``"concepts"``
            field (None): that holds the labels or captions
            use_boxes (True): whether boxes say what is meant, where labels have some
            seed (0): of the split into images to learn from and to measure by
            delegate (False): whether to queue the run for a delegated service

        Returns:
            what was learned and how good it is on held-out images, or an
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
        }
        return self.run(sample_collection, params, delegate)


def _method(params: Mapping[str, Any]) -> Method:
    name = params.get("method", WORDS)
    if name not in METHODS:
        raise ValueError(f"method={name!r}: give one of {', '.join(METHODS)}")
    return METHODS[name]
