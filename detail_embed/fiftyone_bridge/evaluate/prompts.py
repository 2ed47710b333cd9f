"""What is asked for the classes of a label field: their names, or what is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.evaluate import labels
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.fiftyone_bridge.search.prompt_scores import check_prompts
from detail_embed.texts.query import Prompt
from detail_embed.texts.read_query import read_prompt


def read_given(given: Mapping[str, str] | None) -> dict[str, Prompt]:
    """Reads the prompts that are given for some classes.

    Raises:
        TypeError, ValueError: if they are no texts by class
    """
    if not isinstance(given or {}, Mapping):
        raise TypeError(
            f"prompts={given!r:.80}: give a dict, such as {{'helmet': '#helmet'}}"
        )
    return {name: read_prompt(line) for name, line in (given or {}).items()}


def check_given(
    indexes: Iterable[Index],
    samples: foc.SampleCollection,
    field: str,
    given: Mapping[str, str] | None,
) -> None:
    """Checks that the classes are there, and the indexes know the concepts.

    Raises:
        TypeError, ValueError: naming what cannot be used
    """
    prompts = read_given(given)
    if not prompts:
        return
    classes = samples.distinct(label_path(samples, field, "label"))
    for name in prompts:
        if name not in classes:
            raise ValueError(
                f"prompts: {field!r} has no class {name!r}; choose one of {classes}"
            )
    for index in indexes:
        check_prompts(index, prompts.values())


def of_classes(
    classes: Iterable[str], given: Mapping[str, str] | None
) -> list[Prompt]:
    """What is asked for each class: its name as a person types it, if nothing else."""
    prompts = read_given(given)
    return [prompts.get(name) or Prompt(labels.prompt(name)) for name in classes]
