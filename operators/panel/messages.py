"""What the panel tells a person, and how errors get there."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foodm
import fiftyone.operators as foo
import pymongo
from fiftyone.operators import types
from pymongo.errors import PyMongoError

logger = logging.getLogger(__name__)

_MESSAGE = "detail_search_message"
_PATIENCE = 2.0  # seconds
_NO_DATABASE = "The database does not answer: check that it runs, and try again"


def say(ctx: foo.ExecutionContext, text: str, severity: str = "info") -> None:
    """Shows a message above the tab until the next event.

    Args:
        ctx: of the panel
        text: Markdown
        severity ("info"): or ``"success"``, ``"warning"``, ``"error"``
    """
    setattr(ctx, _MESSAGE, (text, severity))


def add(ctx: foo.ExecutionContext, panel: types.Object) -> None:
    """Draws the message of this event, if there is one."""
    message = getattr(ctx, _MESSAGE, None)
    if message:
        draw(panel, *message)


def look_for_database(ctx: foo.ExecutionContext) -> None:
    """Notes where the database does not answer, without FiftyOne's wait of 30 s."""
    try:
        with pymongo.timeout(_PATIENCE):
            foodm.get_db_conn().client.admin.command("ping")
    except PyMongoError as error:
        logger.warning("the database does not answer: %s", error)
        say(ctx, _NO_DATABASE, "error")


def has_database(ctx: foo.ExecutionContext) -> bool:
    """Whether the database answered this event; each call to one that is gone waits."""
    return getattr(ctx, _MESSAGE, None) != (_NO_DATABASE, "error")


def draw(panel: types.Object, text: str, severity: str) -> None:
    """Draws a message."""
    panel.view("notice", types.AlertView(label=text, severity=severity))


def guarded(event: Callable[..., Any]) -> Callable[..., Any]:
    """Makes what goes wrong in an event a message; traces go to the log."""

    @functools.wraps(event)
    def run(panel: foo.Panel, ctx: foo.ExecutionContext) -> Any:
        try:
            return event(panel, ctx)
        except (ValueError, TypeError, ImportError) as error:
            logger.info("%s: %s", event.__name__, error)
            say(ctx, explain(error), "error")
        except Exception as error:
            logger.exception("%s failed", event.__name__)
            say(ctx, explain(error), "error")

    return run


def explain(error: Exception) -> str:
    """Says in Markdown what went wrong and what to do."""
    if isinstance(error, PyMongoError):
        return _NO_DATABASE
    if isinstance(error, fo.DatasetNotFoundError):
        return f"{error}: it was deleted or renamed. Open another dataset"
    if hasattr(error, "position"):  # points at a place: keep its columns
        reason, _, place = str(error).partition("\n")
        return f"{reason}\n\n```\n{place}\n```"
    if isinstance(error, (ValueError, TypeError, ImportError)):
        return str(error)
    return f"That did not work: {error}. Try again; the log says more"
