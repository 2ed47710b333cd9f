"""How much is kept of an image: three choices, with what each one takes here."""

from __future__ import annotations

from datetime import timedelta

from fiftyone.operators import types

from detail_embed.fiftyone_bridge.compute.estimate import Estimate, Workload
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.space.choose_fuser import AUTO
from detail_embed.storage.whole_files import megabytes

from .compute_request import BEST, BETTER, FAST, Request

_WHAT = {
    FAST: "{patches} patches of a square image, {vectors} vectors. Finds what is large",
    BETTER: "{patches} patches, up to {vectors} vectors. Finds small things",
    BEST: "{patches} patches, all kept beside up to {vectors} vectors. Finds the "
    "smallest, and where they are",
}


def add_quality(
    inputs: types.Object, work: Workload, asked: dict[str, object]
) -> None:
    """Adds the choice of the quality.

    Args:
        inputs: of the form
        work: the images and the model
        asked: all that was filled in
    """
    view = types.RadioView(orientation="vertical")
    for name, what in _WHAT.items():
        settings = Request.from_params({**asked, "quality": name}).settings
        needed = work.estimate(settings)
        what = what.format(vectors=needed.vectors, patches=_square(settings))
        view.add_choice(
            name, label=name.capitalize(), description=f"{what}. {_takes(name, needed)}"
        )
    inputs.enum(
        "quality",
        view.values(),
        required=True,
        default=usual(work),
        label="Quality",
        view=view,
    )


def usual(work: Workload) -> str:
    """The quality that is chosen at first: the best one there is room for."""
    needed = work.estimate(Request.from_params({"quality": BEST}).settings)
    needed = needed.feature_bytes
    return BEST if needed is None or feature_stores.has_room(needed) else BETTER


def _square(settings: Settings) -> int | str:
    """Patches of a square image; those that the model can use depend on its size."""
    if settings.cover == AUTO:
        return "As many"
    return len(settings.make_cover().boxes(1000, 1000))


def _takes(name: str, needed: Estimate) -> str:
    if needed.vector_bytes is None:
        room = "Size: known when the model is loaded"
    else:
        room = megabytes(needed.vector_bytes)
        if name != FAST:
            room = f"At most {room}"
        if name == BEST and needed.feature_bytes is not None:
            room += f" of vectors and {megabytes(needed.feature_bytes)} of patches"
    time = "time: not measured yet"
    if needed.seconds is not None:
        time = f"about {_duration(needed.seconds)} here"
    if needed.needs_words:
        time += ", and once for this model the encoding of words"
    return f"{room}; {time}"


def _duration(seconds: float) -> str:
    """A time in one unit, rounded as an estimate is."""
    span = timedelta(seconds=seconds)
    for unit, size in (("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if span >= 2 * size:
            return f"{span / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
