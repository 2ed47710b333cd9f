"""Forgetting learned words, as a part of the form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_known_index, filled, index_of
from .method import Method

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.adapt.forget_words import Forgotten
    from detail_embed.fiftyone_bridge.runs.run import Run


class ForgetWords(Method):
    """Every search finds what it found before words were learned."""

    description = "Undo: searches find what they found before"

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """The index, of those that know learned words."""
        from detail_embed.fiftyone_bridge.index import facts as index_facts

        ours = index_facts.of_kind(ctx.dataset, index_facts.OURS)
        known = [facts for facts in ours if facts.learned]
        if not known:
            raise ValueError("No index of this dataset knows learned words")
        chosen = add_known_index(inputs, filled(ctx.params), known)
        inputs.view("what", types.Notice(label=f"It knows {chosen.learned}"))

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.adapt.forget_words.forget`."""
        from detail_embed.fiftyone_bridge.adapt.forget_words import forget

        return forget(index_of(samples, params))

    def results(self, result: Forgotten) -> dict[str, Any]:
        """What was forgotten, and a summary."""
        summary = (
            f"{result.brain_key!r} has forgotten {result.words} words: searches find "
            "what they found before."
        )
        return {**asdict(result), "summary": summary}
