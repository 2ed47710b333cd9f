"""Fields of labels and captions as images and what is said of them."""

import fiftyone as fo
import pytest

from detail_embed.adapt.pictures import Said
from detail_embed.fiftyone_bridge.adapt import tuning_sources
from detail_embed.fiftyone_bridge.adapt.tuning_sources import AS_IT_IS, read
from detail_embed.texts.templates import TEMPLATES


def test_boxes_say_where(dataset):
    lessons = read(dataset, "ground_truth")
    labels = dataset.values("ground_truth.detections.label", unwind=True)
    assert len(lessons.pictures) == 24 and lessons.boxes == len(labels)
    assert lessons.templates == TEMPLATES and lessons.texts == len(set(labels))
    first = dataset.first()
    picture = next(p for p in lessons.pictures if p.path == first.filepath)
    box = first.ground_truth.detections[0]
    assert Said(box.label.replace("_", " "), tuple(box.bounding_box)) in picture.said
    without = read(dataset, "ground_truth", use_boxes=False)
    assert without.boxes == 0 and without.texts == lessons.texts


def test_classes_of_images(dataset):
    kinds = ["RedCube", "blue_ball", None]
    labels = [fo.Classification(label=kinds[i % 3]) for i in range(24)]
    dataset.set_values("kind", [None if not one.label else one for one in labels])
    with pytest.raises(ValueError, match="says something of 16 images only"):
        read(dataset, "kind")
    dataset.set_values("kind", [fo.Classification(label=kinds[i % 2])
                                for i in range(24)])
    lessons = read(dataset, "kind")
    assert {s.text for p in lessons.pictures for s in p.said} == {
        "Red Cube", "blue ball"
    }


def test_captions_and_what_they_name(dataset):
    said = ["A red cube and a ball.", "There is a ball  near a blue cone.", ""]
    dataset.set_values("caption", [said[i % 3] + f" {i}" * (i % 3 < 2)
                                   for i in range(24)])
    dataset.set_values("caption", {dataset.first().id: "  "}, key_field="id")
    with pytest.raises(ValueError, match="15 images only"):
        read(dataset, "caption")
    lists = [[said[i % 2], f"number {i}", " "] for i in range(24)]
    dataset.set_values("lines", lists)
    lessons = read(dataset, "lines")
    assert lessons.templates == AS_IT_IS and lessons.boxes == 0
    texts = [s.text for s in lessons.pictures[1].said]
    assert texts[:2] == ["There is a ball near a blue cone.", "number 1"]
    assert "blue cone" in texts and "ball" in texts


@pytest.mark.parametrize(("values", "message"), [
    ([""] * 24, "'caption' says nothing of these images: all of it is empty"),
    (["a photo"] * 24, "'caption' says the same of every image, 'a photo'"),
])
def test_captions_that_say_nothing(dataset, values, message):
    dataset.set_values("caption", values)
    with pytest.raises(ValueError, match=message):
        read(dataset, "caption")


def test_one_class(dataset):
    dataset.set_values("kind", [fo.Classification(label="car")] * 24)
    with pytest.raises(ValueError, match="says the same of every image, 'car'"):
        read(dataset, "kind")


def test_a_field_of_another_type(dataset):
    dataset.set_values("count", list(range(24)))
    with pytest.raises(ValueError, match="field='count' is no field of labels .*or of "
                       "texts; choose one of .*'ground_truth'"):
        read(dataset, "count")
    with pytest.raises(ValueError, match="name the field to learn from"):
        read(dataset, "")
    assert "ground_truth" in tuning_sources.fields_of(dataset)
