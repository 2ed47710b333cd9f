"""A browser as far as a Python panel knows one: state, view, fields, messages."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import fiftyone.operators as foo
import pydash
from fiftyone.core.view import DatasetView
from fiftyone.operators.executor import Executor

PANEL = "@detail/detail-embed/detail_search"
_ADVICE = re.compile(
    r"\b(add|check|choose|click|compute|embed|evaluate|give|install|lower|make|open|"
    r"say|search|select|train|try|type|update)\b",
    re.IGNORECASE,
)
_TRACE = re.compile(r"Traceback|File \"|\w+\.py\b|line \d+|object at 0x")


class Browser:
    """Sends events of a panel, and takes over what comes back.

    Whatever happens, a message of a problem says what to do, shows no trace, and all
    that is sent is JSON.

    Attributes:
        state: of the panel
        data: of the panel, which events cannot read
        view: the stages of the view in the grid
        active: fields that are shown on the images
        output: how the panel is drawn
        requests: what the last event asked of the App, as ``(name, params)``
    """

    def __init__(self, panel: foo.Panel, dataset_name: str | None, **request: Any):
        self.panel, self.dataset_name, self.request = panel, dataset_name, request
        self.panel_id = uuid.uuid4().hex
        self.state: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.view: list[dict] = []
        self.active = ["ground_truth"]
        self.output: dict[str, Any] = {}
        self.requests: list[tuple[str, dict]] = []

    def event(self, method: str, **params: Any) -> str | None:
        """Sends an event; returns the message that is shown then, None for none."""
        request = _json(
            {
                "dataset_name": self.dataset_name,
                "view": self.view,
                "active_fields": self.active,
                "params": {
                    "panel_id": self.panel_id,
                    "panel_state": self.state,
                    "__method__": method,
                    **params,
                },
                **self.request,
            }
        )
        ctx = foo.ExecutionContext(
            request_params=request, executor=Executor(), operator_uri=PANEL
        )
        self.panel.execute(ctx)
        sent = _json([request.to_json() for request in ctx.executor._requests])
        self.requests = [(one["operator_uri"], one["params"]) for one in sent]
        for name, values in self.requests:
            self._take(name, values)
        self._check_message()
        return self.message

    def fill(self, **values: Any) -> Browser:
        """Fills in fields of the search tab."""
        paths = {
            "threshold": "threshold", "k": "options.k",
            "within": "options.within", "templates": "options.templates",
            "brain_key": "which.brain_key", "method": "which.method",
            "pool": "options.pool",
        }
        for name, value in values.items():
            _set(self.state, f"search.{paths[name]}", value)
        return self

    def compare(self, prompt: str) -> str | None:
        """Types a prompt on the tab that compares; returns the message."""
        return self.event("on_compare_enter", text=prompt, how="instead")

    def search(self, *prompts: str, **values: Any) -> str | None:
        """Types a prompt and presses Enter, then adds the others; takes all away."""
        self.fill(**values)
        message = None
        for place, prompt in enumerate(prompts):
            how = "also" if place else "instead"
            message = self.event("on_enter", text=prompt, how=how)
        while not prompts and self.prompts:
            message = self.event("on_take_away", place=0)
        return message

    @property
    def prompts(self) -> list[str]:
        """The prompts below the box."""
        return self.part("search.box")["view"]["prompts"]

    def tab(self, name: str) -> str | None:
        """Opens a tab."""
        self.state["tab"] = name
        return self.event("on_tab")

    def get(self, path: str) -> Any:
        """A value of the state."""
        return pydash.get(self.state, path)

    def shown(self, dataset: Any) -> DatasetView:
        """The view in the grid."""
        return DatasetView._build(dataset, self.view)

    def asked(self) -> tuple[str, dict] | None:
        """The operator whose form was opened, and what was filled in."""
        for name, params in self.requests:
            if name == "prompt_user_for_operation":
                return params["operator_uri"].split("/")[-1], params["params"] or {}
        return None

    def part(self, path: str) -> dict[str, Any] | None:
        """A part of what is drawn, by the names on the way to it."""
        found = self.output or {"type": {"properties": {}}}
        for name in path.split("."):
            found = found["type"]["properties"].get(name)
            if found is None:
                return None
        return found

    def names(self) -> set[str]:
        """The names of the parts that are drawn at the top."""
        return set(self.output["type"]["properties"])

    @property
    def summary(self) -> str | None:
        """What the search tab says of the search that is shown."""
        note = self.part("search.summary")
        return note["default"] if note else None

    @property
    def message(self) -> str | None:
        """The message that is shown."""
        notice = self.part("notice")
        return notice["view"]["label"] if notice else None

    @property
    def severity(self) -> str:
        """Of the message."""
        return self.part("notice")["view"]["severity"]

    def _take(self, name: str, params: dict[str, Any]) -> None:
        if name == "patch_panel_state":
            for path, value in params["state"].items():
                _set(self.state, path, value)
        elif name == "patch_panel_data":
            for path, value in params["data"].items():
                _set(self.data, path, value)
        elif name == "show_panel_output":
            self.output = params["output"]
        elif name == "set_view":
            self.view = params["view"]
        elif name == "set_active_fields":
            self.active = params["fields"]

    def _check_message(self) -> None:
        text = self.message
        if text is not None and self.severity in ("error", "warning"):
            points = text.endswith("^\n```")  # at the place that is wrong
            assert points or _ADVICE.search(text), f"does not say what to do: {text}"
            assert not _TRACE.search(text), f"shows a trace: {text}"


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    """Sets a value as the App does: what is on the way and no object becomes one."""
    *way, name = path.split(".")
    for step in way:
        if not isinstance(values.get(step), dict):
            values[step] = {}
        values = values[step]
    values[name] = value


def _json(value: Any) -> Any:
    """Sends a value through JSON, whose numbers are those of JavaScript."""
    return json.loads(json.dumps(value, allow_nan=False), parse_float=_number)


def _number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number
