"""The parameters of a training, from a form or from Python, and the form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import fiftyone.core.collections as foc
from fiftyone.operators import types

from detail_embed import fusers
from detail_embed.fiftyone_bridge.compute import train_fuser
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs.run import Run
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.fusers.transformer import SIZES
from detail_embed.training import OBJECTIVES, TrainingConfig

from ..index.advanced_form import add_cover, add_vocabulary
from ..index.compute_request import Request
from ..index.model_choice import add_model
from ..index.weights_choice import add_weights
from ..shared.form import add_ways, filled

_OBJECTIVES = {
    "ranking": "keep the order of the images, word by word",
    "proxy-mse": "the paper's: keep the scores themselves",
}
_MINUTES = 30.0


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained, and how.

    Attributes:
        settings: backbone, cover and words; ``fuser`` is the kind to train
        config: of the training
        name: of the trained fuser
        minutes: time budget
        overwrite: whether to train anew where the name is taken
    """

    settings: Settings
    config: TrainingConfig
    name: str
    minutes: float
    overwrite: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainingRequest:
        """Reads an operator's parameters; what is missing or empty takes its default.

        Raises:
            ValueError: if a value cannot be read
        """
        given = filled(params)
        kind = given.get("kind", "attention")
        options = {"size": given["size"]} if kind == "transformer" and (
            "size" in given
        ) else {}
        settings = Request.from_params(
            given | {"fuser": kind, "fuser_options": options}
        ).settings
        minutes = given.get("minutes", _MINUTES)
        if not isinstance(minutes, Real):
            raise ValueError(f"minutes must be a number, not {minutes!r:.80}")
        names = {field.name for field in fields(TrainingConfig)} - {"batch_size"}
        config = TrainingConfig(
            time_budget=60 * minutes,
            **{k: v for k, v in given.items() if k in names},
        )
        return cls(
            settings, config, given.get("name", ""), minutes,
            bool(given.get("overwrite")),
        )

    def estimate(self, samples: foc.SampleCollection) -> str:
        """What it will take of disk and time."""
        images = images_of(samples)
        return train_fuser.estimate(images, self.settings, self.minutes)

    def start(self, samples: foc.SampleCollection) -> Run:
        """Checks, and returns the run; see :func:`.train_fuser.train`."""
        return train_fuser.train(
            samples, self.settings, self.name, self.config, self.overwrite
        )


def add_inputs(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> TrainingRequest:
    """Adds the inputs of the form.

    Args:
        inputs: the form
        params: what has been filled in so far
        samples: the samples to train on

    Returns:
        what is asked for, with the defaults of the form
    """
    samples = images_of(samples)
    inputs.str(
        "name",
        required=True,
        label="Name",
        description="Of the trained fuser: choose it when you compute an index",
    )
    kinds = {name: fusers.kind(name).description for name in train_fuser.KINDS}
    add_ways(inputs, "kind", "Fuser", kinds, "attention")
    if params.get("kind") == "transformer":
        add_ways(inputs, "size", "Size", dict.fromkeys(SIZES), "tiny")
    add_ways(
        inputs, "objective", "Objective", {k: _OBJECTIVES[k] for k in OBJECTIVES},
        OBJECTIVES[0],
    )
    inputs.float(
        "minutes",
        min=0.1,
        default=_MINUTES,
        label="Time budget in minutes",
        description="It stops earlier when held-out words no longer gain",
    )
    dataset, chosen = dataset_of(samples), params.get("backbone")
    backbone = add_model(inputs, dataset, chosen)
    add_weights(inputs, backbone)
    add_cover(inputs)
    add_vocabulary(inputs, samples)
    inputs.bool(
        "overwrite",
        default=False,
        label="Train anew",
        description="Replaces a fuser of that name",
    )
    return TrainingRequest.from_params({**params, "backbone": backbone})
