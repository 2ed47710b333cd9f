"""What the server knows of each open panel, beside the state that the browser keeps.

Every change of a panel's state makes the App store its layout and read its page of
images anew: what need not survive the server is kept here. Browsers of one server share
their panels, as they share the view.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import fiftyone.operators as foo

_MOST = 1000  # panels
_lock = threading.Lock()
_panels: OrderedDict[str, dict[str, Any]] = OrderedDict()


def of(ctx: foo.ExecutionContext) -> dict[str, Any]:
    """What is known of the panel of an event; new panels forget the oldest."""
    with _lock:
        known = _panels.setdefault(ctx.panel_id, {})
        _panels.move_to_end(ctx.panel_id)
        if len(_panels) > _MOST:
            _panels.popitem(last=False)
        return known
