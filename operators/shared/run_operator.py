"""What the operators have in common that run on an index and show a result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from . import progress
from .form import resolve_form

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Run


class CuratingOperator(foo.Operator):
    """Does a run of the bridge on the images of the target view.

    A subclass says what is asked for, starts the run and tells what it did.
    """

    def add_inputs(
        self,
        inputs: types.Object,
        samples: foc.SampleCollection,
        params: Mapping[str, Any],
    ) -> None:
        """Adds the inputs of the form; may raise what cannot work."""
        raise NotImplementedError

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks the parameters, and returns the run."""
        raise NotImplementedError

    def summarise(self, result: Any) -> str:
        """Tells in Markdown what the run did."""
        raise NotImplementedError

    def show(
        self, ctx: foo.ExecutionContext, result: Any
    ) -> Iterator[GeneratedMessage]:
        """Shows the result in the App, by default as its summary."""
        results = {"summary": self.summarise(result)}
        yield ctx.ops.show_output(self._outputs(results).to_json(), results)

    def tell(
        self, ctx: foo.ExecutionContext, result: Any
    ) -> Iterator[GeneratedMessage]:
        """Tells in the App what the run did, beside what it shows."""
        summary = self.summarise(result)
        yield ctx.ops.set_progress(label=summary, progress=1)
        yield ctx.ops.notify(summary, variant="success")

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever cannot work is said in it."""
        def fill(inputs: types.Object, samples: foc.SampleCollection) -> None:
            self.add_inputs(inputs, samples, ctx.params)

        return resolve_form(ctx, self.config.label, fill)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Runs in steps in the App, or to the end where it was delegated."""
        run = self.start(ctx.target_view(), ctx.params)
        if ctx.delegated:
            return {"summary": self.summarise(progress.delegated(ctx, run))}
        return self._in_app(ctx, run)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What a delegated run did."""
        return self._outputs(ctx.results)

    def run(
        self, samples: foc.SampleCollection, params: dict[str, Any], delegate: bool
    ) -> Any:
        """Does the run, or queues it for a delegated service, from Python."""
        run = self.start(samples, params)
        if not delegate:
            return run.finish(progress=True)
        return progress.queue(self, samples, params)

    def _in_app(
        self, ctx: foo.ExecutionContext, run: Run
    ) -> Iterator[GeneratedMessage]:
        yield from progress.in_app(ctx, run)
        yield from self.show(ctx, run.result)

    def _outputs(self, results: Mapping[str, Any] | None) -> types.Property:
        outputs = types.Object()
        if results:
            outputs.str("summary", view=types.MarkdownView())
        return types.Property(outputs, view=types.View(label=self.config.label))


def config(
    name: str, label: str, description: str, risk_level: types.RiskLevel
) -> foo.OperatorConfig:
    """Name, label and ways to run of a curating operator."""
    return foo.OperatorConfig(
        name=name,
        label=label,
        description=description,
        icon="/assets/icon.svg",
        dynamic=True,
        execute_as_generator=True,
        allow_immediate_execution=True,
        allow_delegated_execution=True,
        disable_schema_validation=True,  # Python's types; the form checks all
        risk_level=risk_level,
    )


def add_brain_key(
    inputs: types.Object, keys: Sequence[str], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Adds the choice of an index.

    Returns:
        the parameters, with the index that is meant if none was chosen yet

    Raises:
        ValueError: if there is none
    """
    if not keys:
        raise ValueError(
            "No index of this data set can be used: use 'Compute detail embeddings'"
        )
    view = types.DropdownView()
    for key in keys:
        view.add_choice(key, label=key)
    inputs.enum(
        "brain_key", keys, required=True, default=keys[0], label="Brain key", view=view
    )
    return {**params, "brain_key": params.get("brain_key") or keys[0]}


def given(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named parameters that have a value; others take their default."""
    return {
        name: params[name] for name in names if params.get(name) not in (None, "")
    }


def without(count: int) -> str:
    """Tells of images that have no vector; nothing where all have."""
    return f" Left out, without a vector: {count}." if count else ""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")
