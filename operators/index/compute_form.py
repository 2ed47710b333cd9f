"""The form of the operator that computes an index: three choices, and all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import fiftyone.core.collections as foc
from fiftyone.operators import types

from detail_embed.backbone.weights import check_weights
from detail_embed.fiftyone_bridge.compute import huge
from detail_embed.fiftyone_bridge.compute.estimate import Workload
from detail_embed.fiftyone_bridge.index import checks
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.images import images_of
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

from ..shared.form import filled
from . import speed_probe
from .advanced_form import LABELS, add_advanced
from .compute_request import Request
from .model_choice import add_model
from .quality_choice import add_quality, usual

_NAME = "detail"


def add_inputs(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    """Adds the inputs of the form, in the order in which they are thought of.

    Args:
        inputs: the form
        params: what has been filled in so far
        samples: the samples that will be embedded

    Raises:
        ValueError: if it cannot be done
    """
    samples = images_of(samples)
    given, dataset = filled(params), dataset_of(samples)
    models = types.Object()
    given["backbone"] = add_model(models, dataset, given.get("backbone"))
    readable = as_far_as_readable(given)
    settings = Request.from_params(readable).settings
    speed_probe.start(samples, settings)
    paths = samples.values("filepath")
    work = Workload.of(paths, settings)
    add_quality(inputs, work, readable)
    given.setdefault("quality", usual(work))
    inputs.properties |= models.properties
    given["brain_key"] = add_name(inputs, given, samples)
    described = "Weights, patches, vectors, what is kept, and the machine"
    if add_switch(inputs, params, LABELS, described):
        add_advanced(inputs, given, samples)
    request = Request.from_params(given)
    check_same(request, samples)
    request.check(samples)
    tell_of_weights(inputs, request)
    if said := huge.line(paths, request.settings):
        inputs.view("huge", types.Notice(label=said))


def add_switch(
    inputs: types.Object,
    params: Mapping[str, Any],
    labels: Iterable[str],
    description: str,
) -> bool:
    """Adds the switch of what is under Advanced; it is on where some was filled in.

    Args:
        inputs: of the form
        params: what has been filled in so far
        labels: names of the inputs that are under it
        description: what these are

    Returns:
        whether it is on
    """
    is_open = any(name in params for name in labels)
    inputs.bool(
        "advanced", default=is_open, label="Advanced", description=description,
        view=types.SwitchView(),
    )
    return params.get("advanced", is_open)


def tell_of_weights(inputs: types.Object, request: Request) -> None:
    """Says where weights cannot be had here; a scheduled run may be elsewhere."""
    try:
        check_weights(request.settings.backbone, request.settings.pretrained)
    except ValueError as error:
        text = str(error)
        alert = types.Error(label="Weights", description=text[:1].upper() + text[1:])
        inputs.view("weights_alert", alert)


def as_far_as_readable(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was filled in, as far as it can be read; what is wrong is said later."""
    try:
        Request.from_params(given).settings.check()
        return given
    except ValueError:
        backbone = given["backbone"]
        return {"backbone": backbone} if isinstance(backbone, str) else {}


def add_name(
    inputs: types.Object, given: Mapping[str, Any], samples: foc.SampleCollection
) -> str:
    """Adds the name of the index; one that is free is proposed."""
    proposed = _proposed(samples, given)
    name = given.get("brain_key", proposed)
    index = Index.of(samples, name)
    about = "A new index: letters, digits and '_'"
    if isinstance(name, str) and index.record is not None:
        about = "Goes on with this index: only images without a vector are embedded"
        if given.get("overwrite"):
            about = "Deletes this index and its vectors, and starts over"
    inputs.str(
        "brain_key",
        required=True,
        default=proposed,
        label="Index name",
        description=about,
    )
    return name


def _proposed(samples: foc.SampleCollection, given: Mapping[str, Any]) -> str:
    """A name that is free; the usual one where its run was cut short, to go on."""
    usual_one = Index.of(samples, _NAME)
    record = usual_one.record
    if record is not None and not usual_one.has_brain_run:
        settings = Request.from_params(as_far_as_readable(given)).settings
        if not checks.differences(record, settings.identity()):
            return _NAME
    names = (_NAME if i == 1 else f"{_NAME}_{i}" for i in count(1))
    return next(name for name in names if _is_free(Index.of(samples, name)))


def _is_free(index: Index) -> bool:
    try:
        checks.check_free(index)
    except ValueError:
        return False
    return True


def check_same(request: Request, samples: foc.SampleCollection) -> None:
    """Says in a person's words that an index was made otherwise."""
    index = Index.of(samples, request.brain_key)
    record = index.record if isinstance(request.brain_key, str) else None
    if record is None or request.overwrite:
        return
    changed = checks.differences(record, request.settings.identity())
    if changed:
        names = ", ".join(LABELS.get(name, name) for name in changed)
        raise ValueError(
            f"The index {index.key!r} is there, and was made otherwise ({names}). Type "
            "another name; to replace it, switch on Start over under Advanced"
        )
