"""A run of the bridge, shown where it was started."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators.message import GeneratedMessage

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Progress, Result, Run

logger = logging.getLogger(__name__)


def in_app(ctx: foo.ExecutionContext, run: Run) -> Iterator[GeneratedMessage]:
    """Does the run while the App shows how far it is."""
    try:
        for progress in _to_the_end(ctx, run):
            yield ctx.ops.set_progress(label=progress.text, progress=progress.fraction)
    except Exception as error:
        yield ctx.ops.notify(str(error), variant="error")
        raise


def is_for_panel(ctx: foo.ExecutionContext) -> bool:
    """Whether our panel started this, which shows itself how far runs are."""
    return bool(ctx.params.get("in_panel")) and not ctx.delegated


def in_background(
    ctx: foo.ExecutionContext, run: Run
) -> Iterator[GeneratedMessage]:
    """Does the run beside the server's other work.

    It goes on when the browser is closed; the panel lists it, and can stop it.
    """
    steps = _tracked(ctx, run)
    threading.Thread(target=_finish, args=(steps,), daemon=True).start()
    yield ctx.ops.notify("It is running: the panel shows how far it is")


def delegated(ctx: foo.ExecutionContext, run: Run) -> Result:
    """Does the run while the runs page shows how far it is."""
    for progress in _to_the_end(ctx, run):
        ctx.set_progress(progress=progress.fraction, label=progress.text)
    return run.result


def _to_the_end(ctx: foo.ExecutionContext, run: Run) -> Iterator[Progress]:
    yield from _tracked(ctx, run)
    if run.result is None:
        raise RuntimeError("The run was stopped in the panel: start it again if needed")


def _tracked(ctx: foo.ExecutionContext, run: Run) -> Iterator[Progress]:
    from detail_embed.fiftyone_bridge.runs.board import RunBoard

    name = ctx.operator_uri.rpartition("/")[2]
    label = name.replace("_", " ").capitalize()
    return RunBoard(ctx.dataset).track(label, run)


def _finish(steps: Iterator[Progress]) -> None:
    try:
        for _ in steps:
            pass
    except Exception:  # the panel shows what was noted of it
        logger.exception("a run in the background failed")


def queue(
    operator: foo.Operator, samples: foc.SampleCollection, params: dict[str, Any]
) -> foo.ExecutionResult:
    """Queues an operator for a delegated service, from Python."""
    return foo.execute_operator(
        operator.uri,
        ctx={"view": samples.view()},
        params=params,
        request_delegation=True,
    )
