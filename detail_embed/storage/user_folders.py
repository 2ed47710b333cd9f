"""Where detail-embed keeps what a user made: patch features and trained fusers."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

DATA_VARIABLE = "DETAIL_EMBED_DATA"


def data_directory() -> Path:
    """``$DETAIL_EMBED_DATA``, or the user's data directory; it need not exist."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen or platformdirs.user_data_dir("detail-embed", appauthor=False))


CACHE_VARIABLE = "DETAIL_EMBED_CACHE"


def cache_directory() -> Path:
    """Where encoded texts are kept: ``$DETAIL_EMBED_CACHE``, or the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen or platformdirs.user_cache_dir("detail-embed", appauthor=False))
