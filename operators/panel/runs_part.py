"""The runs that go on, with their progress, as the browser polls it."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators import types

from . import widgets
from .messages import guarded

_POLL = 2000  # milliseconds
_NEWS = ("failed", "silent")


class RunsPart:
    """Progress bars, and the curve of a training."""

    def render_runs(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the runs that go on, and polls for as long as there are some."""
        from ...detail_embed.fiftyone_bridge.run_board import RunBoard

        notes = RunBoard(ctx.dataset).notes()
        running = [note for note in notes if note.state == "running"]
        for number, note in enumerate(running):
            widgets.note(part, f"run{number}", f"**{note.label}** · {note.text}")
            bar = types.ProgressView()
            part.float(f"bar{number}", default=note.fraction, view=bar)
            if len(note.history) > 1:
                widgets.curve(part, f"live{number}")
        if notes and notes[0].state in _NEWS:
            text = notes[0].text if notes[0].state == "failed" else (
                "nothing was heard of it for 5 minutes; start it again, it goes on "
                "where it was"
            )
            widgets.note(part, "news", f"**{notes[0].label}** {notes[0].state}: {text}")
        if running:
            timer = types.TimerView(interval=_POLL, on_interval=self.on_poll)
            part.view("timer", timer)
        elif ctx.panel.get_state("saw_runs"):
            timer = types.TimerView(timeout=1, on_timeout=self.on_runs_ended)
            part.view("timer", timer)

    @guarded
    def on_poll(self, ctx: foo.ExecutionContext) -> None:
        """Looks how far the runs are."""
        from ...detail_embed.fiftyone_bridge.run_board import RunBoard
        from ..training_output import curve

        if not ctx.panel.get_state("saw_runs"):
            ctx.panel.set_state("saw_runs", True)
        tab = ctx.panel.get_state("tab")
        curves = {
            f"{tab}.live{number}": curve(note.history)
            for number, note in enumerate(RunBoard(ctx.dataset).running())
            if len(note.history) > 1
        }
        if curves:
            ctx.panel.set_data(curves)

    @guarded
    def on_runs_ended(self, ctx: foo.ExecutionContext) -> None:
        """Reads anew what the runs may have made."""
        ctx.panel.set_state("saw_runs", False)
        ctx.dataset.reload()
        self.refresh(ctx)

