"""The operator that makes a CLVER-DS dataset."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from detail_embed.clver_ds import (
    BANKS,
    SCALES,
    SceneConfig,
    VideoConfig,
    generate_in_steps,
    generate_videos_in_steps,
)
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

from ..shared.form import filled, folder, plain, refuse_empty
from ..shared.form_operator import FormOperator
from ..shared.run_operator import RunOperator

IMAGES, VIDEOS = "images", "videos"
_DEFAULTS = {
    "name": "clver-ds",
    "medium": IMAGES,
    "seconds": VideoConfig.seconds,
    "bank": "both",
    "n": 200,
    "size": 1120,
    "low": SceneConfig.objects[0],
    "high": SceneConfig.objects[1],
    "scales": ", ".join(map(str, SCALES)),
    "seed": 0,
}


class CreateClverDs(FormOperator):
    """Makes scenes with objects of controlled scale, and loads them."""

    name = "create_clver_ds"
    label = "Create CLVER-DS"
    description = "Make a synthetic dataset with objects of any scale"
    options = {**RunOperator.options, "view_target": False}

    def target(self, ctx: foo.ExecutionContext) -> None:
        """None: the dataset is made."""

    def add_inputs(
        self, ctx: foo.ExecutionContext, inputs: types.Object, samples: None
    ) -> None:
        """Name, folder, and what the scenes show."""
        _add_inputs(inputs, ctx.params.get("medium") or IMAGES)
        _read(ctx.params)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Makes the scenes; the App opens them."""
        arguments = _read(ctx.params)
        if ctx.delegated:
            return {"name": _create(**arguments).name}
        return self._in_app(ctx, arguments)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The name of the new dataset."""
        outputs = types.Object()
        outputs.str("name", label="Dataset")
        return types.Property(outputs)

    def __call__(
        self,
        name: str = _DEFAULTS["name"],
        directory: str | Path | None = None,
        bank: str = _DEFAULTS["bank"],
        n: int = _DEFAULTS["n"],
        size: int = _DEFAULTS["size"],
        objects: tuple[int, int] = SceneConfig.objects,
        scales: tuple[float, ...] = SCALES,
        seed: int = _DEFAULTS["seed"],
        medium: str = IMAGES,
        seconds: float = VideoConfig.seconds,
    ) -> fo.Dataset:
        """Makes a CLVER-DS dataset and loads it.

        Example usage::

            import fiftyone.operators as foo

            create = foo.get_operator("@detail/detail-embed/create_clver_ds")
            dataset = create("tiny-things", n=50, scales=(0.03, 0.05))

        Args:
            name ("clver-ds"): of the FiftyOne dataset
            directory (None): where the images go; by default in FiftyOne's default
                directory for datasets
            bank ("both"): ``"things"``, ``"solids"`` or ``"both"``
            n (200): number of scenes, or of videos
            size (1120): side of the images in pixels, at most 4096
            objects ((4, 8)): smallest and largest number of objects in a scene
            scales: of the objects, ``sqrt(box area / image area)``
            seed (0): of everything
            medium ("images"): or ``"videos"``, in which a camera moves over a scene,
                and one or two more objects appear for some time and vanish
            seconds (6.0): of a video

        Returns:
            a persistent :class:`fiftyone.core.dataset.Dataset`, see
            :func:`detail_embed.fiftyone_bridge.samples.clver_ds.load_clver_ds`

        Raises:
            ValueError: if the name is taken or a setting is out of range
        """
        try:
            low, high = objects
        except (TypeError, ValueError):
            raise ValueError(
                f"objects={objects!r}: give the smallest and the largest number, such "
                "as (4, 8)"
            ) from None
        params = {
            "name": name,
            "directory": directory,
            "bank": bank,
            "n": n,
            "size": size,
            "low": low,
            "high": high,
            "scales": scales,
            "seed": seed,
            "medium": medium,
            "seconds": seconds,
        }
        refuse_empty(params)
        return _create(**_read(plain(params)))

    def _in_app(
        self, ctx: foo.ExecutionContext, arguments: dict[str, Any]
    ) -> Iterator[GeneratedMessage]:
        count = arguments["n"]
        try:
            for done in _make(**arguments):
                label = f"{done} of {count} {arguments['medium']} made"
                yield ctx.ops.set_progress(label=label, progress=done / count)
            dataset = load_clver_ds(arguments["directory"], arguments["name"])
        except Exception as error:
            yield ctx.ops.notify(str(error), variant="error")
            raise
        done = f"{count} {_noun(arguments['medium'])} are made"
        yield ctx.ops.set_progress(label=done, progress=1)
        yield ctx.ops.open_dataset(dataset.name)


def _add_inputs(inputs: types.Object, medium: str) -> None:
    inputs.str("name", required=True, default=_DEFAULTS["name"], label="Name")
    inputs.file(
        "directory",
        label=f"Folder for the {medium}",
        description=f"Empty: a new one in {fo.config.default_dataset_dir}",
        view=types.FileExplorerView(
            choose_dir=True,
            button_label="Choose a folder",
            choose_button_label="Accept",
        ),
    )
    inputs.enum(
        "medium", [IMAGES, VIDEOS], default=IMAGES, label="Medium"
    )
    inputs.enum("bank", [*BANKS, "both"], default=_DEFAULTS["bank"], label="Objects")
    inputs.int("n", min=1, default=_DEFAULTS["n"], label=f"Number of {_noun(medium)}")
    if medium == VIDEOS:
        inputs.float(
            "seconds", default=_DEFAULTS["seconds"], label="Seconds of a video"
        )
    inputs.int(
        "size", min=64, max=4096, default=_DEFAULTS["size"], label="Side in pixels"
    )
    inputs.int("low", min=0, default=_DEFAULTS["low"], label="Objects, at least")
    inputs.int("high", min=1, default=_DEFAULTS["high"], label="Objects, at most")
    inputs.str(
        "scales",
        default=_DEFAULTS["scales"],
        label="Scales",
        description="Side of an object by side of the image, separated by commas",
    )
    inputs.int("seed", min=0, default=_DEFAULTS["seed"], label="Seed")


def _noun(medium: str) -> str:
    return "scenes" if medium == IMAGES else medium


def _read(params: dict[str, Any]) -> dict[str, Any]:
    """Turns parameters into arguments of :func:`_create`.

    Raises:
        ValueError: naming the parameter that cannot be used
    """
    given = _DEFAULTS | filled(params)
    for number in ("n", "size", "low", "high", "seed"):
        if type(given[number]) is not int:
            raise ValueError(f"{number}={given[number]!r}: give a whole number")
    name = given["name"]
    if fo.dataset_exists(name):
        raise ValueError(f"a dataset named {name!r} exists; choose another name")
    directory = folder(given.get("directory"))
    if directory is None:
        folder_name = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "clver-ds"
        directory = Path(fo.config.default_dataset_dir) / folder_name
    scales = _read_scales(given["scales"])
    settings = {"objects": (given["low"], given["high"]), "scales": scales}
    medium, size = given["medium"], given["size"]
    if medium not in (IMAGES, VIDEOS):
        raise ValueError(f"medium={medium!r}: give {IMAGES!r} or {VIDEOS!r}")
    kind = SceneConfig
    if medium == VIDEOS:
        kind, seconds = VideoConfig, _read_seconds(given["seconds"])
        fitting = tuple(d for d in VideoConfig.durations if d <= seconds)
        settings |= {"seconds": seconds, "durations": fitting or (seconds,)}
        settings |= {"appearing_scales": scales}
    kind(bank=given["bank"], width=size, height=size, **settings)
    return {
        "name": name,
        "directory": directory,
        "n": given["n"],
        "bank": given["bank"],
        "size": size,
        "seed": given["seed"],
        "medium": medium,
        "settings": settings,
    }


def _read_seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"seconds={value!r}: give a number, such as 6")
    return float(value)


def _read_scales(value: str | tuple[float, ...]) -> tuple[float, ...]:
    try:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(
            f"scales must be numbers separated by commas, not {value!r}"
        ) from None


def _make(name, directory, n, bank, size, seed, medium, settings) -> Iterator[int]:
    """The number of scenes so far, for the dataset of this name."""
    if medium == VIDEOS:
        return generate_videos_in_steps(
            directory, n, bank, (size, size), seed, **settings
        )
    return generate_in_steps(directory, n, bank, size, seed, **settings)


def _create(**arguments: Any) -> fo.Dataset:
    for _ in _make(**arguments):
        pass
    return load_clver_ds(arguments["directory"], arguments["name"])
