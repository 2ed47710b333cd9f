"""Queries as vectors in the space of an index, without opening the index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache

import fiftyone.core.models as fom
import fiftyone.zoo as foz
import numpy as np
import torch
import torch.nn.functional as F

from detail_embed.fiftyone_bridge.concepts import resolve
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.texts import query_parts
from detail_embed.texts.prompt_hints import prompt_hints
from detail_embed.texts.query import Prompt, Query
from detail_embed.texts.read_query import read_prompt, read_query
from detail_embed.texts.templates import TEMPLATE_SETS, encode_queries

_QUERIES = 64  # kept in memory
_MODELS = 2  # of others; ours keep their backbones themselves


def encode(index: Index, query: str | Query, templates: str = "own") -> np.ndarray:
    """Encodes a query as the images of an index are encoded.

    Args:
        index: an index that can be searched by text
        query: prompts, or a line of them, see :mod:`detail_embed.texts.query`
        templates ("own"): a set of
            :func:`~detail_embed.texts.templates.template_set`. A model that is
            not ours puts its own words around a text, too; ``"own"`` leaves it at these

    Returns:
        ``(d,)`` float32, unit length

    Raises:
        ValueError: as of :func:`encode_parts`
    """
    query = read_query(query)
    parts = torch.from_numpy(encode_parts(index, query, templates))
    return query.combine(parts).numpy()


def encode_parts(
    index: Index, query: Query, templates: str = "own"
) -> np.ndarray:
    """Encodes the prompts of a query each by itself; see :func:`encode`.

    Returns:
        ``(n, d)`` float32, not to be written to; the prompts' weights do not count

    Raises:
        ValueError: if the query or the templates cannot be used, the dataset has no
            such concept, or the index's model is not on this machine; the message says
            what to do
    """
    if query.is_only_negative:
        raise ValueError(
            f"{str(query)!r:.200} says only what is not wanted: add what you are "
            "looking for, such as 'a street, -a car'"
        )
    brain_runs.check_promptable(index)
    if templates not in TEMPLATE_SETS:
        raise ValueError(
            f"templates={templates!r}: give one of {', '.join(TEMPLATE_SETS)}"
        )
    concepts = resolve.vectors(index, query.concepts)
    known = tuple((name, vector.tobytes()) for name, vector in concepts.items())
    return _encode(*_model_name(index), query, templates, known)


def encode_prompts(index: Index, prompts: Sequence[Prompt]) -> np.ndarray:
    """Encodes prompts each by itself, as FiftyOne's own search encodes texts.

    Args:
        index: an index that can be searched by text
        prompts: ``n`` texts and concepts; their weights do not count

    Returns:
        ``(n, d)`` float32, of unit length if the index is ours

    Raises:
        ValueError: as of :func:`encode`
    """
    concepts = resolve.vectors(index, [p.text for p in prompts if p.is_concept])
    texts = [prompt.text for prompt in prompts if not prompt.is_concept]
    encoded = iter(_encode_texts(model_of(index), texts) if texts else ())
    kinds = [(prompt.is_concept, prompt.text) for prompt in prompts]
    rows = [concepts[name] if known else next(encoded) for known, name in kinds]
    return np.stack(rows)


def hints(index: Index, query: str | Query, templates: str = "own") -> tuple[str, ...]:
    """What a person should know of prompts: cut off, or hardly understood.

    Args:
        index: an index that can be searched by text
        query: as of :func:`encode`
        templates ("own"): as of :func:`encode`

    Returns:
        sentences; none for a model that is not ours
    """
    return _hints(*_model_name(index), read_query(query), templates)


def hints_of(index: Index, texts: Iterable[str]) -> tuple[str, ...]:
    """What a person should know of texts that are asked each by itself; see hints."""
    prompts = tuple(read_prompt(text) for text in dict.fromkeys(texts))
    return hints(index, Query(prompts)) if prompts else ()


def is_learned(index: Index, query: str | Query) -> bool:
    """Whether a prompt means a learned word of the index, which moves it."""
    return _is_learned(*_model_name(index), read_query(query))


def model_of(index: Index) -> fom.Model:
    """Loads the model of an index.

    Raises:
        ValueError: if it is not on this machine
    """
    return load_model(*_model_name(index))


def _model_name(index: Index) -> tuple[str, str]:
    """Name and options, as JSON, of the zoo model of an index."""
    config = index.config
    options = getattr(config, "model_kwargs", None) or {}
    return config.model, json.dumps(options, sort_keys=True)


@lru_cache(_QUERIES)
def _encode(
    name: str,
    options: str,
    query: Query,
    templates: str,
    concepts: tuple[tuple[str, bytes], ...],
) -> np.ndarray:
    model = load_model(name, options) if _has_text(query) else None
    is_ours = hasattr(model, "space")
    own = ("{}",) if templates == "own" and not is_ours else templates
    encoder = model.space.backbone if is_ours else _TextEncoder(model)
    device = getattr(encoder, "device", "cpu")
    known = {
        name: torch.from_numpy(np.frombuffer(vector, np.float32).copy()).to(device)
        for name, vector in concepts
    }
    words = model.space.words if is_ours else None
    parts = query_parts.encode_parts(
        query.parts, encoder, own, known.__getitem__, words
    )
    return parts.cpu().numpy()


@lru_cache(_QUERIES)
def _is_learned(name: str, options: str, query: Query) -> bool:
    model = load_model(name, options) if _has_text(query) else None
    if not hasattr(model, "space") or model.space.words is None:
        return False
    texts = [prompt.text for prompt in query.prompts if not prompt.is_concept]
    encoded = encode_queries(model.space.backbone, texts)
    return bool(model.space.words.moves(encoded, texts).any())


@lru_cache(_QUERIES)
def _hints(name: str, options: str, query: Query, templates: str) -> tuple[str, ...]:
    model = load_model(name, options) if _has_text(query) else None
    if not hasattr(model, "space"):
        return ()
    return prompt_hints(model.space.backbone, query, templates)


@lru_cache(_MODELS)
def load_model(name: str, options: str = "{}") -> fom.Model:
    """Loads a model of FiftyOne's zoo.

    Args:
        name: of the model
        options ("{}"): its keyword arguments, as JSON

    Raises:
        ValueError: if it is not on this machine
    """
    try:
        return foz.load_zoo_model(name, **json.loads(options))
    except (ValueError, ImportError, OSError) as error:
        raise ValueError(
            f"the model {name!r} of this index cannot be loaded on this machine: "
            f"{error}. Compute the index again here, or choose another"
        ) from error


def _has_text(query: Query) -> bool:
    """Whether a model is needed: concepts are vectors already."""
    return not all(prompt.is_concept for prompt in query.prompts)


def _encode_texts(model: fom.Model, texts: list[str]) -> np.ndarray:
    if hasattr(model, "space"):  # its embed_prompts() refuses what looks like a concept
        return model.space.encode_texts(texts).cpu().numpy()
    with model:
        return np.asarray(model.embed_prompts(texts), np.float32)


class _TextEncoder:
    """A zoo model as what :meth:`Query.encode` asks for."""

    def __init__(self, model: fom.Model):
        self._model = model

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        features = torch.from_numpy(_encode_texts(self._model, texts))
        return F.normalize(features, dim=-1)
