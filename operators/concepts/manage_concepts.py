"""The operator that lists concepts, and renames, deletes, exports or imports them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import app, problems
from ..shared.form import add_ways, filled, require_choice
from ..shared.form_operator import FormOperator
from ..shared.output import table

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.concepts.concept import Concept

_COLUMNS = ("Concept", "Text", "Up", "Down", "Backbone", "Taught")
_NONE = "This dataset has no concept yet: use 'Teach a concept', or import some."
_ACTIONS = {
    "rename": "Give it another name",
    "delete": "For good",
    "export": "Write it to a file, for other datasets",
    "import": "Take the concepts of a file",
}


class ManageConcepts(FormOperator):
    """Lists the concepts of a dataset, and renames, deletes, exports or imports one."""

    name = "manage_concepts"
    label = "Manage concepts"
    description = "List, rename, delete, export or import the concepts of a dataset"
    risk_level = types.RiskLevel.MEDIUM

    def target(self, ctx: foo.ExecutionContext) -> foc.SampleCollection:
        """The dataset, which keeps them."""
        if ctx.dataset is None:
            raise ValueError("Open a dataset first")
        return ctx.dataset

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """The table, what to do, and with which one."""
        concepts = list(self(ctx.dataset).values())
        params = filled(ctx.params)
        inputs.md(_table(concepts), name="table")
        actions = _ACTIONS if concepts else {"import": _ACTIONS["import"]}
        action = add_ways(inputs, "action", "What to do", actions, default=None)
        if app.is_app(ctx):
            require_choice(action, params.get("action"))
        chosen = params.get("action")
        if chosen and chosen != "import":
            prompts = dict.fromkeys(concept.prompt for concept in concepts)
            one = add_ways(inputs, "concept", "Concept", prompts, default=None)
            require_choice(one, params.get("concept"))
        if chosen == "rename":
            inputs.str("new_name", required=True, label="New name")
        if chosen in ("export", "import"):
            inputs.str(
                "path", required=True, label="File",
                description="On the machine that runs FiftyOne, such as "
                "~/helmet.safetensors",
            )
            inputs.bool("overwrite", default=False, label="Replace what is there")

    @problems.answered
    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Does what was chosen; returns what is there then."""
        params = filled(ctx.params)
        action, prompt = params.get("action"), params.get("concept")
        path, overwrite = params.get("path", ""), bool(params.get("overwrite"))
        if action not in (None, *_ACTIONS):
            raise ValueError(f"action={action!r}: give one of {', '.join(_ACTIONS)}")
        if action not in (None, "import") and prompt is None:
            raise ValueError(f"choose the concept to {action}")
        name = None if prompt is None else _name(prompt)
        if action == "rename":
            self(ctx.dataset, rename=name, new_name=params.get("new_name"))
        elif action == "delete":
            self(ctx.dataset, delete=name)
        elif action == "export":
            self(ctx.dataset, export=name, path=path, overwrite=overwrite)
        elif action == "import":
            self(ctx.dataset, import_from=path, overwrite=overwrite)
        if action:
            ctx.ops.notify(f"{action.capitalize()}: done", variant="success")
        concepts = list(self(ctx.dataset).values())
        if app.is_app(ctx):
            return {"concepts": _table(concepts)}
        return {"concepts": _in_words(concepts)}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The table of what is there then."""
        outputs = types.Object()
        outputs.str("concepts", view=types.MarkdownView())
        return types.Property(outputs, view=types.View(label="Concepts"))

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        delete: str | None = None,
        rename: str | None = None,
        new_name: str | None = None,
        export: str | Sequence[str] | None = None,
        path: str | Path | None = None,
        import_from: str | Path | None = None,
        overwrite: bool = False,
    ) -> dict[str, Concept]:
        """Lists the concepts of a dataset, after what is asked for was done.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            manage = foo.get_operator("@detail/detail-embed/manage_concepts")
            manage(dataset)
            manage(dataset, export="helmet", path="helmet.safetensors")
            manage(dataset, rename="helmet", new_name="hard hat")
            manage(dataset, delete="hard hat")
            manage(dataset, import_from="helmet.safetensors")

        Args:
            sample_collection: a dataset, or a view of it
            delete (None): name of a concept
            rename (None): name of a concept, with ``new_name``
            new_name (None): the name it shall have
            export (None): names of concepts that are written to ``path``
            path (None): of the file that is written
            import_from (None): path of a file whose concepts are kept
            overwrite (False): whether a file, or concepts of the same names, are
                replaced

        Returns:
            the concepts by name

        Raises:
            ValueError: if there is no such concept or file, or a name is taken
        """
        from detail_embed.fiftyone_bridge.concepts import files, kept
        from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

        dataset = dataset_of(sample_collection)
        if (rename is None) != (new_name is None):
            raise ValueError("rename and new_name belong together: give both")
        if (export is None) != (path is None):
            raise ValueError("export and path belong together: give both")
        if delete is not None:
            kept.delete(dataset, delete)
        if rename is not None:
            kept.rename(dataset, rename, new_name)
        if export is not None:
            files.export_concepts(dataset, path, export, overwrite)
        if import_from is not None:
            files.import_concepts(dataset, import_from, overwrite)
        return kept.read_all(dataset)


def _name(prompt: str) -> str:
    """The name in a prompt such as ``#"red helmet"``."""
    from detail_embed.texts.read_query import read_prompt

    return read_prompt(prompt).text


def _in_words(concepts: list[Concept]) -> str:
    """The concepts for an agent, and what it may do with them."""
    if not concepts:
        return f"{_NONE} Choose: import, as action"
    told = [
        f"{one.prompt} (text {one.text!r}, {len(one.positives)} up, "
        f"{len(one.negatives)} down, of the backbone {one.backbone})"
        for one in concepts
    ]
    return f"Concepts: {'; '.join(told)}. Choose one: {', '.join(_ACTIONS)}, as action"


def _table(concepts: list[Concept]) -> str:
    if not concepts:
        return _NONE
    rows = [
        (
            concept.prompt, concept.text or "", len(concept.positives),
            len(concept.negatives), concept.backbone, concept.created[:10],
        )
        for concept in concepts
    ]
    return table(_COLUMNS, rows)
