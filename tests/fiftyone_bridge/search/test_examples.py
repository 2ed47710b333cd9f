"""Search by example: samples, boxes, pictures, and their mixture with text."""

from io import BytesIO

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search import examples, query_vectors
from detail_embed.fiftyone_bridge.search.examples import Box, boxes_of, mix
from detail_embed.fiftyone_bridge.search.search import search

KEY, FEW = "detail", "few"
RED, BLUE = (220, 20, 20), (20, 20, 220)


@pytest.fixture(scope="module")
def indexed(scenes):
    dataset = load_clver_ds(scenes)
    settings = {"backbone": DEMO, "cover": 2, "device": "cpu"}
    compute_index.compute(
        Index(dataset, KEY), dataset, Settings(fuser="mean", **settings)
    ).finish()
    compute_index.compute(
        Index(dataset, FEW), dataset, Settings(vectors=3, **settings)
    ).finish()
    yield dataset
    dataset.delete()


def unit(vector):
    return vector / np.linalg.norm(vector)


def png(image):
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def labels_of(sample):
    return [
        {"sample_id": sample.id, "field": "ground_truth", "label_id": label.id}
        for label in sample.ground_truth.detections
    ]


def test_a_sample_finds_itself(indexed):
    sample = indexed.skip(4).first()
    vector = mix(Index(indexed, KEY), sample_ids=[sample.id])
    assert vector.dtype == np.float32 and vector.shape == (len(vector),)
    np.testing.assert_allclose(vector, unit(sample["detail_embedding"]), atol=1e-6)
    answer = search(Index(indexed, KEY), indexed, vector, 3, method="vectors")
    assert answer.ids[0] == sample.id and answer.scores[0] == pytest.approx(1, abs=1e-3)


def test_the_vector_of_k_is_their_mean(indexed):
    sample = indexed.skip(4).first()
    (own,) = examples.of_samples(Index(indexed, FEW), [sample.id])
    vectors, ids, _ = indexed.load_brain_results(FEW).get_embeddings()
    rows = np.asarray(vectors)[np.asarray(ids) == sample.id]
    assert len(rows) == 3
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(own, unit((rows / lengths).mean(axis=0)), atol=1e-6)


def test_several_samples_count_alike(indexed):
    ids = indexed.limit(3).values("id")
    vectors = [unit(v) for v in indexed.limit(3).values("detail_embedding")]
    got = mix(Index(indexed, KEY), sample_ids=ids)
    np.testing.assert_allclose(got, unit(np.sum(vectors, axis=0)), atol=1e-5)


def test_a_crop_finds_images_that_show_the_object(indexed):
    """The object's own image apart, the others with it come before the rest."""
    concepts = {}
    for sample in indexed:
        for label in sample.ground_truth.detections:
            concepts.setdefault(label.label, {}).setdefault(sample.id, label)
    gains, own = [], []
    for of in concepts.values():
        if not 2 <= len(of) < len(indexed) / 2:
            continue
        (sample_id, label), *_ = of.items()
        box = Box(indexed[sample_id].filepath, label.bounding_box)
        ids = search(
            Index(indexed, KEY),
            indexed,
            mix(Index(indexed, KEY), boxes=[box]),
            1000,
        ).ids
        own.append(ids.index(sample_id))
        others = [id for id in ids if id != sample_id]
        places = [others.index(id) for id in of if id != sample_id]
        chance = (len(others) - 1) / 2
        gains.append(chance - np.mean(places))
    gains = np.array(gains)
    assert len(gains) >= 8
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    assert gains.mean() > 2 * error  # places ahead of chance
    assert np.mean(own) < 6  # of 24; the middle is 11.5


def test_boxes_of_selected_labels(indexed):
    sample = indexed.first()
    boxes = boxes_of(indexed, labels_of(sample))
    detections = sample.ground_truth.detections
    assert [box.bounding_box for box in boxes] == [d.bounding_box for d in detections]
    assert {box.filepath for box in boxes} == {sample.filepath}
    extra = labels_of(sample)[0] | {"label": "as the App", "frame_number": None}
    assert boxes_of(indexed, [extra]) == boxes[:1]


@pytest.fixture
def odd(indexed):
    """A sample with labels that are no boxes."""
    sample = fo.Sample(
        filepath=indexed.first().filepath,
        tag=fo.Classification(label="a"),
        line=fo.Polylines(polylines=[fo.Polyline(points=[[(0, 0), (1, 1)]])]),
        one=fo.Detection(label="a", bounding_box=[0.1, 0.2, 0.3, 0.4]),
        unboxed=fo.Detections(detections=[fo.Detection(label="no box")]),
        none=None,
        number=3,
    )
    indexed.add_sample(sample)
    yield sample
    indexed.delete_samples([sample.id])


def test_a_box_that_stands_alone(indexed, odd):
    label = {"sample_id": odd.id, "field": "one", "label_id": odd.one.id}
    assert boxes_of(indexed, [label]) == [Box(odd.filepath, [0.1, 0.2, 0.3, 0.4])]


@pytest.mark.parametrize(
    "field", ["tag", "line", "unboxed", "ground_truth", "number", "gone"]
)
def test_a_label_without_a_box(indexed, odd, field):
    label = {"sample_id": odd.id, "field": field, "label_id": "0" * 24}
    if field == "tag":
        label["label_id"] = odd.tag.id
    if field == "line":
        label["label_id"] = odd.line.polylines[0].id
    if field == "unboxed":
        label["label_id"] = odd.unboxed.detections[0].id
    with pytest.raises(ValueError, match="has no box: select another"):
        boxes_of(indexed, [label])


def test_a_label_of_a_sample_that_is_gone(indexed):
    label = labels_of(indexed.first())[0] | {"sample_id": "0" * 24}
    with pytest.raises(ValueError, match="has no box: select another"):
        boxes_of(indexed, [label])


@pytest.fixture
def halves(tmp_path):
    """A wide picture, red on the left and blue on the right."""
    image = Image.new("RGB", (300, 100), RED)
    image.paste(BLUE, (150, 0, 300, 100))
    image.save(tmp_path / "halves.png")
    return str(tmp_path / "halves.png")


@pytest.mark.parametrize(
    "box, size, colour",
    [
        ([0.0, 0.0, 0.1, 0.1], 30, RED),
        ([0.9, 0.9, 0.1, 0.1], 30, BLUE),  # in the corner
        ([0.95, 0.0, 0.2, 0.1], 60, BLUE),  # over the edge
        ([-0.05, -0.2, 0.1, 0.3], 30, RED),
        ([0.2, 0.5, 0.0, 0.0], 1, RED),  # a point
        ([1.0, 1.0, 0.0, 0.0], 1, BLUE),
        ([0.0, 0.0, 0.3, 1.0], 100, RED),
    ],
)
def test_a_crop_is_a_square_within_the_image(halves, box, size, colour):
    crop = examples.crop(Box(halves, box))
    assert crop.size == (size, size)
    assert (np.asarray(crop) == colour).all()


def test_a_box_as_large_as_the_image(indexed, halves):
    assert examples.crop(Box(halves, [0.0, 0.0, 1.0, 1.0])).size == (100, 100)
    vector = mix(Index(indexed, KEY), boxes=[Box(halves, [0.99, 0.99, 0.01, 0.01])])
    np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-5)


def test_a_crop_is_what_the_index_saw(tmp_path):
    """16 bits and transparency as the reader of the index takes them."""
    grey = np.full((50, 50), 2**15, np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    for name, value in (("grey.png", 128), ("clear.png", 255)):
        crop = examples.crop(Box(str(tmp_path / name), [0, 0, 1, 1]))
        assert (np.asarray(crop) == value).all()
        picture = examples._open((tmp_path / name).read_bytes())
        assert (np.asarray(picture) == value).all()


def test_bytes_and_an_open_picture_are_the_same(indexed, halves):
    with open(halves, "rb") as file:
        data = file.read()
    one, other = (mix(
        Index(indexed, KEY), pictures=[p]
    ) for p in (data, Image.open(halves)))
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert abs(np.linalg.norm(one) - 1) < 1e-5


def test_a_turned_photo_is_turned_back():
    image = Image.new("RGB", (40, 20), RED)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    image.save(file, "JPEG", exif=exif)
    assert examples._open(file.getvalue()).size == (20, 40)


def test_text_and_examples_are_weighed(indexed):
    sample = indexed.first()
    text = query_vectors.encode(Index(indexed, KEY), "red metal cube")
    example = unit(sample["detail_embedding"])
    for weight in (0.5, 1.0, 3.0, -0.4):
        got = mix(Index(indexed, KEY), "red metal cube", [sample.id], weight=weight)
        np.testing.assert_allclose(got, unit(text + weight * example), atol=1e-5)
    plain = mix(Index(indexed, KEY), "red metal cube", templates="plain")
    np.testing.assert_allclose(
        plain, query_vectors.encode(
            Index(indexed, KEY), "red metal cube", "plain"
        ), atol=1e-6
    )


def test_a_negative_weight_pushes_away(indexed):
    id = search(Index(indexed, KEY), indexed, "red metal cube", 1).ids[0]
    text = mix(Index(indexed, KEY), "red metal cube", [id], weight=-0.8)
    assert search(Index(indexed, KEY), indexed, text, 1000).ids.index(id) > 0
    alone = mix(Index(indexed, KEY), sample_ids=[id], weight=-1.0)
    assert search(Index(indexed, KEY), indexed, alone, 1000).ids[-1] == id


def test_what_was_mixed_before_is_an_example_again(indexed):
    ids = indexed.limit(2).values("id")
    before = mix(Index(indexed, KEY), sample_ids=ids)
    got = mix(Index(indexed, KEY), "a cube", vector=before.tolist(), weight=2.0)
    want = mix(Index(indexed, KEY), "a cube", ids, weight=2.0)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_samples_boxes_and_pictures_together(indexed, halves):
    ids = indexed.limit(1).values("id")
    boxes = [Box(halves, [0, 0, 0.2, 0.2])]
    pictures = [Image.new("RGB", (30, 30), BLUE)]
    parts = [
        mix(Index(indexed, KEY), sample_ids=ids),
        mix(Index(indexed, KEY), boxes=boxes),
        mix(Index(indexed, KEY), pictures=pictures),
    ]
    got = mix(Index(indexed, KEY), None, ids, boxes, pictures)
    np.testing.assert_allclose(got, unit(np.sum(parts, axis=0)), atol=1e-4)
