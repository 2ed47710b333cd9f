"""A run of the bridge, shown where it was started."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import fiftyone.operators as foo
from fiftyone.operators.message import GeneratedMessage
from tqdm import tqdm

from ..detail_embed.fiftyone_bridge.index import Result, Run

logger = logging.getLogger(__name__)


def in_app(ctx: foo.ExecutionContext, run: Run) -> Iterator[GeneratedMessage]:
    """Does the run while the App shows how far it is."""
    try:
        for progress in run:
            yield ctx.ops.set_progress(label=progress.text, progress=progress.fraction)
    except Exception as error:
        yield ctx.ops.notify(str(error), variant="error")
        raise


def delegated(ctx: foo.ExecutionContext, run: Run) -> Result:
    """Does the run while the runs page shows how far it is."""
    for progress in run:
        ctx.set_progress(progress=progress.fraction, label=progress.text)
    return run.result


def in_terminal(run: Run) -> Result:
    """Does the run while a progress bar shows how far it is."""
    with tqdm(total=1.0, bar_format="{percentage:3.0f}% |{bar}| {desc}") as bar:
        for progress in run:
            bar.n = progress.fraction
            bar.set_description_str(progress.text)
    return run.result


def summarise(result: Result) -> str:
    """What a run did, in one line for a person."""
    parts = [f"{result.embedded} images embedded"]
    if result.present:
        parts.append(f"{result.present} had a vector already")
    if result.failed:
        parts.append(
            f"{result.failed} could not be read (see the field {result.error_field!r})"
        )
    return f"{', '.join(parts)}. Search with brain key {result.brain_key!r}"
