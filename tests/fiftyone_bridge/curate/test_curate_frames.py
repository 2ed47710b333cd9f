"""Curating the frames of videos: what they are given stays with the videos."""

import fiftyone as fo
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.curate import judge_labels
from detail_embed.fiftyone_bridge.curate.classify import classify
from detail_embed.fiftyone_bridge.curate.diverse_subset import select_diverse_subset
from detail_embed.fiftyone_bridge.curate.labelled import Labelled
from detail_embed.fiftyone_bridge.curate.mistaken_labels import find_mistaken_labels
from detail_embed.fiftyone_bridge.curate.near_duplicates import find_near_duplicates
from detail_embed.fiftyone_bridge.index.settings import Settings
from tests.videos import load_videos

ONE = Settings(backbone=DEMO, cover=1, fuser="mean", vectors=1, device="cpu",
               keep_features=False)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    made = load_videos(folder)
    frames = made.to_frames(sample_frames=True, output_dir=str(folder), fps=5)
    DetailIndex.of(frames, "detail").compute(frames, ONE, also_global=False)
    yield made
    made.delete()


def test_tags_of_frames_stay_and_say_what_is_labelled(videos):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    same = find_near_duplicates(index, frames, 2.0, tag="copy").finish()
    assert same.duplicates
    chosen = select_diverse_subset(index, frames, n=3, tag="todo").finish()
    again = videos.to_frames()  # which FiftyOne makes anew
    assert len(again.match_tags("copy")) == same.duplicates
    assert again.match_tags("todo").values("id") == sorted(chosen.ids)

    known = Labelled(tag="todo")
    rest = select_diverse_subset(index, again, n=2, labelled=known).finish()
    assert rest.labelled == 3 and not set(rest.ids) & set(chosen.ids)

    assert index.tag("a cube", "copy", threshold=-9).hits == len(frames)
    assert len(videos.to_frames().match_tags("copy")) == len(frames)


def test_mistaken_labels_of_frames_are_found(videos):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    names = ["a cube", "a sphere"] * 6
    values = [fo.Classification(label=name) for name in names]
    frames.set_values("sort", values)
    with pytest.raises(ValueError, match="label_field must be given.*frames.*'sort'"):
        find_mistaken_labels(index, frames)
    for samples in (frames, videos):
        found = find_mistaken_labels(index, samples, "sort", count=3).finish()
        assert len(found.mistakenness) == 12 and len(found.view) == 3
        kept = videos.values("frames.sort.suggested_label", unwind=True)
        assert len([name for name in kept if name]) == 12
        again = videos.to_frames().values("sort.mistakenness")
        assert sorted(again) == sorted(found.mistakenness.values())
    report = judge_labels.read(videos)
    ids = judge_labels.view_of(videos, report).values("id")
    assert ids == found.view.values("id")


def test_labels_of_frames_say_what_is_labelled(videos):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    some = frames.limit(5)
    classify(index, some, ["a cube", "a sphere"], "kind").finish()
    known = Labelled(field="kind")
    rest = select_diverse_subset(index, frames, n=2, labelled=known).finish()
    assert rest.labelled == 5 and not set(rest.ids) & set(some.values("id"))
