"""What ``assets/panel.js`` adds to the App, from the server's side."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators.message import GeneratedMessage

DRAW_IN_IMAGE = "@detail/detail-embed/draw_in_image"  # ``fields``, ``id`` to read
TAKE_DEFAULTS = "@detail/detail-embed/take_defaults"  # ``colors``, ``group``

_OF_APP = ("extended", "filters", "prompt_id", "selected_samples")


def is_app(ctx: foo.ExecutionContext) -> bool:
    """Whether the App asks, which draws messages; others want an answer.

    What it sends with each call is more than what ``foo.execute_operator()``, and so
    FiftyOne's MCP server, knows.
    """
    return any(name in ctx.request_params for name in _OF_APP)


def take_defaults(ctx: foo.ExecutionContext) -> GeneratedMessage:
    """Makes an open page take colours and a group that were made since it was loaded.

    The App reads them when it opens a dataset, and not when it is told to reload it.
    """
    from detail_embed.fiftyone_bridge.samples.app_defaults import GROUP, MATCH

    config = ctx.dataset.app_config
    known = config.color_scheme.fields if config.color_scheme else None
    colors = [color for color in known or [] if color["path"] == MATCH]
    groups = config.sidebar_groups or []
    paths = [path for group in groups if group.name == GROUP for path in group.paths]
    group = {"name": GROUP, "paths": paths}
    return ctx.trigger(TAKE_DEFAULTS, {"colors": colors, "group": group})
