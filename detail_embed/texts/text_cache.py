"""Encoded vocabularies, kept on disk: no word is encoded twice by one backbone."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor
from tqdm import tqdm

from detail_embed.storage.chunk_store import ChunkStore
from detail_embed.storage.user_folders import cache_directory
from detail_embed.texts.templates import encode_queries, template_set

if TYPE_CHECKING:
    from detail_embed.backbone import Backbone

logger = logging.getLogger(__name__)

_BLOCK = 256  # words in a file, at most: what an interrupted run loses


def encode_vocabulary(
    backbone: Backbone,
    words: Sequence[str],
    templates: str | Sequence[str] = "own",
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> Tensor:
    """Encodes words, each as the mean of its templates; only what is new.

    What :func:`~detail_embed.texts.templates.encode_queries` returns, up to rounding,
    from a cache that belongs to the backbone's weights and precision and to the
    templates. Where it cannot be read or written, a warning says so and all is encoded.

    Args:
        backbone: whose text side encodes
        words: K words and phrases
        templates ("own"): the name of a set or templates of one's own, see
            :func:`~detail_embed.texts.templates.template_set`
        cache_dir (None): where the cache is; see :func:`cache_directory`
        progress (False): whether to show a progress bar

    Returns:
        ``(K, d)`` float32, unit length, in the order of the words, on the backbone's
        device

    Raises:
        TypeError: if ``words`` is not a list of strings
        ValueError: if a word is empty, or the templates are wrong
    """
    steps = encode_in_steps(backbone, words, templates, cache_dir)
    with tqdm(total=0, unit="word", disable=not progress) as bar:
        try:
            while True:
                bar.n, bar.total = next(steps)
                bar.refresh()
        except StopIteration as end:
            bar.n = bar.total
            return end.value


def encode_in_steps(
    backbone: Backbone,
    words: Sequence[str],
    templates: str | Sequence[str] = "own",
    cache_dir: str | Path | None = None,
) -> Generator[tuple[int, int], None, Tensor]:
    """Encodes words as :func:`encode_vocabulary` does, and says how far it is.

    Yields:
        how many words were encoded, and how many have to be; nothing where all are in
        the cache

    Returns:
        ``(K, d)``, see :func:`encode_vocabulary`, which names the errors, too
    """
    words = words if isinstance(words, str) else list(words)
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"words must be a list of strings, not {words!r:.80}")
    sentences = template_set(templates)
    names = [word.strip() for word in words]
    if not names:
        return torch.zeros(0, backbone.dim, device=backbone.device)
    store, rows = _open(backbone, sentences, cache_dir, set(names))
    new = [name for name in dict.fromkeys(names) if name not in rows]
    for start in range(0, len(new), _BLOCK):
        yield start, len(new)
        block = new[start : start + _BLOCK]
        features = encode_queries(backbone, block, sentences).cpu().numpy()
        rows.update(zip(block, features))
        if store is not None:
            with _warned("written"):
                store.add(block, features)
    return torch.from_numpy(np.stack([rows[n] for n in names])).to(backbone.device)


def read_cached(
    backbone: Backbone,
    words: Sequence[str],
    templates: str | Sequence[str] = "own",
    cache_dir: str | Path | None = None,
) -> Tensor | None:
    """Reads words that :func:`encode_vocabulary` has encoded before; encodes nothing.

    Returns:
        ``(K, d)`` float32, unit length, on the CPU; None if one is not in the cache
    """
    _, rows = _open(backbone, template_set(templates), cache_dir, set(words))
    if not all(word in rows for word in words):
        return None
    return torch.from_numpy(np.stack([rows[word] for word in words]))


def _open(
    backbone: Backbone,
    templates: tuple[str, ...],
    cache_dir: str | Path | None,
    wanted: set[str],
) -> tuple[ChunkStore | None, dict[str, np.ndarray]]:
    """The part of the cache that fits, and what it holds of the words."""
    space = f"{backbone.slug}-{backbone.text_precision}"
    digest = hashlib.sha256(json.dumps([space, *templates]).encode()).hexdigest()
    folder = Path(cache_dir or cache_directory()) / "texts" / digest[:24]
    with _warned("read"):
        store = ChunkStore(folder, space, kinds=("features",))
        held = store.load(wanted)
        return store, {
            name: row for name, (row,) in held.items()
            if name in wanted and row.shape == (backbone.dim,)
        }
    return None, {}


@contextmanager
def _warned(action: str):
    """Turns what is wrong with the cache into a warning: it only saves time."""
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        logger.warning("the cache of texts cannot be %s: %s", action, error)
