"""Boxes that are labels of the frames of videos: all that boxes of images can do."""

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.compute.embeddings_map import map_embeddings
from detail_embed.fiftyone_bridge.curate import judge_labels
from detail_embed.fiftyone_bridge.curate.mistaken_labels import find_mistaken_labels
from detail_embed.fiftyone_bridge.curate.near_duplicates import find_near_duplicates
from detail_embed.fiftyone_bridge.curate.outliers import find_outliers
from detail_embed.fiftyone_bridge.index.facts import facts
from detail_embed.fiftyone_bridge.samples import private_names
from detail_embed.fiftyone_bridge.teach import judged
from tests.videos import load_videos

ROOT = Path(__file__).parents[3]
FIELD, VECTOR = "things", "detail_boxes_embedding"
CHOICES = {
    "backbone": DEMO, "cover": 2, "fuser": "mean", "vectors": 1, "device": "cpu",
    "keep_features": False, "patches_field": FIELD, "also_global": False,
}


def add_boxes(videos):
    """Two boxes in each frame that has a file."""
    rng = np.random.default_rng(0)
    for video in videos:
        for frame in video.frames.values():
            frame[FIELD] = fo.Detections(detections=[
                fo.Detection(label=name, bounding_box=[*rng.uniform(0, 0.5, 2), .4, .4])
                for name in ("a cube", "a sphere")
            ])
        video.save()


@pytest.fixture
def videos(tmp_path):
    made = load_videos(tmp_path)
    made.to_frames(sample_frames=True, output_dir=str(tmp_path / "frames"), fps=5)
    add_boxes(made)
    yield made
    made.delete()


def vectors(videos):
    labels = videos.values(f"frames.{FIELD}.detections", unwind=True)
    labels = [x for x in labels if x is not None]
    return {
        x.id: x[VECTOR] for x in labels if x.has_field(VECTOR) and x[VECTOR] is not None
    }


def test_boxes_of_frames_are_embedded_and_found(videos):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    result = index.compute(frames, **CHOICES)
    assert (result.embedded, result.boxes, result.failed_boxes) == (12, 24, 0)
    held = vectors(videos)
    assert len(held) == 24
    shown = [x for some in frames.values(f"{FIELD}.detections") for x in some]
    assert {x.id for x in shown} == set(held)
    assert all(np.array_equal(x[VECTOR], held[x.id]) for x in shown)

    boxes = index.boxes
    found = boxes.search("a red cube", k=5)
    assert found.noun == "boxes" and len(found.ids) == 5 and all(found.boxes)
    assert set(found.ids) <= set(held)
    assert found.view.values("id") == found.ids
    assert found.view.values("frame_id") == found.sample_ids
    assert found.images.view.values("id") == found.images.ids
    alike = boxes.search(like=found.ids[:1], k=3)
    assert alike.ids[0] == found.ids[0] or found.ids[0] not in alike.ids
    some = boxes.search("a red cube", frames.limit(2), k=None)
    assert len(some.ids) == 4
    patches = frames.to_patches(FIELD)
    assert len(boxes.search("a red cube", patches.limit(3), k=None).ids) == 3
    one = videos.limit(1)
    assert len(boxes.search("a red cube", one, k=None).ids) == 12


@pytest.mark.slow
def test_new_and_moved_boxes_of_frames_are_embedded(videos, tmp_path):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    index.compute(frames.limit(3), **CHOICES)
    assert len(vectors(videos)) == 6
    video = videos.first()
    numbers = [n for n, frame in video.frames.items() if frame.filepath]
    things = video.frames[numbers[0]][FIELD].detections
    before = things[0][VECTOR]
    things[0].bounding_box = [0.5, 0.5, 0.3, 0.3]
    things[1].bounding_box = [0.5, 0.5, 0.0, 0.3]
    new = fo.Detection(label="a cone", bounding_box=[0, 0, 0.5, 0.5])
    things.append(new)
    video.save()
    result = index.update(videos.to_frames())
    assert (result.boxes, result.failed_boxes) == (2 + 9 * 2, 1)
    held = vectors(videos)
    assert len(held) == 24 and new.id in held and things[1].id not in held
    assert not np.allclose(held[things[0].id], before)
    reasons = videos.distinct(f"frames.{FIELD}.detections.detail_boxes_error")
    assert len(reasons) == 1
    assert index.boxes.coverage().embedded == 12
    assert len(index.boxes.search("a cube", k=None).ids) == 24


ELSEWHERE = """
import sys, fiftyone as fo
sys.path.insert(0, sys.argv[1])
from detail_embed.fiftyone_bridge import DetailIndex
videos = fo.load_dataset(sys.argv[2])
view = videos.load_saved_view("frames")
index = DetailIndex.of(view, "detail")
boxes = index.boxes
found = index.search("a red cube", view, k=4)
native = view.sort_by_similarity("a red cube", brain_key="detail", k=4)
assert found.view.values("id") == found.ids == native.values("id")
index.tag("a red cube", "there", view, threshold=-9)
found = boxes.search("a red cube", view, k=4)
assert found.view.values("id") == found.ids
patches = view.to_patches("things")
native = patches.sort_by_similarity("a red cube", brain_key="detail_boxes", k=4)
boxes.tag("a red cube", "there", view, threshold=-9)
print(*found.ids)
print(*native.values("id"))
"""


@pytest.mark.slow
def test_another_process_searches_frames_and_their_boxes(videos, fresh_python):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    index.compute(frames, **CHOICES)
    videos.save_view("frames", frames)
    for lost in {private_names.own_dataset(view).name
                 for view in (frames, index.images())}:
        fo.delete_dataset(lost)  # FiftyOne makes these anew
    done = fresh_python(ELSEWHERE, ROOT, videos.name)
    assert done.returncode == 0, done.stderr
    ours, native = (line.split() for line in done.stdout.splitlines()[-2:])
    assert ours == native == index.boxes.search("a red cube", k=4).ids
    videos.reload()
    tags = videos.count_label_tags(label_fields=f"frames.{FIELD}")
    assert tags == {"there": 24}
    assert len(videos.to_frames().match_tags("there")) == 12


@pytest.mark.slow
def test_boxes_of_frames_are_curated(videos, tmp_path):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    index.compute(frames, **CHOICES)
    boxes = index.boxes
    same = find_near_duplicates(boxes, frames, 2.0, tag="copy").finish()
    assert same.noun == "boxes" and same.duplicates
    held = videos.count_label_tags(label_fields=f"frames.{FIELD}")
    assert held == {"copy": same.duplicates}
    again = videos.to_frames().count_label_tags(label_fields=FIELD)
    assert again == held

    odd = find_outliers(boxes, frames, 5).finish()
    assert len(odd.view) == 5
    values = videos.values(f"frames.{FIELD}.detections.detail_boxes_uniqueness")
    assert np.isfinite(odd.view.values(odd.field)).all() and values

    drawn = map_embeddings(boxes, frames, "pca").finish()
    assert drawn.images == 24
    mapped = videos.load_brain_results("detail_boxes_map")
    assert mapped.total_index_size == 24 and len(mapped.points) == 24

    wrong = find_mistaken_labels(boxes, frames, count=7).finish()
    assert len(wrong.view) == 7 and wrong.view.values("id") == list(wrong.suggested)[:7]
    kept = videos.values(f"frames.{FIELD}.detections.mistakenness", unwind=True)
    assert len([x for x in kept if x is not None]) == 24
    report = judge_labels.read(videos)
    assert judge_labels.view_of(videos, report).values("id") == wrong.view.values("id")

    assert boxes.tag("a cube", "hit", frames, threshold=-9).hits == 24
    assert boxes.export(tmp_path / "boxes.parquet", frames).vectors == 24
    assert {one.brain_key for one in facts(videos)} >= {"detail", "detail_boxes"}

    index.rename("other")
    renamed = DetailIndex(videos, "other_boxes")
    assert len(renamed.search("a cube", k=4).ids) == 4
    DetailIndex(videos, "other").delete()
    left = [
        path for path in videos.get_frame_field_schema(flat=True)
        if "other" in path or VECTOR in path
    ]
    shown = [
        path for path in videos.to_frames().get_field_schema(flat=True)
        if "other" in path or VECTOR in path
    ]
    assert not left and not shown
    assert not [key for key in videos.list_brain_runs() if "other" in key]
    assert videos.count(f"frames.{FIELD}.detections") == 24


def test_single_boxes_may_be_deleted_and_examples_are_known(videos):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    patches = frames.to_patches(FIELD)  # which ask for their boxes
    index.compute(patches, **CHOICES | {"patches_field": None})
    assert len(vectors(videos)) == 24
    id = index.boxes.search("a cube", k=1).ids[0]
    marks, _ = judged.read(videos, [id], "positives")
    assert marks[0].box is not None
    patches = frames.to_patches(FIELD).select(id)
    (mark,) = judged.selected(patches, [id], None)
    assert mark.sample_id == marks[0].sample_id
    index.boxes.delete()
    assert not vectors(videos) and "detail" in videos.list_brain_runs()
    assert index.search("a cube", k=2).ids


def test_what_cannot_be_used_of_frames_is_said(videos):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    for field in ("nowhere", f"frames.{FIELD}"):
        with pytest.raises(ValueError, match="no such field.*'things'"):
            index.compute(frames, **CHOICES | {"patches_field": field})
    videos.add_frame_field("none", fo.EmbeddedDocumentField,
                           embedded_doc_type=fo.Detections)
    with pytest.raises(ValueError, match="none of these images has a label"):
        index.compute(videos.to_frames(), **CHOICES | {"patches_field": "none"})
    assert not videos.list_brain_runs() and not videos.list_runs()

    labels = [[fo.Detection(bounding_box=[0, 0, 0.5, 0.5]) for _ in some]
              for some in videos.values("frames.id")]
    videos.set_values("frames.one", labels)
    with pytest.raises(ValueError, match="holds one Detection") as refused:
        index.compute(videos.to_frames(), **CHOICES | {"patches_field": "one"})
    code, _ = str(refused.value).split("lists, ")[1].split(", make the view")
    exec(code, {"fo": fo, "dataset": videos})
    again = videos.to_frames()
    assert index.compute(again, **CHOICES | {"patches_field": "ones"}).boxes == 12
