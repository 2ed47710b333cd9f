"""Concepts that are taught by frames of videos."""

import shutil

import fiftyone as fo
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.classifiers import train_classifier
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.video.index_videos import index_videos
from tests.videos import write_video

pytestmark = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="frames of videos are made by ffmpeg"
)
SETTINGS = Settings(
    backbone=DEMO, cover=1, fuser="mean", vectors=1, device="cpu", keep_features=False
)


def test_frames_teach_and_are_found(tmp_path):
    paths = [write_video(tmp_path / f"{i}.mp4", 20, i) for i in range(2)]
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths])
    index = DetailIndex(dataset, "detail")
    index_videos(index, dataset, SETTINGS, fps=2).finish()
    first, *_, last = ids = index.images().values("id")
    concept = index.teach("it", [first], [last])
    assert [mark.sample_id for mark in concept.positives] == [first]
    found = index.search("#it", k=len(ids)).ids
    assert found.index(first) < found.index(last)
    assert first not in index.most_uncertain("#it", k=2).ids
    with pytest.raises(ValueError, match="is a whole video: give frames of it"):
        index.teach("other", [dataset.first().id])
    with pytest.raises(ValueError, match="make a dataset of the frames"):
        train_classifier(index, "anything")
    dataset.delete()
