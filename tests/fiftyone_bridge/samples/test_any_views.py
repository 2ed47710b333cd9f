"""Patches, dynamic groups and slices of groups mean images; clips mean frames."""

from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone import ViewField as F

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.images import images_of
from tests.tiny import write_images
from tests.videos import load_videos, write_video

SETTINGS = Settings(backbone=DEMO, cover=2, fuser="mean", vectors=1,
                    keep_features=False)
TEXT = "a red cube"


@pytest.fixture(scope="module")
def scenes_index(loaded, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        dataset = loaded.clone(persistent=True)
        index = DetailIndex(dataset, "detail")
        index.compute(dataset, SETTINGS)
        yield index
        dataset.delete()


def evaluated(dataset):
    if not dataset.has_field("guess"):
        dataset.clone_sample_field("ground_truth", "guess")
        dataset.evaluate_detections("guess", "ground_truth", eval_key="eval")
    return dataset.to_evaluation_patches("eval")


VIEWS = {
    "patches": lambda d: d.limit(6).to_patches("ground_truth"),
    "some patches": lambda d: d.to_patches("ground_truth").limit(5),
    "evaluation": lambda d: evaluated(d).limit(9),
    "grouped": lambda d: d.limit(9).group_by("background"),
    "ordered groups": lambda d: d.group_by("background", order_by="filepath"),
}


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.slow
def test_what_is_made_of_images_means_these(kind, scenes_index, tmp_path):
    index, dataset = scenes_index, scenes_index.dataset
    view = VIEWS[kind](dataset)
    images = images_of(view)
    ids = images.values("id")
    path = "sample_id" if "sample_id" in view.get_field_schema() else "id"
    assert set(view.values(path)) <= set(ids) <= set(dataset.values("id"))
    found = index.search(TEXT, view, k=None)
    assert sorted(found.ids) == sorted(ids) and found.view.values("id") == found.ids
    assert index.show_where(TEXT, view).images == len(ids)
    assert index.tag(TEXT, "met", view, threshold=-9).hits == len(ids)
    assert sorted(dataset.match_tags("met").values("id")) == sorted(ids)
    dataset.untag_samples("met")
    assert index.coverage(view).embedded == len(ids)
    assert index.update(view).present == len(ids)
    assert index.export(tmp_path / "x.parquet", view).images == len(ids)


def test_a_new_index_of_patches_has_their_boxes(dataset):
    patches = dataset.limit(3).to_patches("ground_truth")
    index = DetailIndex.of(patches, "detail")
    made = index.compute(patches, SETTINGS)
    assert made.embedded == 3 and made.boxes + made.failed_boxes >= len(patches)
    some = patches.limit(4)
    found = index.boxes.search(TEXT, some, k=None)
    assert set(found.ids) <= set(some.values("id"))
    assert set(index.search(TEXT, some, k=None).ids) == set(some.values("sample_id"))


def test_grouped_by_a_view_it_is_computed(dataset):
    view = dataset.limit(8).group_by("background")
    index = DetailIndex.of(view, "detail")
    assert index.compute(view, SETTINGS).embedded == 8
    assert len(dataset.exists("detail_embedding")) == 8


@pytest.fixture
def groups(tmp_path):
    """Four groups of two images and a video."""
    made = fo.Dataset(persistent=True)
    made.add_group_field("group", default="left")
    paths = iter(write_images(tmp_path, [(64, 64)] * 8))
    for number in range(4):
        group = fo.Group()
        for side in ("left", "right"):
            made.add_sample(
                fo.Sample(filepath=str(next(paths)), group=group.element(side))
            )
        film = str(tmp_path / f"{number}.mp4")
        made.add_sample(fo.Sample(filepath=film, group=group.element("film")))
    yield made
    made.delete()


def test_groups_mean_the_active_slice(groups, caplog):
    caplog.set_level("INFO")
    index = DetailIndex(groups, "detail")
    left = index.compute(groups, SETTINGS)
    assert left.embedded == 4 and left.group_slice == "left"
    assert "The active slice 'left'" in caplog.text
    groups.group_slice = "right"
    assert index.coverage(groups).missing == 4
    right = index.update(groups)
    assert right.embedded == 4 and right.group_slice == "right"

    both = groups.select_group_slices(["left", "right"])
    for active in ("left", "right", "film"):  # which only says what is meant
        groups.group_slice = active
        assert index.coverage(both).embedded == 8
        assert len(index.search(TEXT, both, k=None).ids) == 8
        native = both.sort_by_similarity(TEXT, brain_key="detail", k=8)
        assert len(native) == 8
    groups.group_slice = "right"
    found = index.search(TEXT, k=None)
    rights = groups.select_group_slices("right").values("id")
    assert sorted(found.ids) == sorted(rights)
    assert len(index.search(TEXT, groups.limit(2), k=None).ids) == 2
    assert index.tag(TEXT, "seen", threshold=-9).hits == 4
    assert index.show_where(TEXT).images == 4


def test_a_slice_without_images_is_told(groups):
    groups.group_slice = "film"
    index = DetailIndex(groups, "detail")
    message = r"the active slice 'film' .* choose one of .*\['left', 'right'\]"
    with pytest.raises(ValueError, match=message):
        index.compute(groups, SETTINGS)
    assert index.record is None


def test_frames_of_a_slice_of_videos_are_offered(groups, tmp_path):
    films = groups.select_group_slices("film")
    for number, path in enumerate(films.values("filepath")):
        write_video(Path(path), 12, number)
    films.compute_metadata()
    groups.group_slice = "film"
    with pytest.raises(ValueError, match="use the operator index_videos") as refused:
        DetailIndex(groups, "detail").compute(groups, SETTINGS)
    code = str(refused.value).rpartition("or give ")[2]
    frames = eval(code, {"dataset": groups})
    index = DetailIndex.of(frames, "detail")
    assert index.compute(frames, SETTINGS).embedded == len(frames) >= 4
    assert len(index.search(TEXT, frames, k=3).ids) == 3


@pytest.fixture
def clips(tmp_path):
    """Two videos of 12 frames, with two clips in the first and one in the other."""
    videos = load_videos(tmp_path)
    first, second = videos
    for video, spans in ((first, ([1, 4], [5, 8])), (second, ([2, 6],))):
        events = [fo.TemporalDetection(label="turn", support=span) for span in spans]
        video["events"] = fo.TemporalDetections(detections=events)
        video.save()
    yield videos.to_clips("events")
    videos.delete()


def test_clips_mean_their_frames(clips, tmp_path):
    index = DetailIndex.of(clips, "detail")
    with pytest.raises(ValueError, match=r"to_frames\(sample_frames=True"):
        index.compute(clips, SETTINGS)
    frames = clips.to_frames(sample_frames=True, output_dir=str(tmp_path / "frames"))
    assert index.compute(frames, SETTINGS).embedded == len(frames) == 13
    found = index.search(TEXT, clips, k=1)
    best = found.samples[found.ids[0]]
    nearest = found.shown.first()
    assert len(found.shown) == 1 and nearest.sample_id == best.sample_id
    first, last = nearest.support
    assert first <= best.frame_number <= last
    every = index.search(TEXT, clips, k=None)
    assert len(every.ids) == 13 and len(every.shown) == len(clips) == 3
    one = clips.match(F("support")[0] == 5)
    assert len(index.search(TEXT, one, k=None).ids) == 4
    assert index.tag(TEXT, "seen", one, threshold=-9).hits == 4
    assert index.show_where(TEXT, one).images == 4
    assert index.coverage(one).embedded == 4


def test_images_and_frames_do_not_mix(groups, clips, tmp_path):
    videos = fo.load_dataset(clips.dataset_name)
    with pytest.raises(ValueError, match=r"to_frames\(sample_frames=True"):
        DetailIndex(videos, "detail").compute(videos, SETTINGS)
    dynamic = videos.to_frames(sample_frames="dynamic")
    with pytest.raises(ValueError, match="no image files"):
        DetailIndex.of(dynamic, "detail").compute(dynamic, SETTINGS)
