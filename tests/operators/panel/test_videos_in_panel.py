"""The panel on a dataset of videos: it offers an index, and shows clips."""

import shutil

import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.video.index_videos import index_videos
from tests.browser import Browser
from tests.videos import load_videos

pytestmark = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="frames of videos are made by ffmpeg"
)
SETTINGS = Settings(
    backbone=DEMO, cover=2, fuser="mean", vectors=2, device="cpu", keep_features=False
)


@pytest.fixture
def videos(tmp_path):
    dataset = load_videos(tmp_path, count=3)
    yield dataset
    dataset.delete()


def test_without_an_index_one_is_offered(panel, videos, monkeypatch):
    browser = Browser(panel, videos.name)
    browser.event("on_load")
    assert "3 videos and no index yet" in browser.part("intro")["default"]
    assert browser.part("start.compute")["view"]["label"] == "Index the videos"
    browser.event("on_compute")
    assert browser.asked()[0] == "index_videos"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    browser.event("on_load")
    assert "apt-get install ffmpeg" in browser.message


@pytest.mark.slow
def test_a_search_shows_clips_and_a_click_opens_one(panel, videos):
    index_videos(Index(videos, "detail"), videos, SETTINGS, 5).finish()
    browser = Browser(panel, videos.name)
    browser.event("on_load")
    assert browser.search("a red cube") is None
    view = browser.shown(videos)
    assert view.media_type == "video"
    assert set(view.values("sample_id")) == set(videos.values("id"))
    assert set(videos.exists("detail_hits").values("id")) == set(videos.values("id"))
    assert "of 3 videos, best first, by their best frame" in browser.summary
    assert browser.active == ["detail_hits"]
    assert browser.part("search.buttons.where") is None
    assert browser.part("search.teach") is None
    hits = browser.part("search.strip")["view"]["hits"]
    assert len(hits) == 3
    for hit in hits:  # when the clip starts and ends
        start, end = hit["score"].split("\N{EN DASH}")
        assert start.startswith("0:0") and start < end
    assert "frames, " in browser.get("captions")["detail"]
    clips = view.values("id")
    browser.event("on_open", id=clips[0])
    assert ("open_sample", clips[0]) in [(n, p.get("id")) for n, p in browser.requests]

    browser.search("a red cube", k=1)  # in the dataset, not in the clips shown
    assert len(set(browser.shown(videos).values("sample_id"))) == 1
    browser.search("a red cube", pool="mean", within="view", k=25)
    assert "of 3 videos, best first, by the mean of their frames" in browser.summary
    said = browser.search("a red cube", threshold=50.0)
    assert "to lower the threshold" in said and not len(browser.shown(videos))
    browser.event("on_clear")
    assert browser.view == [] and browser.active == ["ground_truth"]


def test_frames_are_searched_as_images(panel, videos):
    index_videos(Index(videos, "detail"), videos, SETTINGS, 5).finish()
    browser = Browser(panel, videos.name)
    browser.view = videos.to_frames()._serialize()
    browser.event("on_load")
    assert browser.search("a red cube", within="view") is None
    assert browser.shown(videos).media_type == "image"
    assert "of 18 images" in browser.summary
