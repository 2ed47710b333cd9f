"""The concepts of a dataset, each as a FiftyOne custom run."""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

import fiftyone as fo
import numpy as np

from detail_embed.fiftyone_bridge.concepts.concept import (
    Concept,
    check_name,
    prompt_of,
)
from detail_embed.fiftyone_bridge.samples.private_names import read_runs_again

METHOD = "detail_embed_concept"
_FLOAT = "<f4"


def names(dataset: fo.Dataset) -> list[str]:
    """The names of a dataset's concepts, sorted."""
    return sorted(read_all(dataset))


def read_all(dataset: fo.Dataset) -> dict[str, Concept]:
    """The concepts of a dataset by name; also those that another process taught."""
    read_runs_again(dataset)
    return {concept.name: concept for concept in map(
        lambda key: _read(dataset, key), dataset.list_runs(method=METHOD)
    )}


def read(dataset: fo.Dataset, name: str) -> Concept:
    """The concept of a name.

    Raises:
        ValueError: if there is none, with those there are
    """
    name, known = check_name(name), read_all(dataset)
    if name not in known:
        raise unknown(dataset, name, known)
    return known[name]


def check_free(dataset: fo.Dataset, name: str) -> str:
    """Checks that no concept has a name; returns it as it is kept.

    Raises:
        ValueError: if one has, or it is no name
    """
    name = check_name(name)
    if name in names(dataset):
        raise ValueError(
            f"the dataset {dataset.name!r} has a concept {name!r} already: choose "
            "another name, or overwrite=True"
        )
    return name


def write(dataset: fo.Dataset, concept: Concept) -> None:
    """Keeps a concept, in place of one of the same name, in one write."""
    text = base64.b64encode(concept.vector.astype(_FLOAT).tobytes()).decode()
    config = dataset.init_run(
        method=METHOD, concept=concept.facts(), vector=text
    )
    read_runs_again(dataset)
    key = _key(concept.name)
    if key in dataset.list_runs():
        dataset.update_run_config(key, config)
    else:
        dataset.register_run(key, config)


def delete(dataset: fo.Dataset, name: str) -> None:
    """Forgets a concept.

    Raises:
        ValueError: if there is none of that name
    """
    dataset.delete_run(_key(read(dataset, name).name))


def rename(dataset: fo.Dataset, name: str, new_name: str) -> Concept:
    """Gives a concept another name; prompts with the old one find it no more.

    Raises:
        ValueError: if there is none of that name, or the new one is none or taken
    """
    concept = read(dataset, name)
    renamed = replace(concept, name=check_free(dataset, new_name))
    write(dataset, renamed)
    dataset.delete_run(_key(concept.name))
    return renamed


def unknown(dataset: fo.Dataset, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that no concept has."""
    known = sorted(known)
    alike = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), alike, n=1)
    meant = f" Did you mean {prompt_of(alike[near[0]])}?" if near else ""
    there = f"There are {', '.join(map(prompt_of, known))}"
    if not known:
        there = "It has none yet: select images that show it, and teach it one"
    return ValueError(
        f"there is no concept {name!r} in the dataset {dataset.name!r}.{meant} {there}."
        f' A text that begins with # needs quotes: "#{name}"'
    )


def _read(dataset: fo.Dataset, key: str) -> Concept:
    config = dataset.get_run_info(key).config
    facts = json.loads(json.dumps(config.concept))  # not the database's dicts
    vector = np.frombuffer(base64.b64decode(config.vector), _FLOAT)
    return Concept.from_facts(facts, vector)


def _key(name: str) -> str:
    """The key of a run: an identifier, which a name need not be."""
    return f"concept_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
