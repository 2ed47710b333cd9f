"""The tab of evaluations: how well text search finds what the labels say."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import search_state

_WORST = 25  # classes


class EvaluateTab(PanelBase):
    """Evaluations that the dataset keeps; the worst classes can be looked at."""

    def render_evaluate(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        """Draws the tab."""
        part = widgets.column(panel, "evaluate")
        names = ctx.panel.get_state("evaluations") or []
        if names:
            widgets.dropdown(
                part, "name", {name: name for name in names}, "Evaluation",
                self.on_evaluation,
            )
        else:
            widgets.note(
                part, "intro",
                "Every class of a label field is typed as a prompt; right are the "
                "images that have it. Nothing was measured on this dataset yet.",
            )
        buttons = widgets.row(part, "buttons")
        widgets.button(
            buttons, "run", "Evaluate", self.on_evaluate, primary=True
        )
        self.render_runs(ctx, part)
        shown = ctx.panel.get_state("measured")
        if shown:
            self._draw_evaluation(part, shown)

    def refresh_evaluate(self, ctx: foo.ExecutionContext) -> None:
        """Reads which evaluations there are, and shows one."""
        from detail_embed.fiftyone_bridge.evaluate import runs

        names = runs.names(ctx.dataset)[::-1]
        chosen = ctx.panel.get_state("evaluate.name")
        if names and (
            chosen not in names or names != ctx.panel.get_state("evaluations")
        ):
            chosen = names[0]
        ctx.panel.set_state(
            {"evaluations": names, "evaluate.name": chosen, "measured": None}
        )
        if chosen in names:
            self._show_evaluation(ctx, chosen)

    @guarded
    def on_evaluate(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of an evaluation."""
        widgets.ask(
            ctx, "evaluate_retrieval", self.on_started, **widgets.LONG
        )

    @guarded
    def on_evaluation(self, ctx: foo.ExecutionContext) -> None:
        """Shows another evaluation."""
        self._show_evaluation(ctx, ctx.panel.get_state("evaluate.name"))

    @guarded
    def on_class(self, ctx: foo.ExecutionContext) -> None:
        """Searches for the class that was clicked, and shows what is found."""
        from detail_embed.fiftyone_bridge.evaluate.labels import prompt

        measured = ctx.panel.get_state("measured")
        name = widgets.clicked(ctx, ctx.panel.get_state("measured.classes"))
        search_state.write(
            ctx,
            prompts=search_state.quote([prompt(name)]),
            brain_key=measured["brain_keys"][-1],
            method="vectors",
            threshold=search_state.OFF,
            example=None,
        )
        self.search(ctx)

    def _show_evaluation(self, ctx: foo.ExecutionContext, name: str) -> None:
        from detail_embed.fiftyone_bridge.evaluate import runs

        from ...evaluate import evaluation_output

        evaluation = runs.load(ctx.dataset, name)
        results = evaluation_output.results(evaluation)
        rows = evaluation_output.worst(evaluation, _WORST)
        ctx.panel.set_state(
            "measured",
            {
                "summary": results["summary"],
                "table": results["table"],
                "scales": results["scales"],
                "brain_keys": list(evaluation.methods),
                "classes": [row["label"] for row in rows],
            },
        )
        ctx.panel.set_data(
            {"evaluate.plot": results["by_scale"], "evaluate.worst": rows}
        )

    def _draw_evaluation(self, part: types.Object, shown: dict) -> None:
        from ...evaluate import evaluation_output

        widgets.note(part, "summary", shown["summary"])
        widgets.note(part, "table", shown["table"])
        if shown["scales"]:
            evaluation_output.add_plot(
                part, "plot", "mAP by size", "Side of the object, % of the image",
                height="300px",
            )
        columns = {"label": "Worst classes"}
        columns |= {
            key: f"mAP, {evaluation_output.short(key)}" for key in shown["brain_keys"]
        }
        widgets.table(part, "worst", columns, on_click_row=self.on_class)
