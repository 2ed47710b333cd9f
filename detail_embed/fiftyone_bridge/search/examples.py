"""Search by example: samples, boxes and pictures as queries, mixed with text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from os import PathLike

import fiftyone as fo
import numpy as np
import torch
from bson import ObjectId
from PIL import Image

from detail_embed.cover.patches import whole_image
from detail_embed.fiftyone_bridge.index import boxes as box_index
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fiftyone_bridge.samples.frames import Home
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.images.decode import upright_rgb
from detail_embed.images.file_reasons import reason
from detail_embed.images.huge_image import see, see_whole
from detail_embed.images.image_file import (
    MAX_PIXELS,
    PICTURE,
    UnreadableImage,
    check_size,
    read_picture,
)
from detail_embed.images.in_time import one
from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts.query import Query

Picture = bytes | str | PathLike | Image.Image
_NAMES = ("sample_id", "field", "label_id")


@dataclass(frozen=True)
class Box:
    """A part of an image.

    Attributes:
        filepath: of the image
        bounding_box: left, top, width and height as shares of the image
    """

    filepath: str
    bounding_box: Sequence[float]


def mix(
    index: Index,
    text: str | Query | None = None,
    sample_ids: Sequence[str] = (),
    boxes: Sequence[Box] = (),
    pictures: Iterable[Picture] | Picture = (),
    vector: Sequence[float] | None = None,
    weight: float = 1.0,
    templates: str = "own",
) -> np.ndarray:
    """Makes one query of examples, and a text where there is one.

    Args:
        index: the index that shall be searched
        text (None): prompts in one line
        sample_ids (()): samples that the index has vectors of; of an index of boxes,
            labels or samples
        boxes (()): parts of images, such as selected labels
        pictures (()): other pictures, as paths, bytes of a file, or opened by Pillow;
            read as images of a dataset are
        vector (None): of examples, as this function made it before
        weight (1.0): of all examples together, against 1 of the text
        templates ("own"): around the text

    Returns:
        ``(d,)`` float32, unit length

    Raises:
        TypeError: if ids, boxes or pictures are something else
        ValueError: if there is nothing to search by, a picture cannot be read, or a
            sample has no vector
    """
    if not is_a(Real, weight) or not np.isfinite(weight):
        raise ValueError(f"weight={weight!r}: give a number, such as 0.5")
    examples = [] if vector is None else [np.asarray(vector, np.float32)]
    if sample_ids := ids_of(sample_ids):
        examples.extend(of_samples(index, sample_ids))
    crops = [crop(box) for box in list_of(boxes)]
    one = isinstance(pictures, (str, PathLike, bytes, bytearray, Image.Image))
    crops += [_open(picture) for picture in ([pictures] if one else pictures)]
    if crops:
        examples.extend(of_images(index, crops))
    if not examples and text is None:
        raise ValueError("give a text, samples, boxes or pictures to search by")
    parts = [weight * _sum(examples)] if examples else []
    if text is not None:
        parts.append(query_vectors.encode(index, text, templates))
    return _sum(parts)


def ids_of(samples: Iterable[str] | str) -> list[str]:
    """Ids of samples, given as such, or as samples.

    Raises:
        TypeError: if they are none, such as paths
    """
    one = isinstance(samples, (str, PathLike, ObjectId))
    ids = [str(getattr(id, "id", id)) for id in ([samples] if one else samples)]
    for id in ids:
        if not ObjectId.is_valid(id):
            raise TypeError(
                f"sample_ids: {id!r:.200} is no id of a sample. Give a list of ids, "
                "such as view.values('id'); a file is given by pictures"
            )
    return ids


def list_of(boxes: Iterable[Box] | Box) -> list[Box]:
    """Boxes, or one of them, as a list.

    Raises:
        TypeError: if one is something else
    """
    boxes = [boxes] if isinstance(boxes, Box) else list(boxes)
    for box in boxes:
        if not isinstance(box, Box):
            raise TypeError(
                f"boxes: {box!r:.80} is no Box. Give a list of Box(filepath, [left, "
                "top, width, height]), in shares of the image"
            )
    return boxes


def boxes_of(home: Home, labels: Sequence[Mapping[str, str]]) -> list[Box]:
    """Finds the boxes of labels, as the App names those that are selected.

    Args:
        home: where the images are
        labels: each with sample_id, field and label_id

    Raises:
        ValueError: naming a label that has no box, or is gone
    """
    return [_box(home, **{k: label[k] for k in _NAMES}) for label in labels]


def of_samples(index: Index, sample_ids: Sequence[str]) -> np.ndarray:
    """The vectors that an index has of samples; of k vectors their mean.

    Args:
        index: the index
        sample_ids: of an index of boxes, labels or samples

    Returns:
        ``(n, d)`` float32, unit length

    Raises:
        ValueError: naming a sample without a vector
    """
    vectors = index_vectors.load(index)
    numbers = {id: number for number, id in enumerate(vectors.ids)}
    labels = {}
    if box_index.field_of(index) is not None:
        labels = {id: slice(row, row + 1) for row, id in enumerate(vectors.labels)}
    for id in sample_ids:
        if id not in numbers and id not in labels:
            raise ValueError(
                f"{'box' if labels else 'sample'} {id} has no vector in the index "
                f"{index.key!r}: embed it first, or select another"
            )
    rows = [labels.get(id) or vectors.rows(numbers[id]) for id in sample_ids]
    return np.stack([_unit(vectors.matrix[row].mean(axis=0)) for row in rows])


def of_images(index: Index, images: Sequence[Image.Image]) -> np.ndarray:
    """Encodes pictures of things, each as a whole, by the backbone of an index.

    Returns:
        ``(n, d)`` float32, unit length
    """
    brain_runs.check_promptable(index)
    model = query_vectors.model_of(index)
    if not hasattr(model, "space"):
        with model:
            return np.stack([_unit(model.embed(np.asarray(i))) for i in images])
    backbone = model.space.backbone
    patches = torch.stack(
        [whole_image(_tensor(image), backbone.patch_spec) for image in images]
    )
    with torch.inference_mode():
        return backbone.encode_patches(patches.to(backbone.device)).cpu().numpy()


def crop(box: Box) -> Image.Image:
    """The square around a box, as the windows of the index are squares.

    Raises:
        UnreadableImage: if the file cannot be read, or nothing comes of it
    """
    return one(lambda path: _crop(path, box.bounding_box), box.filepath)


def _crop(path: str, bounding_box: Sequence[float]) -> Image.Image:
    image = see(path)
    size = np.array(image.size)
    x, y, w, h = bounding_box
    side = int(np.clip(np.ceil(max(w * size[0], h * size[1])), 1, size.min()))
    centre = np.array([x + w / 2, y + h / 2]) * size
    left, top = np.clip(np.rint(centre - side / 2), 0, size - side).astype(int).tolist()
    return image.crop((left, top, left + side, top + side))


def _box(home: Home, sample_id: str, field: str, label_id: str) -> Box:
    for sample in flat_images(home).select(sample_id):
        value = sample[field] if sample.has_field(field) else None
        for label in getattr(value, "detections", [value]):
            is_box = isinstance(label, fo.Detection) and label.bounding_box
            if is_box and label.id == label_id:
                return Box(sample.filepath, label.bounding_box)
    raise ValueError(f"the label {label_id} of {field!r} has no box: select another")


def _open(picture: Picture) -> Image.Image:
    """A picture upright and in RGB, by the reader of files, with its limits."""
    try:
        if isinstance(picture, (str, PathLike)):
            return one(see_whole, picture)
        if isinstance(picture, (bytes, bytearray)):
            return Image.fromarray(read_picture(bytes(picture)))
        if isinstance(picture, Image.Image):
            check_size(PICTURE, picture, MAX_PIXELS)
            return upright_rgb(picture.copy())
    except UnreadableImage as error:
        raise ValueError(
            f"{error.path} cannot be read as an image: it {error.reason}. Choose "
            "another"
        ) from error
    except Exception as error:  # Pillow's decoders raise errors of any kind
        raise ValueError(
            f"the picture cannot be read as an image: it {reason(PICTURE, error)}. "
            "Choose another"
        ) from error
    raise TypeError(
        f"pictures: {type(picture).__name__} is no picture. Give paths, the bytes of "
        "image files, or images of Pillow"
    )


def _tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _sum(vectors: Sequence[np.ndarray]) -> np.ndarray:
    if len({vector.shape for vector in vectors}) > 1:
        raise ValueError("the examples were made with another model: choose them again")
    return _unit(np.sum(vectors, axis=0))


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    if length < 1e-6:
        raise ValueError("text and examples cancel each other out: change the weights")
    return (vector / length).astype(np.float32)
