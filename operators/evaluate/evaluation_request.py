"""The form and the parameters of an evaluation, from the App or from Python."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone.core.collections as foc
from fiftyone.operators import types

from detail_embed.evaluation import Evaluation
from detail_embed.fiftyone_bridge.evaluate import evaluate_retrieval, labels, runs
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import BOXES, SINGLE, WHOLE, Index
from detail_embed.fiftyone_bridge.runs.run import Run
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

from ..shared.form import choices, filled, folder

_COMPARED = 4  # indexes that the form proposes
_ORDER = (WHOLE, "", SINGLE, BOXES)  # of indexes: others are compared with the first


@dataclass(frozen=True)
class EvaluationRequest:
    """What is to be measured, and where the result shall go.

    Attributes:
        brain_keys: the indexes
        label_field: the field whose classes are looked for
        name: key of the custom run, None for one that is free
        ks: depths of recall, None for a choice by the number of images
        export_dir: a folder for files, None for no files
        download: whether the browser shall download the tables
        prompts: what is asked for some classes instead of their names
    """

    brain_keys: Sequence[str]
    label_field: str
    name: str | None = None
    ks: Sequence[int] | None = None
    export_dir: str | None = None
    download: bool = False
    prompts: Mapping[str, str] | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> EvaluationRequest:
        """Reads an operator's parameters; what is missing or empty takes its default.

        Raises:
            ValueError: if a value cannot be read, or the field is not given
        """
        given = filled(params)
        if "label_field" not in given:
            raise ValueError("choose the label field whose classes shall be found")
        return cls(
            brain_keys=given.get("brain_keys", ()),
            label_field=given["label_field"],
            name=given.get("name"),
            ks=_read_depths(given["ks"]) if "ks" in given else None,
            export_dir=folder(given.get("export_dir")),
            download=given.get("download", False),
            prompts=_read_prompts(given.get("prompts")),
        )

    def start(self, samples: foc.SampleCollection) -> Run:
        """Checks, and returns the run; see :func:`evaluate_retrieval.evaluate`."""
        if self.export_dir and Path(self.export_dir).expanduser().is_file():
            raise ValueError(f"{self.export_dir} is a file; choose a folder")
        return evaluate_retrieval.evaluate(
            samples, self.brain_keys, self.label_field, self.name, self.ks,
            prompts=self.prompts,
        )

    def export(self, measured: Evaluation) -> list[str]:
        """Writes the files that were asked for; returns their paths."""
        if not self.export_dir:
            return []
        files = measured.export(self.export_dir, measured.facts["name"])
        return [str(path) for path in files]


def add_inputs(inputs: types.Object, samples: foc.SampleCollection) -> None:
    """Adds the inputs of the form."""
    samples = images_of(samples)
    dataset = dataset_of(samples)
    parts = {
        key: Index(dataset, key).find()[1] for key in brain_runs.promptable(dataset)
    }
    brain_keys = sorted(parts, key=lambda key: _ORDER.index(parts[key]))
    fields = labels.label_fields(samples)
    if not brain_keys:
        raise ValueError(
            "No index of this dataset can be searched by text: use 'Compute detail "
            "embeddings'"
        )
    if not fields:
        raise ValueError("This dataset has no field of Detections or Classifications")
    inputs.list(
        "brain_keys",
        types.String(),
        required=True,
        default=[k for k in brain_keys if parts[k] in (WHOLE, "")][:_COMPARED],
        label="Indexes",
        description="Indexes to compare: those that can be searched by text",
        view=choices(types.DropdownView(multiple=True), brain_keys),
    )
    inputs.str(
        "label_field",
        required=True,
        default=fields[0] if len(fields) == 1 else None,
        label="Label field",
        description="Every class of it is typed; right are the images that have it",
        view=choices(types.DropdownView(), fields),
    )
    inputs.str(
        "prompts",
        label="Other prompts for some classes",
        description="One a line, such as: helmet: #helmet",
        view=types.TextFieldView(multiline=True),
    )
    inputs.str(
        "name",
        default=runs.free_name(dataset),
        label="Name",
        description="Of the custom run that keeps the result in the dataset",
    )
    depths = [k for k in evaluate_retrieval.KS if k <= len(samples)]
    inputs.str(
        "ks",
        default=", ".join(map(str, depths)) or None,
        label="Depths of recall",
        description="Numbers of images, separated by commas",
    )
    inputs.str(
        "export_dir",
        label="Folder for CSV files",
        description="On the machine that runs FiftyOne. Empty: none",
    )
    inputs.bool("download", default=False, label="Download the tables as CSV")


def _read_depths(value: str | Sequence[int]) -> list[int]:
    if not isinstance(value, str):
        return list(value)
    try:
        return [int(part) for part in re.split(r"[,\s]+", value.strip(" ,"))]
    except ValueError:
        raise ValueError(
            f"depths must be whole numbers separated by commas, not {value!r}"
        ) from None


def _read_prompts(value: str | Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Prompts by class, from the lines of the form too."""
    if not isinstance(value, str):
        return value
    lines = [line.rpartition(":") for line in value.splitlines() if line.strip()]
    for name, _, prompt in lines:
        if not name.strip() or not prompt.strip():
            raise ValueError(
                f"prompts: {name + prompt!r:.80} is no class with a prompt: give lines "
                "such as helmet: #helmet"
            )
    return {name.strip(): prompt.strip() for name, _, prompt in lines}
