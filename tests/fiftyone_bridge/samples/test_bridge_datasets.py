"""CLVER-DS folders as FiftyOne datasets."""

import json

import pytest

from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds


def test_every_object_is_a_detection_with_its_attributes(scenes, dataset):
    coco = json.loads((scenes / "annotations.json").read_text())
    names = {c["id"]: c["name"] for c in coco["categories"]}
    assert dataset.persistent
    assert len(dataset) == len(coco["images"])
    sample = dataset.first()
    notes = [a for a in coco["annotations"] if a["image_id"] == 0]
    detections = sample.ground_truth.detections
    assert [d.label for d in detections] == [names[a["category_id"]] for a in notes]
    for detection, note in zip(detections, notes):
        assert [256 * v for v in detection.bounding_box] == pytest.approx(note["bbox"])
        assert detection.scale == note["attributes"]["scale"]
        assert detection.visible == note["attributes"]["visible"]
        assert detection.colour == note["attributes"]["colour"]
        assert isinstance(detection.held_out, bool)
    assert sample.background == coco["images"][0]["background"]
    assert (sample.metadata.width, sample.metadata.height) == (256, 256)


def test_attributes_can_be_filtered(dataset):
    fields = dataset.get_field_schema(flat=True)
    assert "ground_truth.detections.scale" in fields
    assert dataset.count_values("ground_truth.detections.bank").keys() == {"solids"}


def test_a_taken_name_is_refused(scenes, dataset):
    with pytest.raises(ValueError, match=f"{dataset.name!r} exists"):
        load_clver_ds(scenes, dataset.name)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no annotations.json"):
        load_clver_ds(tmp_path)
