"""Building blocks of the panel, so that all tabs look alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.output import PLOT

NO_BREAK = "\N{NO-BREAK SPACE}"
_TABLE = {  # a long name wraps anywhere, so that the buttons of its row are in sight
    "minWidth": 0,
    "& th, & td": {"px": 0.75},
    "& td:first-of-type, & th": {"overflowWrap": "anywhere", "minWidth": 68},
    "& td:first-of-type, & th:first-of-type": {"minWidth": 104, "pl": 1.5},
    "& .MuiIconButton-root": {"p": 0.25},
    "& .MuiSvgIcon-root, & .material-icons": {"fontSize": 20},
}
_FULL = {"grid": {"sx": {"gridTemplateColumns": "minmax(0, 1fr)"}}}
NARROW = {"item": {"sx": {"width": "auto"}}}  # as wide as its contents
WHOLE = {"view_target": "DATASET"}  # not the result of a search
LONG = {**WHOLE, "in_panel": True}  # the panel shows how far it is


def column(panel: types.Object, name: str, **kwargs: Any) -> types.Object:
    """Adds a part whose contents stand below each other."""
    view = {"orientation": "vertical", "gap": 1.5, "componentsProps": _FULL}
    return _stack(panel, name, view | kwargs)


def row(panel: types.Object, name: str, **kwargs: Any) -> types.Object:
    """Adds a part whose contents stand side by side, and wrap where it is narrow."""
    view = {"orientation": "2d", "gap": 1, "align_y": "center"}
    return _stack(panel, name, view | kwargs)


def fields(panel: types.Object, name: str) -> types.Object:
    """Adds a part of inputs in columns of one width, as many as there is room for."""
    props = {
        "grid": {
            "sx": {
                "display": "grid",
                "gridAutoFlow": "row",
                "gridTemplateColumns": "repeat(auto-fit, minmax(170px, 1fr))",
            }
        }
    }
    view = {"orientation": "2d", "gap": 2, "align_y": "start", "componentsProps": props}
    return _stack(panel, name, view)


def dropdown(
    panel: types.Object, name: str, choices: Mapping[str, str], label: str,
    on_change: Callable | None = None, **kwargs: Any,
) -> None:
    """Adds a list to choose from.

    Args:
        panel: where to
        name: of the value
        choices: ``{value: label}``
        label: of the list
        on_change (None): called when another is chosen
        kwargs: of the view
    """
    view = types.DropdownView(**kwargs)
    for value, text in choices.items():
        view.add_choice(value, label=text)
    panel.enum(name, list(choices), label=label, view=view, on_change=on_change)


def button(
    panel: types.Object, name: str, label: str, on_click: Callable,
    primary: bool = False, **kwargs: Any,
) -> None:
    """Adds a button; one of a tab is the primary one.

    Args:
        panel: where to
        name: of the button
        label: on it
        on_click: called when it is clicked
        primary (False): whether it is the one that a person most likely wants
        kwargs: of the view
    """
    view = types.Button(
        label=label,
        operator=on_click,
        variant="contained" if primary else "outlined",
        componentsProps=NARROW,
        **kwargs,
    )
    panel.view(name, view)


def prompt_box(
    panel: types.Object, prompts: Sequence[str], suggestions: Sequence[str],
    examples: Sequence[str], on_enter: Callable, on_take_away: Callable,
    fills_grid: bool = True,
) -> None:
    """Adds the box in which a person types; see ``assets/panel.js``.

    Args:
        panel: where to
        prompts: those of the search that is shown
        suggestions: offered while a person types
        examples: offered where nothing is asked for yet
        on_enter: called with ``text``, and ``how`` it is meant; returns whether it was
            taken
        on_take_away: called with the ``place`` of a prompt
        fills_grid (True): whether the grid shows what was found: meanwhile it is old
    """
    view = types.View(
        component="DetailPromptBox",
        composite_view=True,
        prompts=list(prompts),
        suggestions=list(suggestions),
        examples=list(examples),
        on_enter=on_enter,
        on_take_away=on_take_away,
        fills_grid=fills_grid,
    )
    panel.define_property("box", types.Object(), view=view)


def close_ups(
    panel: types.Object, hits: Sequence[Mapping[str, Any]], on_open: Callable,
    on_judge: Callable | None = None,
) -> None:
    """Adds enlarged parts of images; see ``assets/panel.js``.

    Args:
        panel: where to
        hits: ``id`` and ``filepath`` of a sample, the ``box`` that is shown, left, top,
            width and height as shares of the image, a ``score`` as text, whether it is
            ``likely``; others are dimmed; and how it was ``judged``, None for not. Of
            several things that were looked for, ``pictures``, a ``box`` and a ``text``
            each, are shown beside each other
        on_open: called with the ``id`` of the sample that was clicked
        on_judge (None): called with ``id``, ``box`` and whether it is ``good``; None
            for no thumbs
    """
    view = types.View(
        component="DetailCloseUps", composite_view=True, hits=list(hits),
        on_open=on_open, on_judge=on_judge,
    )
    panel.define_property("strip", types.Object(), view=view)


def note(panel: types.Object, name: str, text: str, **kwargs: Any) -> None:
    """Adds a text in Markdown."""
    panel.md(text, name=name, **kwargs)


def slider(
    panel: types.Object, name: str, label: str, low: float, high: float, step: float,
    on_change: Callable,
) -> None:
    """Adds a slider as wide as the panel; the App puts much room above and below."""
    view = types.SliderView(
        min=low,
        max=high,
        view_multiple_of=step,
        value_label_display="auto",
        label_position="top",
        componentsProps={"item": {"sx": {"my": -3}}},
    )
    panel.float(name, label=label, view=view, on_change=on_change)


def table(
    panel: types.Object, name: str, columns: Mapping[str, str],
    actions: Sequence[tuple[str, str, str, Callable]] = (),
    on_click_row: Callable | None = None,
) -> None:
    """Adds a table; its rows are panel data of the same name.

    Args:
        panel: where to
        name: of the value
        columns: ``{key: title}``
        actions (()): name, Material icon, tooltip and event of buttons in each row
        on_click_row (None): called when a row is clicked
    """
    view = types.TableView(
        on_click_row=on_click_row,
        max_inline_actions=len(actions),
        componentsProps={"table": {"sx": _TABLE}},
    )
    for key, title in columns.items():
        view.add_column(key, label=title)
    for action, icon, tooltip, event in actions:
        view.add_row_action(action, event, icon=icon, tooltip=tooltip)
    panel.list(name, types.Object(), view=view)


def curve(panel: types.Object, name: str, is_tuning: bool = False) -> None:
    """Adds the plot of a training; its lines are panel data of this name.

    Args:
        panel: what it is added to
        name: of the plot
        is_tuning (False): whether a backbone is fine-tuned, not a fuser trained
    """
    from ..adapt import tuning_output
    from ..fusers import training_output

    layout = (tuning_output if is_tuning else training_output).LAYOUT
    panel.plot(name, height="240px", layout=layout, config=PLOT)


def clicked(ctx: foo.ExecutionContext, entries: Sequence[str] | None) -> str:
    """The entry whose row of a table was clicked.

    Raises:
        ValueError: if the list has changed
    """
    row = ctx.params.get("row")
    if not entries or row is None or not 0 <= row < len(entries):
        raise ValueError("this list has changed meanwhile: try again")
    return entries[row]


def ask(
    ctx: foo.ExecutionContext, operator: str, on_success: Callable | None = None,
    **params: Any,
) -> None:
    """Opens the form of one of our operators with values filled in."""
    ctx.prompt(
        f"@detail/detail-embed/{operator}", params=params, on_success=on_success
    )


def _stack(panel: types.Object, name: str, view: dict[str, Any]) -> types.Object:
    part = types.Object()
    panel.define_property(name, part, view=types.GridView(**view))
    return part
