"""The vectors of images as labels: stored as FiftyOne would, a dozen times as fast."""

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
import pytest

from detail_embed.engine.chunk import Chunk, ImagePatches
from detail_embed.fiftyone_bridge.samples import patch_detections
from detail_embed.fiftyone_bridge.samples.sink import Sink

RNG = np.random.default_rng(0)


@pytest.fixture
def chunk(dataset):
    """A chunk for two images, of three vectors and of one."""
    patches = [
        ImagePatches(
            RNG.normal(size=(count, 8)).astype(np.float32), RNG.random((count, 4)),
            np.arange(1, count + 1),
        )
        for count in (3, 1)
    ]
    nothing = np.zeros((0, 8), np.float32)
    return Chunk(dataset.limit(2).values("id"), nothing, nothing, [], patches)


def test_what_is_stored_is_what_fiftyone_stores(dataset, chunk):
    patch_detections.declare_vectors(dataset, "ours", few=True)
    patch_detections.declare_vectors(dataset, "theirs", few=True)
    Sink(dataset, {"ours": patch_detections.detections}, "error").write(chunk)
    labels = [
        fo.Detections(detections=[
            fo.Detection(
                label=patch_detections.LABEL, bounding_box=box.tolist(),
                vector=vector, level=int(level),
            )
            for vector, box, level in zip(image.vectors, image.boxes, image.levels)
        ])
        for image in chunk.patches
    ]
    dataset.set_values("theirs", dict(zip(chunk.ids, labels)), key_field="id")

    stored = dataset._sample_collection.find({}, {"ours": 1, "theirs": 1})
    pairs = [(one["ours"], one["theirs"]) for one in stored if one.get("ours")]
    assert len(pairs) == 2
    for ours, theirs in pairs:
        for label in (*ours["detections"], *theirs["detections"]):
            label["vector"] = fou.deserialize_numpy_array(label["vector"]).tolist()
            del label["_id"]
        assert ours == theirs


def test_every_label_has_an_id_and_lists_of_its_own(dataset, chunk):
    patch_detections.declare_vectors(dataset, "few", few=True)
    Sink(dataset, {"few": patch_detections.detections}, "error").write(chunk)
    dataset.reload()
    view = dataset.exists("few")
    ids = view.values("few.detections.id", unwind=True)
    assert len(set(ids)) == 4 and len(view.to_patches("few")) == 4
    made = patch_detections.detections(chunk)
    labels = [label for image in made for label in image["detections"]]
    assert len({id(label["tags"]) for label in labels}) == len(labels)
    vectors, _, found = patch_detections.read(view, "few")
    assert found == ids
    np.testing.assert_array_equal(
        vectors, np.concatenate([image.vectors for image in chunk.patches])
    )
