"""The part of the tab Curate about classifiers: what they confuse, to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from .. import pictures, widgets
from ..base import PanelBase
from ..messages import guarded, say
from ..state import search_state

_PAIRS = {"pair": "Taken for each other", "iou": "IoU, %", "wrong": "How often"}
_PICTURES = 12
_LETTERS = 14  # of a class, on a picture


class ClassifiersPart(PanelBase):
    """Trains and applies classifiers, and shows what one takes for what."""

    def render_classifiers(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the part."""
        from ...classifiers import classifier_output

        widgets.note(
            part, "classifiers_text",
            "Learn the classes of a label field, and see which are taken for each "
            "other.",
        )
        line = widgets.row(part, "classifiers")
        widgets.button(line, "train", "Train a classifier", self.on_train_classifier)
        names = ctx.panel.get_state("classifier_names") or []
        if not names:
            return
        widgets.button(line, "apply", "Apply a classifier", self.on_apply_classifier)
        widgets.dropdown(
            part, "classifier", {name: name for name in names}, "Classifier",
            self.on_classifier,
        )
        report = ctx.panel.get_state("classifier_report")
        if not report:
            return
        widgets.note(part, "classifier_summary", report["summary"])
        if report["has_curve"]:
            classifier_output.add_plot(part, "classifier_curve")
        if report["pairs"]:
            widgets.note(
                part, "mistakes_text",
                "Each picture says what it was taken for: click to see.",
            )
            strip = pictures.strip(part, "mistakes")
            for number, name in enumerate(report["names"]):
                pictures.picture(
                    strip, f"p{number}", name, self.on_confused,
                    {"row": report["rows"][number]},
                )
            widgets.table(part, "confused", _PAIRS, on_click_row=self.on_confused)

    def refresh_classifiers(self, ctx: foo.ExecutionContext) -> None:
        """Reads the classifiers of the dataset, and shows one."""
        from detail_embed.fiftyone_bridge.classifiers import library

        names = library.names(ctx.dataset)
        chosen = ctx.panel.get_state("curate.classifier")
        if chosen not in names:
            chosen = names[-1] if names else None
        changes = {"classifier_names": names}
        if chosen != ctx.panel.get_state("curate.classifier"):
            changes["curate.classifier"] = chosen
        search_state.change(ctx, changes)
        self._show_classifier(ctx, chosen)

    @guarded
    def on_train_classifier(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of a training."""
        key = search_state.read(ctx).brain_key
        widgets.ask(
            ctx, "train_classifier", self.on_started, brain_key=key, **widgets.LONG
        )

    @guarded
    def on_apply_classifier(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that applies the classifier that is shown."""
        key, name = search_state.read(ctx).brain_key, ctx.panel.get_state(
            "curate.classifier"
        )
        widgets.ask(ctx, "apply_classifier", self.on_look, brain_key=key, name=name)

    @guarded
    def on_classifier(self, ctx: foo.ExecutionContext) -> None:
        """Shows another classifier."""
        self._show_classifier(ctx, ctx.panel.get_state("curate.classifier"))

    @guarded
    def on_confused(self, ctx: foo.ExecutionContext) -> None:
        """Shows the images in which the two classes of a pair are confused."""
        from detail_embed.fiftyone_bridge.samples.collection import flat_images

        report = ctx.panel.get_state("classifier_report") or {}
        pair = widgets.clicked(ctx, report.get("pairs"))
        images = flat_images(ctx.dataset)
        ctx.ops.set_view(images.select(pair["ids"], ordered=True))
        ctx.ops.set_active_fields(report["fields"])
        say(ctx, f"{len(pair['ids'])} images in which {pair['text']} are confused")

    def _show_classifier(self, ctx: foo.ExecutionContext, name: str | None) -> None:
        from detail_embed.fiftyone_bridge.classifiers import library

        from ...classifiers import classifier_output

        if name is None:
            search_state.change(ctx, {"classifier_report": None})
            return
        report = library.report(ctx.dataset, name)
        rows = classifier_output.pair_rows(report)
        shown = _examples(report["confused"])
        search_state.change(
            ctx,
            {
                "classifier_report": {
                    "summary": classifier_output.summary(report),
                    "fields": [report["labels_field"], report["field"]],
                    "has_curve": bool(report["curve"]),
                    "pairs": [
                        {"text": row["pair"], "ids": one["sample_ids"]}
                        for row, one in zip(rows, report["confused"])
                    ],
                    "rows": [row for row, _ in shown],
                    "names": [_tag(example) for _, example in shown],
                }
            },
        )
        ctx.panel.set_data(
            {
                "curate.confused": rows,
                "curate.classifier_curve": classifier_output.plot(report["curve"]),
                **_crops(ctx.dataset, [example for _, example in shown]),
            }
        )


def _examples(
    confused: Sequence[Mapping[str, Any]],
) -> list[tuple[int, Mapping[str, Any]]]:
    """The first examples of each pair by turns, each with the row of its pair."""
    most = max((len(one["examples"]) for one in confused), default=0)
    turns = [
        (row, one["examples"][turn])
        for turn in range(most)
        for row, one in enumerate(confused)
        if turn < len(one["examples"])
    ]
    return sorted(turns[:_PICTURES], key=lambda turn: turn[0])


def _crops(
    dataset: fo.Dataset, examples: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """What was called what it is not, close up, as panel data."""
    from detail_embed.fiftyone_bridge.samples.images import paths_of

    from .. import thumbnails

    ids = [example["sample_id"] for example in examples]
    paths = paths_of(dataset, ids)
    drawn = thumbnails.crops(
        [paths.get(id, "") for id in ids],
        [example["box"] for example in examples],
        [_tag(example) for example in examples],
    )
    return {f"curate.mistakes.p{place}": url for place, url in enumerate(drawn)}


def _tag(example: Mapping[str, Any]) -> str:
    called = example["predicted"]
    return called if len(called) <= _LETTERS else f"{called[:_LETTERS - 1]}…"
