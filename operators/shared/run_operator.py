"""What the operators share that do a run of the bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from . import app, progress
from .form import filled, plain, refuse_empty
from .form_operator import FormOperator
from .output import schema_of

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Run


class RunOperator(FormOperator):
    """An operator that does a run, wherever it is started.

    In the App it runs in steps, with a bar; delegated, the runs page shows how far it
    is; for the panel it runs beside the server's other work; from Python, and for
    agents, it runs to the end, or is queued. A subclass starts the run, and tells what
    it did.

    Attributes:
        shown: ``{field of the result: label}`` that a delegated run shows
    """

    options: ClassVar[Mapping[str, Any]] = {
        "execute_as_generator": True,
        "allow_immediate_execution": True,
        "allow_delegated_execution": True,
    }
    shown: ClassVar[Mapping[str, str]] = {}

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run, of which nothing is done yet.

        Args:
            samples: those that are meant
            params: of the form, without what was left empty; or from Python

        Raises:
            ValueError, TypeError: naming what cannot be used and what to do
        """
        raise NotImplementedError

    def summarise(self, result: Any) -> str:
        """Tells a person what the run did."""
        raise NotImplementedError

    def results(self, result: Any, params: Mapping[str, Any]) -> dict[str, Any]:
        """What the run did, as JSON values."""
        return asdict(result)

    def schema(self, results: Mapping[str, Any]) -> types.Property:
        """How :meth:`results` are shown; nothing where there are none."""
        return schema_of(results, self.shown, self.label)

    def show(
        self, ctx: foo.ExecutionContext, result: Any
    ) -> Iterator[GeneratedMessage]:
        """Shows in the App what the run did, by default in a line."""
        yield from self.tell(ctx, self.summarise(result))

    def tell(
        self, ctx: foo.ExecutionContext, text: str, variant: str = "success"
    ) -> Iterator[GeneratedMessage]:
        """Tells in the App that the run has ended."""
        yield ctx.ops.set_progress(label=text, progress=1)
        yield ctx.ops.notify(text, variant=variant)

    def show_output(
        self, ctx: foo.ExecutionContext, result: Any
    ) -> Iterator[GeneratedMessage]:
        """Shows the results in the App as a delegated run shows them."""
        results = self.results(result, ctx.params)
        yield ctx.ops.show_output(self.schema(results).to_json(), results)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Does the run, where and how it was asked for."""
        if not (ctx.delegated or app.is_app(ctx)):
            return self._answer(ctx)
        run = self.start(self.target(ctx), filled(ctx.params))
        if ctx.delegated:
            return self.results(progress.delegated(ctx, run), ctx.params)
        if progress.is_for_panel(ctx):
            return progress.in_background(ctx, run)
        return self.in_app(ctx, run)

    def _answer(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Does the run for an agent, to whom FiftyOne shows results and traces alone.

        It drops what a generator returns, so that is none; and a trace is no answer.
        """
        try:
            self.check_here(ctx)
            run = self.start(self.target(ctx), filled(ctx.params))
            for _ in self.in_app(ctx, run):
                pass
        except (ValueError, TypeError, ImportError) as error:
            return {"problem": str(error)}
        return self.results(run.result, ctx.params)

    def check_here(self, ctx: foo.ExecutionContext) -> None:
        """Checks what a run needs that begins now, on this machine.

        Raises:
            ValueError: naming what is missing and what to do
        """

    def in_app(
        self, ctx: foo.ExecutionContext, run: Run
    ) -> Iterator[GeneratedMessage]:
        """Does the run while the App shows how far it is, then shows its result."""
        yield from progress.in_app(ctx, run)
        yield from self.show(ctx, run.result)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What a delegated run did."""
        return self.schema(ctx.results or {})

    def run(
        self, samples: foc.SampleCollection, params: dict[str, Any], delegate: bool
    ) -> Any:
        """Does the run from Python, or queues it for a delegated service.

        Args:
            samples: those that are meant
            params: as :meth:`start` takes them; JSON values if delegated
            delegate: whether to queue it

        Returns:
            the result, or a :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError, TypeError: naming what cannot be used, before it is queued too
        """
        refuse_empty(params)
        params = plain(params)
        run = self.start(samples, params)
        if not delegate:
            return run.finish(progress=None)
        return progress.queue(self, samples, params)
