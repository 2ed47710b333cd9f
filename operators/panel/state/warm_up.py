"""Slow imports and the model, loaded beside the panel and not in its events."""

from __future__ import annotations

import logging
import threading
from importlib import import_module

import fiftyone as fo
import fiftyone.operators as foo
from bson import ObjectId

from detail_embed.fiftyone_bridge.samples.private_names import brain_run_id

from . import suggested

logger = logging.getLogger(__name__)

_MODULES = (
    "detail_embed.fiftyone_bridge.search.search",
    "detail_embed.fiftyone_bridge.search.history",
    "detail_embed.fiftyone_bridge.evaluate.ranking",
    "detail_embed.fiftyone_bridge.evaluate.suggestions",
    "detail_embed.fiftyone_bridge.index.records",
)
_READY = "__ready__"
_lock = threading.Lock()
_imports: threading.Thread | None = None
_runs: set[ObjectId] = set()
_error: Exception | None = None


def is_ready(ctx: foo.ExecutionContext) -> bool:
    """Whether the library was imported when the event of ``ctx`` began to ask.

    The answer stays for that event: what draws the panel must not think that what the
    event could not read yet is not there.

    Raises:
        ImportError: if it cannot be imported
    """
    if _READY not in ctx.params:
        ctx.params[_READY] = is_imported()
    return ctx.params[_READY]


def is_imported() -> bool:
    """Whether the library is imported; starts to import it where it is not.

    Raises:
        ImportError: if it cannot be imported
    """
    global _imports
    with _lock:
        if _imports is None:
            _imports = threading.Thread(target=_import, daemon=True)
            _imports.start()
    if _imports.is_alive():
        return False
    if _error is not None:
        raise ImportError(
            f"{_error}. Install what the plugin needs: fiftyone plugins requirements "
            "@detail/detail-embed --install"
        ) from _error
    return True


def load(dataset: fo.Dataset, brain_key: str | None) -> None:
    """Loads model, vectors and offers of an index beside the panel, once."""
    run = brain_run_id(dataset, brain_key)
    with _lock:
        if run is None or run in _runs:
            return
        _runs.add(run)
    threading.Thread(target=_load, args=(dataset, brain_key, run), daemon=True).start()


def is_loading(ctx: foo.ExecutionContext, brain_key: str | None) -> bool:
    """Whether an index is being loaded beside the panel."""
    is_asked_for = brain_run_id(ctx.dataset, brain_key) in _runs
    return is_asked_for and not suggested.are_known(ctx, brain_key)


def _import() -> None:
    global _error
    try:
        for module in _MODULES:
            import_module(module)
    except Exception as error:  # shown by is_imported
        logger.exception("the library cannot be imported")
        _error = error


def _load(dataset: fo.Dataset, brain_key: str, run: ObjectId) -> None:
    from detail_embed.fiftyone_bridge.index import facts, large, vectors
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.search import query_vectors
    from detail_embed.fiftyone_bridge.search.large import sample

    try:
        index = Index(dataset, brain_key)
        (sample if large.is_large(index) else vectors.load)(index)
        query_vectors.encode(index, "a photo")
        facts.facts(dataset)
        suggested.read(index)
    except Exception:  # a search will say it
        logger.info("%r was not loaded ahead", brain_key, exc_info=True)
        suggested.give_up(run)
