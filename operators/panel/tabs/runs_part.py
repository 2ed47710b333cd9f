"""The runs that go on, with their progress, as the browser polls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone.operators as foo
from fiftyone.operators import types

from ...shared.app import take_defaults
from .. import widgets
from ..base import PanelBase
from ..messages import guarded, say

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.board import Note

_POLL, _IDLE_POLL = 1000, 5000  # milliseconds
_NOTES = "detail_search_runs"
_NEWS = ("failed", "silent")
_STOPPING = "Stops after this step"


class RunsPart(PanelBase):
    """Progress bars, and the curve of a training."""

    def render_runs(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the runs that go on, and polls for as long as there are some."""
        notes, running = _notes(ctx), _running(ctx)
        for number, note in enumerate(running):
            widgets.note(part, f"run{number}", f"**{note.label}** · {note.text}")
            bar = types.ProgressView()
            part.float(f"bar{number}", default=note.fraction, view=bar)
            if len(note.history) > 1:
                widgets.curve(part, f"live{number}", _is_tuning(note))
            buttons = widgets.row(part, f"stop{number}")
            widgets.button(
                buttons, "stop", _STOPPING if note.stops else "Stop", self.on_stop,
                params={"id": note.id}, disabled=note.stops,
            )
        if notes and notes[0].state in _NEWS:
            text = notes[0].text if notes[0].state == "failed" else (
                "nothing was heard of it for 5 minutes; start it again, it goes on "
                "where it was"
            )
            widgets.note(part, "news", f"**{notes[0].label}** {notes[0].state}: {text}")
        if running:
            timer = types.TimerView(interval=_POLL, on_interval=self.on_poll)
        else:
            timer = types.TimerView(
                interval=_IDLE_POLL, on_interval=self.poll_idle
            )
        part.view("timer", timer)

    def see_runs(self, ctx: foo.ExecutionContext) -> None:
        """Notes that runs are drawn, so that their end is noticed."""
        if _running(ctx) and not ctx.panel.get_state("saw_runs"):
            ctx.panel.set_state("saw_runs", True)

    def is_idle(self, ctx: foo.ExecutionContext) -> bool:
        """Whether nothing runs that the panel would have to show."""
        try:
            is_running = bool(_running(ctx))
        except Exception:  # on_poll says it
            return False
        return not is_running and not ctx.panel.get_state("saw_runs")

    @guarded
    def on_started(self, ctx: foo.ExecutionContext) -> None:
        """Draws the run that was started."""
        ctx.panel.set_state("saw_runs", True)

    @guarded
    def on_stop(self, ctx: foo.ExecutionContext) -> None:
        """Stops a run; what it has done so far stays."""
        from detail_embed.fiftyone_bridge.runs.board import RunBoard

        RunBoard(ctx.dataset).stop(ctx.params["id"])
        say(ctx, "It stops after this step; what is done so far stays")

    def poll_idle(self, ctx: foo.ExecutionContext) -> None:
        """Looks whether something runs, where nothing did."""
        self.on_poll(ctx)

    @guarded
    def on_poll(self, ctx: foo.ExecutionContext) -> None:
        """Looks how far the runs are; reads anew what they made when they end."""
        from ...adapt import tuning_output
        from ...fusers import training_output

        running = _running(ctx)
        tab = ctx.panel.get_state("tab")
        curves = {
            f"{tab}.live{number}": (
                tuning_output if _is_tuning(note) else training_output
            ).curve(note.history)
            for number, note in enumerate(running)
            if len(note.history) > 1
        }
        if curves:
            ctx.panel.set_data(curves)
        if bool(running) != bool(ctx.panel.get_state("saw_runs")):
            ctx.panel.set_state("saw_runs", bool(running))
            if not running:
                ctx.dataset.reload()
                ctx.ops.reload_dataset()
                take_defaults(ctx)
                self.refresh(ctx)


def _notes(ctx: foo.ExecutionContext) -> list[Note]:
    """The runs of the last day, read once for each event."""
    from detail_embed.fiftyone_bridge.runs.board import RunBoard

    if not hasattr(ctx, _NOTES):
        setattr(ctx, _NOTES, RunBoard(ctx.dataset).notes())
    return getattr(ctx, _NOTES)


def _is_tuning(note: Note) -> bool:
    """Whether what is trained is a backbone, by what its history tells."""
    return "nouns" in note.history[0]


def _running(ctx: foo.ExecutionContext) -> list[Note]:
    return [note for note in _notes(ctx) if note.state == "running"]
