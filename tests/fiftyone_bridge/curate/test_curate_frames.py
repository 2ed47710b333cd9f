"""Curating the frames of videos: what they are given stays with the videos."""

import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.curate.classify import classify
from detail_embed.fiftyone_bridge.curate.diverse_subset import select_diverse_subset
from detail_embed.fiftyone_bridge.curate.labelled import Labelled
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


def test_labels_of_frames_say_what_is_labelled(videos):
    frames = videos.to_frames()
    index = DetailIndex.of(frames, "detail")
    some = frames.limit(5)
    classify(index, some, ["a cube", "a sphere"], "kind").finish()
    known = Labelled(field="kind")
    rest = select_diverse_subset(index, frames, n=2, labelled=known).finish()
    assert rest.labelled == 5 and not set(rest.ids) & set(some.values("id"))
