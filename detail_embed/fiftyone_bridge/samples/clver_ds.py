"""CLVER-DS folders as FiftyOne datasets."""

from __future__ import annotations

import json
from pathlib import Path

import fiftyone as fo

from detail_embed.clver_ds import ANNOTATIONS, IMAGES

_ATTRIBUTES = ("bank", "shape", "colour", "material", "scale", "visible")


def load_clver_ds(
    directory: str | Path, name: str | None = None, persistent: bool = True
) -> fo.Dataset:
    """Loads a folder that :func:`detail_embed.clver_ds.generate` wrote.

    Every scene becomes a sample with its ``background`` and, in the field
    ``ground_truth``, a Detection per object: its label is the concept, its
    attributes are bank, shape, colour, material, scale, visible, held_out and
    unseen.

    Args:
        directory: the folder of the dataset
        name (None): of the FiftyOne dataset; made up where None
        persistent (True): whether the dataset outlives the session

    Returns:
        a new :class:`fiftyone.core.dataset.Dataset`

    Raises:
        ValueError: if the folder holds no annotations or the name is taken
    """
    directory = Path(directory)
    annotations = directory / ANNOTATIONS
    if not annotations.is_file():
        raise ValueError(
            f"{directory} holds no {ANNOTATIONS}: it is no CLVER-DS folder"
        )
    if name is not None and fo.dataset_exists(name):
        raise ValueError(f"a dataset named {name!r} exists; choose another name")
    coco = json.loads(annotations.read_text("utf-8"))
    categories = {category["id"]: category for category in coco["categories"]}
    detections = {image["id"]: [] for image in coco["images"]}
    sizes = {i["id"]: (i["width"], i["height"]) for i in coco["images"]}
    for note in coco["annotations"]:
        image = note["image_id"]
        detections[image].append(
            _detection(note, categories[note["category_id"]], *sizes[image])
        )
    dataset = fo.Dataset(name, persistent=persistent)
    dataset.add_samples(
        (
            fo.Sample(
                filepath=str((directory / IMAGES / image["file_name"]).resolve()),
                metadata=fo.ImageMetadata(width=image["width"], height=image["height"]),
                background=image["background"],
                ground_truth=fo.Detections(detections=detections[image["id"]]),
            )
            for image in coco["images"]
        ),
        num_samples=len(coco["images"]),
        dynamic=True,
        progress=False,
    )
    return dataset


def _detection(note: dict, category: dict, width: int, height: int) -> fo.Detection:
    x, y, w, h = note["bbox"]
    attributes = {key: note["attributes"][key] for key in _ATTRIBUTES}
    return fo.Detection(
        label=category["name"],
        bounding_box=[x / width, y / height, w / width, h / height],
        held_out=category["held_out"],
        unseen=category["unseen"],
        **{key: value for key, value in attributes.items() if value is not None},
    )
