"""Frames of videos: embedded, searched, shown where, tagged; the videos keep it all."""


import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.index.settings import Settings
from tests.videos import load_videos

SETTINGS = Settings(
    backbone=DEMO, cover=2, fuser="mean", vectors=2, device="cpu", keep_features="int8"
)
ONE = Settings(backbone=DEMO, cover=2, fuser="mean", vectors=1, keep_features=False)


@pytest.fixture
def videos(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    made = load_videos(tmp_path)
    yield made
    made.delete()


def frames_of(videos, folder, **options):
    return videos.to_frames(
        sample_frames=True, output_dir=str(folder / "frames"), **options
    )


def test_frames_keep_what_is_made_of_them(videos, tmp_path):
    frames = frames_of(videos, tmp_path, fps=5)
    index = DetailIndex.of(frames, "detail")
    result = index.compute(frames, SETTINGS)
    assert result.embedded == len(frames) == 12
    kept = videos.values("frames.detail_embedding", unwind=True)
    shown = frames.values("detail_embedding")
    assert np.array_equal(np.stack(kept), np.stack(shown))
    found = index.search("a red cube", frames, k=5)
    assert found.view.values("id") == found.ids and len(found.ids) == 5
    assert set(found.ids) <= set(videos.values("frames.id", unwind=True))
    assert found.view.has_field("detail_score") and len(found.patches()) == 5

    shown = index.show_where("a red cube", frames)
    assert shown.images == 12 and not shown.failed
    assert None not in frames.values("detail_where")
    assert None not in videos.values("frames.detail_heatmap", unwind=True)

    assert index.tag("a red cube", "seen", frames, threshold=-9).hits == 12
    assert index.coverage(frames).embedded == index.coverage().embedded == 12
    assert index.export(tmp_path / "x.parquet", frames).images == 12
    bare = frames.select_fields()
    assert index.coverage(bare).embedded == 12
    assert index.export(tmp_path / "y.parquet", bare).images == 12
    again = videos.to_frames()
    assert len(again.match_tags("seen")) == 12 and again.has_field("detail_where")


@pytest.mark.slow
def test_what_an_index_lacks_is_added(videos, tmp_path):
    some = frames_of(videos, tmp_path, fps=2)
    index = DetailIndex.of(some, "detail")
    assert index.compute(some, ONE).embedded == 6
    more = frames_of(videos, tmp_path, fps=5)
    assert index.coverage(more).embedded == 4  # every fifth frame, and every second
    assert index.update(more).embedded == 8
    assert index.coverage().embedded == 14
    assert len(index.search("a cube", k=None).ids) == 14
    assert len(index.search("a cube", some, k=None).ids) == 6
    assert len(index.search("a cube", videos.limit(1), k=None).ids) == 7
    native = videos.load_brain_results("detail")
    assert native.total_index_size == 14
    index.delete()
    assert not videos.list_brain_runs() and not videos.list_runs()
    left = {field for field in videos.get_frame_field_schema() if "detail" in field}
    assert left <= {"detail_score", "detail_match", "detail_where", "detail_heatmap"}
