"""What the panel shows where there is nothing to search yet."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import indexes, messages, widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import search_state, warm_up
from . import search_output, video_output

_POLL = 1000  # milliseconds
_INTRO = {  # whether the dataset is of videos
    False: "**Find small things in big pictures**\n\nEvery image is cut into patches "
    "of many sizes, and what they show becomes one vector that text finds. This "
    "dataset has {n:,} images and no index yet.",
    True: "**Find what appears in videos, and when**\n\nSome frames a second are made "
    "and cut into patches, and what they show becomes vectors that text finds. This "
    "dataset has {n:,} videos and no index yet.",
}


class StartPage(PanelBase):
    """Says why there is nothing to search, and what to do."""

    def draw_start(self, ctx: foo.ExecutionContext, panel: types.Object) -> bool:
        """Draws the page where it is needed; returns whether it did."""
        if ctx.dataset is None:
            messages.draw(panel, "Open a dataset first", "info")
            return True
        if not warm_up.is_ready(ctx):
            widgets.note(panel, "loading", "Loading what searches: some seconds, once")
            timer = types.TimerView(interval=_POLL, on_interval=self.on_look)
            panel.view("timer", timer)
            return True
        problem = _problem(ctx)
        if problem:
            messages.draw(panel, problem, "info")
            return True
        if indexes.choices(ctx.dataset) and search_state.read(ctx).brain_key:
            return False  # a new index is chosen when the run that makes it has ended
        messages.add(ctx, panel)
        are_videos = video_output.are_videos(ctx.dataset)
        widgets.note(panel, "intro", _INTRO[are_videos].format(n=len(ctx.dataset)))
        is_stale = search_output.found(ctx) is not None
        if is_stale:
            widgets.note(
                panel, "stale",
                "The images shown are what a search found, with an index that was "
                "deleted since. **Clear** shows what was shown before.",
            )
        buttons = widgets.row(panel, "start")
        label = "Index the videos" if are_videos else "Compute an index"
        widgets.button(buttons, "compute", label, self.on_compute, primary=True)
        if is_stale:
            widgets.button(buttons, "clear", "Clear", self.on_clear)
        widgets.button(buttons, "look", "Look again", self.on_look)
        self.render_runs(ctx, panel)
        return True

    @guarded
    def on_compute(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that computes an index."""
        are_videos = video_output.are_videos(ctx.dataset)
        operator = "index_videos" if are_videos else "compute_detail_embeddings"
        widgets.ask(ctx, operator, self.on_started, **widgets.LONG)

    @guarded
    def on_look(self, ctx: foo.ExecutionContext) -> None:
        """Reads what the dataset has now."""
        if warm_up.is_ready(ctx):
            ctx.dataset.reload()
            self.refresh(ctx)


def _problem(ctx: foo.ExecutionContext) -> str:
    """Why nothing can be indexed; empty where something can."""
    from detail_embed.fiftyone_bridge.samples.images import check_dataset
    from detail_embed.fiftyone_bridge.video import ffmpeg, plan_frames

    try:
        if not video_output.are_videos(ctx.dataset):
            check_dataset(ctx.dataset)
        elif not indexes.choices(ctx.dataset):
            plan_frames.videos_of(ctx.dataset)
            ffmpeg.check_ffmpeg()
    except ValueError as error:
        return f"Nothing can be searched here: {error}"
    return ""
