"""A way of adapting, as a part of the operator's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Run


class Method:
    """What a way of adapting asks for, does and shows.

    Attributes:
        description: in the drop-down of ways, in a line
    """

    description: ClassVar[str]

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Adds its inputs to the form, and checks what was filled in.

        Raises:
            ValueError: saying what cannot work
        """
        raise NotImplementedError

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run, of which nothing is done yet.

        Raises:
            ValueError, TypeError: naming what cannot be used and what to do
        """
        raise NotImplementedError

    def results(self, result: Any) -> dict[str, Any]:
        """What the run did, as JSON values; ``"summary"`` is text in Markdown."""
        raise NotImplementedError

    def add_outputs(self, outputs: types.Object, results: Mapping[str, Any]) -> None:
        """Adds what is shown below the summary, by default nothing."""
