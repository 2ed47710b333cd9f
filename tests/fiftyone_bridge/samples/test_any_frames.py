"""Frames of videos: embedded, searched, shown where, tagged; the videos keep it all."""

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples import private_names
from tests.videos import load_videos

ROOT = Path(__file__).parents[3]
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


ELSEWHERE = """
import sys, fiftyone as fo
sys.path.insert(0, sys.argv[1])
from detail_embed.fiftyone_bridge import DetailIndex
videos = fo.load_dataset(sys.argv[2])
view = videos.load_saved_view("frames")
index = DetailIndex.of(view, "detail")
found = index.search("a red cube", view, k=4)
native = view.sort_by_similarity("a red cube", brain_key="detail", k=4)
assert found.view.values("id") == found.ids
index.tag("a red cube", "there", view, threshold=-9)
print(*found.ids)
print(*native.values("id"))
"""


def test_another_process_searches_the_saved_view(videos, tmp_path, fresh_python):
    frames = frames_of(videos, tmp_path, fps=5)
    index = DetailIndex.of(frames, "detail")
    index.compute(frames, ONE)
    videos.save_view("frames", frames)
    shown = index.images()
    for lost in {private_names.own_dataset(view).name for view in (frames, shown)}:
        fo.delete_dataset(lost)  # FiftyOne makes these anew
    done = fresh_python(ELSEWHERE, ROOT, videos.name)
    assert done.returncode == 0, done.stderr
    ours, native = (line.split() for line in done.stdout.splitlines()[-2:])
    assert ours == index.search("a red cube", k=4).ids
    assert ours == native
    videos.reload()
    assert len(videos.to_frames().match_tags("there")) == 12
