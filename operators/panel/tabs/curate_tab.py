"""The tab that does something with what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from .. import pictures, widgets
from ..base import PanelBase
from ..messages import guarded, say
from ..state import search_state
from . import mistaken_part, search_output

_REPORT = {
    "prompt": "Prompt",
    "count": "Images",
    "best": "Best z\N{NON-BREAKING HYPHEN}score",
}
_PICTURES = 12  # of the rarest prompts
_LETTERS = 14  # of a prompt, on its picture


class CurateTab(PanelBase):
    """Each button opens the form of an operator, with what is known filled in."""

    def render_curate(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        """Draws the tab."""
        part = widgets.column(panel, "curate")
        self.render_runs(ctx, part)  # in sight, however long the tab is
        found = search_output.found(ctx)
        query = search_state.read(ctx).text or "an example"
        text = f"The search for **{query}**" if found else "No search is shown"
        self._draw_group(
            part, "hits", f"**What was found**\n\n{text}.",
            {
                "Save as a view": self.on_save_view,
                "Tag or untag hits": self.on_tag,
            },
        )
        self._draw_group(
            part, "labels", "**By a list of prompts**\n\nWhat do the images show, and "
            "what is rare among them?",
            {
                "Classify": self.on_classify,
                "Long-tail report": self.on_long_tail,
            },
        )
        if report := ctx.panel.get_state("long_tail"):
            widgets.note(
                part, "scale",
                "Rarest first: click to see. z-scores are of all images of the index.",
            )
            strip = pictures.strip(part, "pictures")
            for number, row in enumerate(report["rows"][:_PICTURES]):
                pictures.picture(
                    strip, f"p{number}", row["prompt"], self.on_report_row,
                    {"row": number},
                )
            widgets.table(part, "report", _REPORT, on_click_row=self.on_report_row)
        self._draw_group(
            part, "vectors", "**By the vectors alone**\n\nWhat is alike, and what is "
            "like nothing else?",
            {
                "Near duplicates": self.on_duplicates,
                "Outliers": self.on_outliers,
                "Map": self.on_map,
                "Select a diverse subset": self.on_diverse,
            },
        )
        self.render_duplicates(ctx, part)
        self._draw_group(
            part, "judged", "**By labels**\n\nWhich are wrong, and what can be learned "
            "from them?",
            {"Mistaken labels": self.on_mistaken},
        )
        if hits := ctx.panel.get_state("mistaken"):
            widgets.note(
                part, "worst", "Labels that fit worst, and the class that fits better: "
                "click to see.",
            )
            widgets.close_ups(part, hits, self.on_mistaken_open)
            line = widgets.row(part, "mistaken")
            widgets.button(line, "show", "Show them", self.on_mistaken_show)
        self.render_classifiers(ctx, part)

    def refresh_curate(self, ctx: foo.ExecutionContext) -> None:
        """Reads the newest long-tail report, near duplicates and classifiers."""
        from detail_embed.fiftyone_bridge.curate import judge_labels, long_tail

        self.refresh_duplicates(ctx)
        self.refresh_classifiers(ctx)
        report = long_tail.read(ctx.dataset)
        hits = mistaken_part.hits(ctx.dataset, judge_labels.read(ctx.dataset))
        search_state.change(ctx, {"long_tail": report, "mistaken": hits})
        if report:
            ctx.panel.set_data(_pictures(ctx.dataset, report["rows"][:_PICTURES]))
            rows = [
                {
                    "prompt": row["prompt"],
                    "count": f"{row['count']:,}",
                    "best": f"{row['best_z']:.1f}",
                }
                for row in report["rows"]
            ]
            ctx.panel.set_data("curate.report", rows)

    @guarded
    def on_tag(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that tags the hits."""
        asked = search_state.read(ctx)
        self._ask_with_index(
            ctx, "tag_hits", query=asked.text or None, threshold=asked.threshold
        )

    @guarded
    def on_classify(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that labels images by prompts."""
        threshold = search_state.read(ctx).threshold
        self._ask_with_index(ctx, "classify_by_prompts", threshold=threshold)

    @guarded
    def on_long_tail(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of the long-tail report."""
        threshold = search_state.read(ctx).threshold
        self._ask_with_index(ctx, "report_long_tail", threshold=threshold)

    @guarded
    def on_report_row(self, ctx: foo.ExecutionContext) -> None:
        """Shows the images of a prompt of the report, or those that come nearest."""
        report = ctx.panel.get_state("long_tail")
        row = widgets.clicked(ctx, ctx.panel.get_state("long_tail.rows"))
        search_state.write(
            ctx,
            prompts=search_state.of_list([row["prompt"]]),
            brain_key=report["brain_key"],
            within="dataset",
            threshold=report["threshold"] if row["count"] else search_state.OFF,
            example=None,
        )
        self.search(ctx)
        if not row["count"]:
            say(
                ctx,
                f"No image is at {report['threshold']:g} standard deviations or above: "
                "the grid shows what comes nearest",
            )

    @guarded
    def on_duplicates(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that finds near duplicates."""
        self._ask_with_index(ctx, "find_near_duplicates")

    @guarded
    def on_outliers(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that finds outliers."""
        self._ask_with_index(ctx, "find_outliers")

    @guarded
    def on_map(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that lays the vectors out on a map."""
        self._ask_with_index(ctx, "map_embeddings")

    @guarded
    def on_diverse(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that selects a diverse subset."""
        self._ask_with_index(ctx, "select_diverse_subset")

    @guarded
    def on_mistaken(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that finds mistaken labels, by boxes where there are some."""
        chosen = search_state.read(ctx).brain_key
        key = mistaken_part.index_of_boxes(ctx.dataset, chosen)
        given = {} if key is None else {"brain_key": key}
        widgets.ask(ctx, "find_mistaken_labels", self.on_look, **given)

    @guarded
    def on_mistaken_show(self, ctx: foo.ExecutionContext) -> None:
        """Shows the labels that fit worst."""
        mistaken_part.show(ctx)

    @guarded
    def on_mistaken_open(self, ctx: foo.ExecutionContext) -> None:
        """Opens the image of a label that fits badly."""
        mistaken_part.open_image(ctx, ctx.params["id"])

    def _ask_with_index(
        self, ctx: foo.ExecutionContext, operator: str, **values: object
    ) -> None:
        values["brain_key"] = search_state.read(ctx).brain_key
        given = {name: value for name, value in values.items() if value is not None}
        widgets.ask(ctx, operator, self.on_look, **given)

    def _draw_group(
        self, part: types.Object, name: str, text: str, buttons: dict
    ) -> None:
        widgets.note(part, f"{name}_text", text)
        line = widgets.row(part, name)
        for number, (label, event) in enumerate(buttons.items()):
            widgets.button(line, f"b{number}", label, event)


def _pictures(dataset: fo.Dataset, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The image that fits each prompt best, with the place, as panel data."""
    from detail_embed.fiftyone_bridge.samples.images import paths_of

    from .. import thumbnails

    ids = [row["best_id"] for row in rows]
    paths = paths_of(dataset, ids)
    drawn = thumbnails.draw(
        [paths.get(id, "") for id in ids],
        [_short(row["prompt"]) for row in rows],
        boxes=[[row["best_box"]] if row.get("best_box") else [] for row in rows],
    )
    return {f"curate.pictures.p{place}": url for place, url in enumerate(drawn)}


def _short(prompt: str) -> str:
    return prompt if len(prompt) <= _LETTERS else f"{prompt[:_LETTERS - 1]}…"
