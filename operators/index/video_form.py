"""The form of the operator that indexes videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone.core.collections as foc
from fiftyone.operators import types

from detail_embed.backbone.weights import dimension
from detail_embed.cover import CompleteCover
from detail_embed.engine import speed
from detail_embed.fiftyone_bridge.compute.estimate import Workload
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.fiftyone_bridge.video import ffmpeg
from detail_embed.fiftyone_bridge.video.make_frames import FPS, MOST
from detail_embed.fiftyone_bridge.video.plan_frames import (
    Foreseen,
    check_request,
    check_total,
    foresee,
    videos_of,
)

from ..shared.form import filled
from .advanced_form import add_cover
from .compute_form import (
    add_name,
    add_switch,
    as_far_as_readable,
    check_same,
    tell_of_weights,
)
from .compute_request import Request
from .model_choice import add_model
from .quality_choice import add_quality, usual
from .weights_choice import add_weights

LABELS = {
    "max_frames": "Frames, at most",
    "directory": "Folder for the frames",
    "pretrained": "Weights",
    "cover": "Complete Cover",
    "overwrite": "Start over",
}


def add_inputs(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    """Adds the inputs of the form.

    Args:
        inputs: the form
        params: what has been filled in so far
        samples: the videos

    Raises:
        ValueError: if it cannot be done
    """
    given, dataset = filled(params), dataset_of(samples)
    samples = videos_of(samples)
    ffmpeg.check_ffmpeg()
    inputs.float(
        "fps",
        required=True,
        default=FPS,
        label="Frames per second",
        description="What is shorter than the time between two frames may be missed",
    )
    fps, most = given.get("fps", FPS), given.get("max_frames", MOST)
    check_request(fps, most)
    foreseen = foresee(samples, fps)
    inputs.view("frames", types.Notice(label=_describe(foreseen, fps)))
    models = types.Object()
    given["backbone"] = add_model(models, dataset, given.get("backbone"))
    readable = as_far_as_readable(given)
    work = _work(foreseen, Request.from_params(readable).settings)
    add_quality(inputs, work, readable)
    given.setdefault("quality", usual(work))
    inputs.properties |= models.properties
    given["brain_key"] = add_name(inputs, given, samples)
    described = "How many frames, where they go, weights and patches"
    if add_switch(inputs, params, LABELS, described):
        _add_advanced(inputs, given)
    request = Request.from_params(given)
    check_same(request, samples)
    request.settings.check()
    check_total(foreseen.frames, foreseen.videos, fps, most)
    tell_of_weights(inputs, request)


def _add_advanced(inputs: types.Object, given: Mapping[str, Any]) -> None:
    inputs.int(
        "max_frames",
        min=1,
        default=MOST,
        label=LABELS["max_frames"],
        description="More are refused before the first one is made",
    )
    inputs.file(
        "directory",
        label=LABELS["directory"],
        description="Empty: beside each video, in a folder of its name",
        view=types.FileExplorerView(
            choose_dir=True,
            button_label="Choose a folder",
            choose_button_label="Accept",
        ),
    )
    add_weights(inputs, given["backbone"])
    add_cover(inputs)
    inputs.bool(
        "overwrite",
        default=False,
        label=LABELS["overwrite"],
        description="Deletes the index and its vectors first; frames are kept",
    )


def _work(foreseen: Foreseen, settings: Settings) -> Workload:
    """What the frames will take, which are not there yet."""
    def patches(cover: CompleteCover) -> float | None:
        if not (foreseen.size and all(foreseen.size)):
            return None
        return float(len(cover.boxes(*foreseen.size)))

    return Workload(
        images=foreseen.frames,
        patches=patches,
        dim=dimension(settings.backbone),
        speed=speed.recall(settings.backbone, settings),
    )


def _describe(foreseen: Foreseen, fps: float) -> str:
    text = (
        f"{foreseen.frames:,} frames of {foreseen.videos:,} videos, {fps:g} a second"
    )
    if foreseen.bad:
        text += f"; {foreseen.bad:,} videos cannot be read"
    if foreseen.unknown:
        text += (
            f"; {foreseen.unknown:,} videos were not looked at yet: the run counts "
            "their frames before it makes any"
        )
    return text
