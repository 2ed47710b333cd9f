"""Videos: frames by ffmpeg, an index of them, a search for videos and clips."""

import os
import shutil
from dataclasses import replace

import cv2
import fiftyone as fo
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.index import vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.video import ffmpeg
from detail_embed.fiftyone_bridge.video.clips import Frames, merge
from detail_embed.fiftyone_bridge.video.index_videos import index_videos
from detail_embed.fiftyone_bridge.video.make_frames import make_frames
from detail_embed.fiftyone_bridge.video.search_videos import search_videos
from tests.videos import write_video

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="frames of videos are made by ffmpeg"
)
SETTINGS = Settings(
    backbone=DEMO, cover=1, fuser="mean", vectors=1, device="cpu", keep_features=False
)


@pytest.fixture
def videos(tmp_path):
    """Two videos of 20 frames, 10 a second."""
    folder = tmp_path / "my videos"
    folder.mkdir()
    dataset = fo.Dataset(persistent=True)
    paths = [write_video(folder / f"{i}.mp4", 20, i) for i in range(2)]
    dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths])
    yield dataset
    dataset.delete()


def bad(dataset, folder):
    """Adds videos that give nothing; returns what is said of each."""
    whole = dataset.first().filepath
    content = open(whole, "rb").read()
    said = {
        "noise.mp4": (b"noise" * 100, "Invalid data found"),
        "cut.mp4": (content[: len(content) // 2], "moov atom|Invalid data"),
        "empty.mp4": (b"", "the file is empty"),
        "gone.mp4": (None, "the file is missing"),
        "50%.mp4": (content, "its path has a %"),
    }
    for name, (data, _) in said.items():
        if data is not None:
            (folder / name).write_bytes(data)
        dataset.add_sample(fo.Sample(filepath=str(folder / name)))
    writer = cv2.VideoWriter(
        str(folder / "none.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 64)
    )
    writer.release()
    dataset.add_sample(fo.Sample(filepath=str(folder / "none.mp4")))
    return {name: why for name, (_, why) in said.items()} | {"none.mp4": "0 frames"}


def closest(path, image):
    """The number of the frame of a video that an image is."""
    reader, frames = cv2.VideoCapture(str(path)), []
    while (read := reader.read())[0]:
        frames.append(read[1].astype(int))
    differences = np.abs(np.array(frames) - cv2.imread(image)).mean((1, 2, 3))
    return int(differences.argmin()) + 1


@pytest.mark.parametrize(
    ("total", "rate", "fps", "numbers"),
    [
        (20, 10, 2, [1, 6, 11, 16]),
        (20, 10, 10, range(1, 21)),
        (20, 10, 99, range(1, 21)),
        (20, 10, 0.1, [1]),
        (1, 25, 1, [1]),
        (90, 30000 / 1001, 1, [1, 31, 61]),
        (12, 10, 4, [1, 4, 6, 9, 11]),
    ],
)
def test_frames_are_evenly_apart(total, rate, fps, numbers):
    assert ffmpeg.frame_numbers(total, rate, fps) == list(numbers)


@needs_ffmpeg
@pytest.mark.parametrize("fps", [3, 10])
def test_images_are_of_the_frames_whose_number_they_have(videos, fps):
    result = make_frames(videos, fps).finish()
    expected = ffmpeg.frame_numbers(20, 10, fps)
    assert list(result.numbers.values()) == [expected, expected]
    assert result.frames == 2 * len(expected) and not result.failed
    shown = videos.to_frames()
    assert shown.values("frame_number") == 2 * expected
    path = videos.first().filepath
    for number, image in zip(expected, shown.values("filepath")):
        assert closest(path, image) == number
        assert image == f"{path[:-4]}/{number:06d}.jpg"
    assert not [name for name in os.listdir(path[:-4]) if name.startswith(".")]


@needs_ffmpeg
def test_frames_that_are_there_are_kept(videos):
    make_frames(videos, 2).finish()
    times = {p: os.stat(p).st_mtime_ns for p in videos.to_frames().values("filepath")}
    ids = videos.values("frames.id")
    make_frames(videos, 5).finish()
    assert len(videos.to_frames()) == 24
    assert all(os.stat(path).st_mtime_ns == time for path, time in times.items())
    assert set(sum(ids, [])) <= set(videos.values("frames.id", unwind=True))
    assert make_frames(videos, 2).finish().frames == 8


@needs_ffmpeg
def test_frames_of_a_video_that_has_changed_are_made_anew(videos):
    make_frames(videos, 2).finish()
    first, last = videos.values("frames.filepath")[0][::3]
    os.utime(first, (1, 1))  # older than the video
    before = os.stat(last).st_mtime_ns
    assert make_frames(videos, 2).finish().frames == 8
    assert os.stat(first).st_mtime > 1
    assert os.stat(last).st_mtime_ns == before
    assert closest(videos.first().filepath, first) == 1


@needs_ffmpeg
def test_a_bad_video_has_a_reason_and_the_others_go_on(videos, tmp_path):
    said = bad(videos, tmp_path)
    result = make_frames(videos, 2).finish()
    assert result.frames == 8 and len(result.failed) == 6
    for sample in videos:
        name = os.path.basename(sample.filepath)
        if name in said:
            assert pytest.approx(0) == len(sample.frames)
            assert any(part in sample.frames_error for part in said[name].split("|"))
        else:
            assert sample.frames_error is None
    (tmp_path / "empty.mp4").write_bytes(open(videos.first().filepath, "rb").read())
    assert len(make_frames(videos, 2).finish().failed) == 5
    rest = videos.match(fo.ViewField("frames_error") != None)  # noqa: E711
    assert len(rest) == 5
    with pytest.raises(ValueError, match="none of these 5 videos .*'frames_error'"):
        make_frames(rest, 2).finish()


@needs_ffmpeg
def test_too_many_frames_are_refused_before_the_first(videos):
    day = replace_metadata(videos, total_frame_count=24 * 3600 * 10)
    with pytest.raises(ValueError) as error:
        make_frames(day, 1).finish()
    said = str(error.value)
    assert "2 videos at fps=1 give 172,800 frames, more than max_frames=20,000" in said
    assert "fps=0.12 fits" in said and "max_frames=172800" in said
    assert not os.path.exists(videos.first().filepath[:-4])


def replace_metadata(videos, **changes):
    videos.compute_metadata()
    for sample in videos:
        for name, value in changes.items():
            sample.metadata[name] = value
        sample.save()
    return videos


@needs_ffmpeg
def test_frames_go_where_they_are_told(videos, tmp_path):
    make_frames(videos, 2, directory=tmp_path / "frames").finish()
    paths = videos.to_frames().values("filepath")
    assert all(path.startswith(str(tmp_path / "frames")) for path in paths)
    assert len({os.path.dirname(path) for path in paths}) == 2
    (tmp_path / "file").write_text("")
    videos.delete_frame_field("filepath")
    with pytest.raises(ValueError, match="cannot be written .*another directory"):
        make_frames(videos, 2, directory=tmp_path / "file").finish()


def test_without_ffmpeg_it_is_said_how_to_get_it(videos, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="apt-get install ffmpeg"):
        make_frames(videos)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"fps": 0}, "fps=0: give the frames per second"),
        ({"fps": "2"}, "fps='2'"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"fps": True}, "fps=True"),
        ({"max_frames": 0}, "max_frames=0: give a whole number"),
        ({"max_frames": 1.5}, "max_frames=1.5"),
    ],
)
def test_what_cannot_be_used_is_named(videos, arguments, said):
    with pytest.raises(ValueError, match=said):
        make_frames(videos, **arguments)


def test_what_holds_no_videos_is_refused(videos, dataset):
    with pytest.raises(ValueError, match="'image', not videos"):
        make_frames(dataset)
    with pytest.raises(ValueError, match="has no samples here"):
        make_frames(videos.limit(0))
    with pytest.raises(ValueError, match="a view of patches, clips or frames"):
        make_frames(videos.to_clips([[(1, 5)], [(2, 6)]]))
    with pytest.raises(TypeError, match="fo.load_dataset"):
        make_frames("videos")


@needs_ffmpeg
def test_videos_are_indexed_and_found_with_their_clips(videos, tmp_path):
    bad(videos, tmp_path)
    index = Index(videos, "detail")
    run = index_videos(index, videos, SETTINGS, 5, also_global=False)
    steps = [step.text for step in run]
    assert "20 frames of 2 videos, 5 a second" in steps
    result = run.result
    assert (result.videos, result.frames, result.embedded) == (2, 20, 20)
    assert (result.failed_videos, result.failed) == (6, 0)
    numbers = videos.first().frames
    assert [n for n in numbers] == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]

    held = vectors.load(index)
    second = videos.skip(1).first()
    wanted = second.frames[7]
    query = wanted["detail_embedding"]
    found = search_videos(index, query)
    assert found.ids == [second.id, videos.first().id]
    assert found.scores[0] == pytest.approx(1, abs=1e-5)
    assert found.scores[0] > found.scores[1]
    best = found.clips[0][0]
    assert best.best == 7 and best.first <= 7 and best.last >= 8
    assert (best.start, best.end) == ((best.first - 1) / 10, best.last / 10)
    assert found.frames_searched == len(held.ids) == 20
    assert found.frames[0] == wanted.id
    assert (found.searched, found.without) == (2, 6)

    above = found.z_scores[0] - 1e-3
    alone = search_videos(index, query, threshold=above, gap=0)
    assert alone.ids == [second.id] and len(alone.clips[0]) == 1
    assert (alone.clips[0][0].first, alone.clips[0][0].last) == (7, 8)
    assert not search_videos(index, query, threshold=99).ids

    part = search_videos(index, query, videos.limit(1))
    assert part.ids == [videos.first().id] and part.frames_searched == 10
    again = index_videos(index, videos, SETTINGS, 5, also_global=False).finish()
    assert (again.embedded, again.present) == (0, 20)


@needs_ffmpeg
def test_clips_are_labels_and_a_view(videos):
    index = Index(videos, "detail")
    index_videos(index, videos, SETTINGS, 5, also_global=False).finish()
    query = videos.skip(1).first().frames[7]["detail_embedding"]
    found = search_videos(index, query, k=1, threshold=None)
    view = found.clips_view()
    assert view.media_type == "video"
    assert view.values("sample_id")[0] == found.ids[0]
    assert len(view) == sum(map(len, found.clips))
    assert view.first().support == [found.clips[0][0].first, found.clips[0][0].last]
    videos.reload()
    label = videos[found.ids[0]].detail_hits.detections[0]
    assert label.best_frame == 7 and label.score == pytest.approx(1, abs=1e-3)
    assert videos.first().detail_hits is None
    other = videos.first().frames[1]["detail_embedding"]
    search_videos(index, other, k=1).write()
    assert videos.exists("detail_hits").values("id") == [videos.first().id]
    with pytest.raises(ValueError, match="'filepath' of .* holds something else"):
        found.write("filepath")
    own = fo.TemporalDetection(label="mine", support=[1, 4])
    videos.set_values("own", [fo.TemporalDetections(detections=[own])] * len(videos))
    with pytest.raises(ValueError, match="'own' of .* holds something else"):
        found.clips_view("own")  # labels of somebody, of the same kind
    assert videos.count_values("own.detections.label") == {"mine": len(videos)}
    for wrong in ("", None, 5):
        with pytest.raises(ValueError, match="field=.*give the name of a field"):
            found.write(wrong)
    found.write("others")
    found.write("others")  # again


@needs_ffmpeg
def test_the_mean_of_the_frames_is_the_vector_of_a_video(videos):
    index = Index(videos, "detail")
    index_videos(index, videos, SETTINGS, 5, also_global=False).finish()
    query = videos.first().frames[1]["detail_embedding"]
    found = search_videos(index, query, pool="mean")
    unit = query / np.linalg.norm(query)
    for id, score in zip(found.ids, found.scores):
        rows = np.stack([f["detail_embedding"] for f in videos[id].frames.values()])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        mean = rows.mean(0)
        assert score == pytest.approx(mean @ unit / np.linalg.norm(mean), abs=1e-5)
    assert found.scores == sorted(found.scores, reverse=True)
    assert all(found.clips)
    for wrong, said in (
        ({"pool": "max"}, "pool='max': give one of best, mean"),
        ({"gap": -1}, "gap=-1: give seconds"),
        ({"k": 0}, "k=0"),
        ({"threshold": "a"}, "threshold='a'"),
    ):
        with pytest.raises(ValueError, match=said):
            search_videos(index, query, **wrong)


@needs_ffmpeg
def test_settings_are_checked_before_a_frame_is_made(videos):
    index = Index(videos, "detail")
    with pytest.raises(ValueError):
        index_videos(index, videos, replace(SETTINGS, cover=99))
    with pytest.raises(ValueError, match="backend"):
        index_videos(index, videos, SETTINGS, backend="none")
    assert not os.path.exists(videos.first().filepath[:-4])


def timeline(numbers, rate=10.0, total=30):
    scores = np.linspace(0.1, 0.9, len(numbers))
    return Frames(np.array(numbers), scores, scores * 10, rate, total)


def test_hits_that_are_close_are_one_clip():
    line = timeline([1, 6, 11, 16, 21, 26])
    clips = merge(line, [0, 1, 4], gap=0.0)
    assert [(c.first, c.last) for c in clips] == [(21, 25), (1, 10)]  # best first
    assert (clips[1].start, clips[1].end) == (0.0, 1.0) and clips[1].best == 6
    assert [(c.first, c.last) for c in merge(line, [0, 2], 0.5)] == [(1, 15)]
    assert len(merge(line, [0, 2], 0.49)) == 2
    assert [(c.first, c.last) for c in merge(line, [5], 1)] == [(26, 30)]
    assert merge(line, [], 1) == []
    (alone,) = merge(timeline([7], total=0), [0], 1)
    assert (alone.first, alone.last) == (7, 7)


@needs_ffmpeg
def test_of_groups_the_active_slice_is_taken(tmp_path):
    dataset = fo.Dataset()
    dataset.add_group_field("group", default="film")
    group = fo.Group()
    paths = {"film": write_video(tmp_path / "a.mp4", 20), "still": tmp_path / "a.png"}
    cv2.imwrite(str(paths["still"]), np.zeros((8, 8, 3), np.uint8))
    dataset.add_samples(
        [fo.Sample(filepath=str(p), group=group.element(n)) for n, p in paths.items()]
    )
    assert make_frames(dataset, 2).finish().frames == 4
    assert dataset.first().metadata.total_frame_count == 20
    dataset.group_slice = "still"
    with pytest.raises(ValueError, match=r"slices of videos \['film'\]"):
        make_frames(dataset, 2)
    dataset.delete()
