"""CLVER-DS folders as FiftyOne datasets."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo

from detail_embed.clver_ds import ANNOTATIONS, IMAGES, VIDEOS

_ATTRIBUTES = ("bank", "shape", "colour", "material", "scale", "visible", "appears")


def load_clver_ds(
    directory: str | Path,
    name: str | None = None,
    persistent: bool = True,
    boxes: bool = False,
) -> fo.Dataset:
    """Loads a folder that ``generate`` or ``generate_videos`` of CLVER-DS wrote.

    Every scene becomes a sample with its ``background`` and, in the field
    ``ground_truth``, a Detection per object: its label is the concept, its
    attributes are bank, shape, colour, material, scale, visible, held_out and
    unseen. Of a video this is a TemporalDetection per object, from the first frame
    that shows it to the last; ``appears`` says whether it came and vanished. The boxes
    are in the folder's annotations, and in the frames where ``boxes`` is True.

    Args:
        directory: the folder of the dataset
        name (None): of the FiftyOne dataset; made up where None
        persistent (True): whether the dataset outlives the session
        boxes (False): whether every frame of a video gets its Detections, too, in
            ``frames.ground_truth``

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
    samples = _videos if "videos" in coco else _images
    dataset = fo.Dataset(name, persistent=persistent)
    dataset.add_samples(
        samples(coco, directory, boxes),
        num_samples=len(coco.get("videos", coco.get("images"))),
        dynamic=True,
        progress=False,
    )
    return dataset


def _images(coco: dict, directory: Path, boxes: bool) -> Iterator[fo.Sample]:
    """The scenes, whose objects always have boxes."""
    categories = {category["id"]: category for category in coco["categories"]}
    notes = _by(coco["annotations"], "image_id")
    for image in coco["images"]:
        size = image["width"], image["height"]
        found = [
            fo.Detection(
                bounding_box=_relative(note["bbox"], *size),
                **_told(note, categories[note["category_id"]]),
            )
            for note in notes[image["id"]]
        ]
        yield fo.Sample(
            filepath=str((directory / IMAGES / image["file_name"]).resolve()),
            metadata=fo.ImageMetadata(width=size[0], height=size[1]),
            background=image["background"],
            ground_truth=fo.Detections(detections=found),
        )


def _videos(coco: dict, directory: Path, boxes: bool) -> Iterator[fo.Sample]:
    categories = {category["id"]: category for category in coco["categories"]}
    notes = _by(coco["annotations"], "video_id")
    for video in coco["videos"]:
        width, height, rate = video["width"], video["height"], video["frame_rate"]
        shown = notes[video["id"]]
        found = [
            fo.TemporalDetection(
                support=[note["first"], note["last"]],
                **_told(note, categories[note["category_id"]]),
            )
            for note in shown
        ]
        path = (directory / VIDEOS / video["file_name"]).resolve()
        sample = fo.Sample(
            filepath=str(path),
            metadata=fo.VideoMetadata(
                size_bytes=path.stat().st_size,
                mime_type="video/mp4",
                frame_width=width,
                frame_height=height,
                frame_rate=rate,
                total_frame_count=video["length"],
                duration=video["length"] / rate,
            ),
            background=video["background"],
            ground_truth=fo.TemporalDetections(detections=found),
        )
        if boxes:
            _add_boxes(sample, shown, categories, width, height)
        yield sample


def _add_boxes(
    sample: fo.Sample, notes: list[dict], categories: dict, width: int, height: int
) -> None:
    for note in notes:
        told = _told(note, categories[note["category_id"]])
        for number, box in enumerate(note["bbox"], start=note["first"]):
            frame = sample.frames[number]
            if not frame.has_field("ground_truth") or frame["ground_truth"] is None:
                frame["ground_truth"] = fo.Detections()
            box = _relative(box, width, height)
            detection = fo.Detection(bounding_box=box, **told)
            frame["ground_truth"].detections.append(detection)


def _by(notes: list[dict], key: str) -> dict[int, list[dict]]:
    """Annotations by what they are of."""
    found = defaultdict(list)
    for note in notes:
        found[note[key]].append(note)
    return found


def _relative(box: list[float], width: int, height: int) -> list[float]:
    x, y, w, h = box
    return [x / width, y / height, w / width, h / height]


def _told(note: dict, category: dict) -> dict[str, Any]:
    """What is said of an object, but where it is."""
    attributes = {key: note["attributes"].get(key) for key in _ATTRIBUTES}
    return {
        "label": category["name"],
        "held_out": category["held_out"],
        "unseen": category["unseen"],
        **{key: value for key, value in attributes.items() if value is not None},
    }
