"""An index of boxes as another process may have made it, for the tests."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import torch
from PIL import Image

from detail_embed.cover.patches import whole_image
from detail_embed.fiftyone_bridge import DetailIndex

VECTOR = "detail_boxes_embedding"


def index_boxes(
    dataset: fo.Dataset, field: str = "ground_truth", key: str = "detail"
) -> DetailIndex:
    """Encodes each Detection of a field, and makes FiftyOne's index of the vectors."""
    index = DetailIndex(dataset, key)
    backbone = index.space.backbone
    crops, ids = [], []
    for sample in dataset:
        image = Image.open(sample.filepath).convert("RGB")
        for label in sample[field].detections:
            x, y, w, h = np.array(label.bounding_box) * [*image.size, *image.size]
            crop = image.crop((int(x), int(y), int(x + w) + 1, int(y + h) + 1))
            pixels = torch.from_numpy(np.array(crop)).permute(2, 0, 1)
            crops.append(whole_image(pixels, backbone.patch_spec))
            ids.append(label.id)
    with torch.inference_mode():
        vectors = backbone.encode_patches(torch.stack(crops)).numpy()
    path = f"{field}.detections.{VECTOR}"
    dataset.add_sample_field(path, fo.VectorField)
    dataset.set_label_values(path, dict(zip(ids, vectors)))
    fob.compute_similarity(
        dataset, patches_field=field, embeddings=False, embeddings_field=VECTOR,
        model=index.record.space, brain_key=f"{key}_boxes",
    )
    return index.boxes
