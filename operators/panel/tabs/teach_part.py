"""Thumbs up and down on what a search shows, and the concepts that are kept of them."""

from __future__ import annotations

from dataclasses import replace

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import queries, widgets
from ..base import PanelBase
from ..messages import guarded, say
from ..state import copies, judgements, memory, search_state
from . import search_output

_CONCEPTS, _ROWS = "concepts", "search.concepts"


class TeachPart(PanelBase):
    """Buttons above the close-ups, and a list of concepts below the searches."""

    def draw_teach(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the buttons, where there is a result to judge."""
        result = search_output.found(ctx)
        if not result or result["clips"]:  # what is judged is an image
            return
        judged = judgements.of(ctx, search_state.read(ctx))
        buttons = widgets.row(part, "teach")
        widgets.button(
            buttons, "more", "More like this", self.on_more, icon="thumb_up"
        )
        widgets.button(
            buttons, "less", "Less like this", self.on_less, icon="thumb_down"
        )
        if not judged:
            return
        widgets.button(buttons, "next", "Most uncertain next", self.on_uncertain)
        widgets.button(buttons, "keep", "Save concept", self.on_keep)
        widgets.button(buttons, "forget", "Forget", self.on_forget)
        widgets.note(
            part, "taught",
            f"Taught by **{len(judged.up)}** up and **{len(judged.down)}** down.",
        )

    def render_concepts(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the list of concepts, if there is one."""
        if not memory.of(ctx).get(_CONCEPTS):
            return
        widgets.table(
            part,
            "concepts",
            {"name": "Concepts", "taught": "Taught by", "when": ""},
            [
                ("export", "file_download", "Export", self.on_concept_export),
                ("delete", "delete", "Rename or delete", self.on_concept_delete),
            ],
            on_click_row=self.on_concept_row,
        )

    def refresh_concepts(self, ctx: foo.ExecutionContext) -> None:
        """Reads the list of concepts anew."""
        from detail_embed.fiftyone_bridge.concepts import kept

        concepts = kept.read_all(ctx.dataset)
        chosen = [concepts[name] for name in sorted(concepts)]
        memory.of(ctx)[_CONCEPTS] = [concept.prompt for concept in chosen]
        ctx.panel.set_data(
            _ROWS,
            [
                {
                    "name": concept.prompt,
                    "taught": f"{len(concept.positives)} up, "
                    f"{len(concept.negatives)} down",
                    "when": concept.created[:10],
                }
                for concept in chosen
            ],
        )

    def concepts(self, ctx: foo.ExecutionContext) -> list[str]:
        """What is typed for the concepts of the dataset, as they were last read."""
        return memory.of(ctx).get(_CONCEPTS, [])

    @guarded
    def on_more(self, ctx: foo.ExecutionContext) -> None:
        """Takes what is selected as something that shows it, and searches again."""
        self._judge_selected(ctx, good=True)

    @guarded
    def on_less(self, ctx: foo.ExecutionContext) -> None:
        """Takes what is selected as something that does not show it."""
        self._judge_selected(ctx, good=False)

    @guarded
    def on_judge(self, ctx: foo.ExecutionContext) -> None:
        """Takes a close-up as good or bad; the same thumb again takes it back."""
        id, box, good = (ctx.params.get(name) for name in ("id", "box", "good"))
        place = id, None if box is None else tuple(box)
        judged = judgements.of(ctx, search_state.read(ctx))
        places = [] if judged.images.get(id) == good else [place]
        self._judge(ctx, judged.without(id).judge(places, good))

    @guarded
    def on_uncertain(self, ctx: foo.ExecutionContext) -> None:
        """Shows the images to judge next."""
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.teach.uncertain import most_uncertain

        asked, before = search_state.read(ctx), search_output.stored(ctx, "before")
        judged = judgements.of(ctx, asked)
        samples = ctx.dataset if asked.within == "dataset" else before
        answer = most_uncertain(
            Index(ctx.dataset, asked.brain_key), samples, queries.encode(ctx, asked),
            judged.up, judged.down,
        )
        answer = replace(answer, text=asked.text or answer.text)
        view = answer.view
        ctx.ops.set_view(view)
        search_output.keep(
            ctx, asked, answer, view, before,
            f"**{len(answer.ids)}** images to judge next: it is least sure of these.",
        )

    @guarded
    def on_keep(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that keeps the concept under a name."""
        asked = search_state.read(ctx)
        judged = judgements.of(ctx, asked)
        query = queries.unjudged(ctx, asked)
        widgets.ask(
            ctx, "teach_concept", self.on_kept, for_panel=True,
            brain_key=asked.brain_key, positives=_plain(judged.up),
            negatives=_plain(judged.down), text=asked.text or None,
            vector=None if isinstance(query, str) else query.tolist(),
        )

    @guarded
    def on_kept(self, ctx: foo.ExecutionContext) -> None:
        """Lists the new concept, and says how it is used."""
        self.refresh_concepts(ctx)
        prompt = (ctx.params.get("result") or {}).get("prompt", "#name")
        say(ctx, f"Kept. Type **{prompt}** wherever you type a prompt", "success")

    @guarded
    def on_forget(self, ctx: foo.ExecutionContext) -> None:
        """Forgets what was judged, and searches as before."""
        judgements.keep(ctx, search_state.read(ctx), judgements.Judged())
        self.search(ctx)

    @guarded
    def on_concept_row(self, ctx: foo.ExecutionContext) -> None:
        """Searches for the concept of a row."""
        prompt = widgets.clicked(ctx, self.concepts(ctx))
        search_state.write(ctx, prompts=[prompt], example=None)
        self.search(ctx)

    @guarded
    def on_concept_export(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that writes the concept of a row to a file."""
        self._manage(ctx, "export")

    @guarded
    def on_concept_delete(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that renames or deletes the concept of a row."""
        self._manage(ctx, "delete")

    @guarded
    def on_managed(self, ctx: foo.ExecutionContext) -> None:
        """Reads what concepts are left."""
        copies.drop(ctx, _ROWS)
        self.refresh_concepts(ctx)

    def _manage(self, ctx: foo.ExecutionContext, action: str) -> None:
        prompt = widgets.clicked(ctx, self.concepts(ctx))
        widgets.ask(
            ctx, "manage_concepts", self.on_managed, action=action, concept=prompt
        )

    def _judge_selected(self, ctx: foo.ExecutionContext, good: bool) -> None:
        from detail_embed.fiftyone_bridge.teach import judged

        chosen = judged.selected(ctx.view, ctx.selected, ctx.selected_labels)
        if not chosen:
            raise ValueError(
                "Select images in the grid or boxes in an open image and click again, "
                "or click a thumb below a close-up"
            )
        places = [(mark.sample_id, mark.box) for mark in chosen]
        before = judgements.of(ctx, search_state.read(ctx))
        self._judge(ctx, before.judge(places, good))
        ctx.ops.clear_selected_samples()
        ctx.ops.clear_selected_labels()

    def _judge(self, ctx: foo.ExecutionContext, judged: judgements.Judged) -> None:
        search_output.require(ctx)
        asked = search_state.read(ctx)
        before = judgements.of(ctx, asked)
        judgements.keep(ctx, asked, judged)
        try:
            self.search(ctx)
        except Exception:
            judgements.keep(ctx, asked, before)
            raise


def _plain(places: tuple[judgements.Place, ...]) -> list[dict]:
    """Places as JSON."""
    return [
        {"sample_id": id, "box": None if box is None else list(box)}
        for id, box in places
    ]
