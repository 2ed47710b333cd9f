"""Fine-tuning of a model, as a part of the form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_ways, choices, filled, given, require_choice
from ..shared.output import PLOT
from . import tuning_output
from .method import Method

if TYPE_CHECKING:
    from detail_embed.adapt.models import AdaptedFacts
    from detail_embed.fiftyone_bridge.adapt.tune import TuningRequest
    from detail_embed.fiftyone_bridge.runs.run import Run

MINUTES = 30.0
NAME = "adapted"
_TRAINED = {
    "full": "all weights of both towers, the first blocks slowest",
    "heads": "the projections and the last two blocks of both towers",
    "lora": "small changes of low rank to queries, keys and values",
}


class FineTune(Method):
    """Another model is made of this one; indexes are computed anew with it."""

    description = (
        "Takes minutes to hours, best with a GPU: makes another model, which knows "
        "your images and words; indexes are computed anew with it"
    )

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """The field, the model, and what the training may take."""
        from detail_embed.fiftyone_bridge.adapt import tune, tuning_sources
        from detail_embed.fiftyone_bridge.classifiers.targets import has_boxes
        from detail_embed.fiftyone_bridge.evaluate.labels import label_fields

        from ..index.model_choice import add_model
        from ..index.weights_choice import add_weights

        params = filled(ctx.params)
        known = tuning_sources.fields_of(samples)
        if not known:
            raise ValueError(
                "This dataset has no field of labels or captions to learn from: label "
                "some images, or write captions into a field of texts"
            )
        first = known[0] if len(known) == 1 else None
        choice = inputs.enum(
            "field", known, default=first, required=True, label="Learn from",
            description="A field of labels, best with boxes, or of captions",
            view=choices(types.DropdownView(), known),
        )
        field = params.get("field") or first
        require_choice(choice, field)
        if field in label_fields(ctx.dataset) and has_boxes(samples, field):
            inputs.bool(
                "use_boxes", default=True, label="Use the boxes",
                description="They say what in an image is meant, so more is learned",
            )
        inputs.str(
            "name", default=NAME, required=True, label="Name",
            description="Of the new model: choose it when you compute an index",
        )
        backbone = add_model(inputs, ctx.dataset, params.get("backbone"))
        add_weights(inputs, backbone)
        add_ways(inputs, "trained", "What is trained", _TRAINED, "full")
        inputs.float(
            "minutes", min=0.1, default=MINUTES, label="Time budget in minutes",
            description="It stops earlier when held-out images gain no more",
        )
        inputs.bool(
            "overwrite", default=False, label="Train anew",
            description="Replaces an adapted model of that name",
        )
        if field:
            request = _request({**params, "field": field, "backbone": backbone})
            lessons = tune.check(samples, request)
            notice = types.Notice(label=tune.estimate(lessons, request))
            inputs.view("estimate", notice)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`.adapt.tune.tune`."""
        from detail_embed.fiftyone_bridge.adapt.tune import tune

        return tune(samples, _request(params))

    def results(self, result: AdaptedFacts) -> dict[str, Any]:
        """All that is known of the model, a summary and the curve."""
        return {
            **asdict(result),
            "summary": tuning_output.summary(result),
            "curve": tuning_output.curve(result.history),
        }

    def add_outputs(self, outputs: types.Object, results: Mapping[str, Any]) -> None:
        """The curve."""
        outputs.plot(
            "curve", label="Training", height="380px", layout=tuning_output.LAYOUT,
            config=PLOT,
        )


def _request(params: Mapping[str, Any]) -> TuningRequest:
    from detail_embed.adapt.tuning_config import TuningConfig
    from detail_embed.fiftyone_bridge.adapt.tune import TuningRequest

    from ..index.compute_request import Request

    named = filled(params)
    minutes = named.get("minutes", MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)):
        raise ValueError(f"minutes must be a number, not {minutes!r:.80}")
    names = {field.name for field in fields(TuningConfig)} - {
        "method", "batch_size", "time_budget"
    }
    config = TuningConfig(
        method=named.get("trained", TuningConfig.method), time_budget=60 * minutes,
        **{name: named[name] for name in names & named.keys()},
    )
    shared = ("backbone", "pretrained", "cover", "device", "allow_random_weights")
    settings = Request.from_params(given(named, *shared)).settings
    return TuningRequest(
        named.get("name", NAME), named.get("field", ""), settings, config,
        bool(params.get("use_boxes", True)), bool(params.get("overwrite")),
    )
