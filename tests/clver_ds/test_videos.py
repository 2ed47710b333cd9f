"""CLVER-DS videos: a camera over a scene, things that appear and vanish, MP4 files."""

import json
import shutil

import cv2
import numpy as np
import pytest

from detail_embed.clver_ds import (
    ANNOTATIONS,
    VIDEOS,
    VideoConfig,
    generate_videos,
    mp4_files,
)
from detail_embed.clver_ds.filming import Film
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

SMALL = dict(
    width=160, height=120, seconds=2.0, fps=8.0, bank="solids", objects=(1, 2),
    appearing=(2, 2), appearing_scales=(0.3,), durations=(0.5, 1.0),
)


def decode(path):
    reader, frames = cv2.VideoCapture(str(path)), []
    while True:
        is_read, frame = reader.read()
        if not is_read:
            return np.array(frames)[..., ::-1]
        frames.append(frame)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    settings = {k: v for k, v in SMALL.items() if k not in ("width", "height")}
    generate_videos(folder, 2, size=(160, 120), **settings)
    return folder


@pytest.mark.parametrize("seed", range(4))
def test_a_thing_is_there_as_long_as_asked_and_where_its_box_is(seed):
    config = VideoConfig(**SMALL | {"objects": (0, 0), "room": 1.0})
    film = Film(config, [seed])
    pictures = np.array(list(film.pictures())).astype(int)
    assert pictures.shape == (16, 120, 160, 3)
    tracks = film.tracks
    assert [track.appears for track in tracks] == [True, True]
    for track in tracks:
        assert track.last - track.first + 1 in (4, 8)
        assert len(track.boxes) == track.last - track.first + 1
        assert track.scale == pytest.approx(0.3, abs=0.02)
    changed = np.zeros(16, bool)
    for track in tracks:
        changed[track.first - 1 : track.last] = True
    if changed.all():
        return
    empty = pictures[~changed][0]
    differs = np.abs(pictures - empty).max(-1) > 40
    assert not differs[~changed].any()
    for number in np.flatnonzero(changed) + 1:
        now = [t for t in tracks if t.first <= number <= t.last]
        inside = np.zeros((120, 160), bool)
        for track in now:
            x, y, w, h = track.boxes[number - track.first]
            part = np.s_[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1]
            inside[part] = True
            assert differs[number - 1][part].mean() > 0.2
        shadow = cv2.dilate(inside.astype(np.uint8), np.ones((31, 31))) > 0
        assert not differs[number - 1][~shadow].any()


def test_the_same_seed_gives_the_same_pictures_and_another_one_others():
    config = VideoConfig(**SMALL)
    one, same, other = (list(Film(config, [s]).pictures()) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert Film(config, [1]).tracks == Film(config, [1]).tracks


def test_the_camera_moves():
    config = VideoConfig(**SMALL | {"appearing": (0, 0)})
    first, *_, last = Film(config, [0]).pictures()
    assert np.abs(first.astype(int) - last).mean() > 1
    still = VideoConfig(**SMALL | {"appearing": (0, 0), "room": 1.0})
    first, *_, last = Film(still, [0]).pictures()
    assert np.array_equal(first, last)


def test_what_leaves_the_picture_is_not_said_to_be_there():
    config = VideoConfig(**SMALL | {"room": 1.5, "objects": (6, 8), "scales": (0.1,)})
    tracks = [t for seed in range(6) for t in Film(config, [seed]).tracks]
    assert any(t.last - t.first + 1 < 16 for t in tracks if not t.appears)
    for track in tracks:
        for x, y, w, h in track.boxes:
            assert x >= 0 and y >= 0 and x + w <= 160.01 and y + h <= 120.01


def test_files_hold_what_the_annotations_say(folder):
    coco = json.loads((folder / ANNOTATIONS).read_text())
    assert {p.name for p in folder.iterdir()} == {ANNOTATIONS, VIDEOS}
    for video in coco["videos"]:
        pictures = decode(folder / VIDEOS / video["file_name"])
        assert pictures.shape == (video["length"], 120, 160, 3)
        config = VideoConfig(**SMALL)
        expected = np.array(list(Film(config, [0, video["id"]]).pictures()))
        assert np.abs(pictures.astype(int) - expected).mean() < 12
    again = generate_videos(
        folder, 2, size=(160, 120),
        **{k: v for k, v in SMALL.items() if k not in ("width", "height")},
    )
    assert again == folder / ANNOTATIONS
    with pytest.raises(ValueError, match="other settings"):
        generate_videos(folder, 3)


def test_without_ffmpeg_opencv_writes_them(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(mp4_files, "_hinted", set())
    film = Film(VideoConfig(**SMALL), [0])
    for _ in range(2):
        mp4_files.write_mp4(tmp_path / "a.mp4", film.pictures(), (160, 120), 8.0)
    assert len(decode(tmp_path / "a.mp4")) == 16
    assert caplog.text.count("apt-get install ffmpeg") == 1


def test_what_cannot_be_written_is_said(tmp_path, monkeypatch):
    film = Film(VideoConfig(**SMALL), [0])
    path = tmp_path / "none" / "a.mp4"
    if shutil.which("ffmpeg"):
        with pytest.raises(RuntimeError, match="ffmpeg cannot write .*a.mp4"):
            mp4_files.write_mp4(path, film.pictures(), (160, 120), 8.0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="OpenCV cannot write .*a.mp4"):
        mp4_files.write_mp4(path, film.pictures(), (160, 120), 8.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 161}, "width must be an even number"),
        ({"room": 2.0}, "room must be 1 to 1.5"),
        ({"fps": 0}, "fps must be 1 to 60"),
        ({"seconds": 0}, "seconds must be"),
        ({"seconds": 1e6}, "seconds must be"),
        ({"durations": ()}, "durations is empty"),
        ({"durations": (3.0,)}, "at most the 2 seconds of the video, not 3.0"),
        ({"appearing_scales": (2,)}, r"a scale must be in \(0, 1\]"),
        ({"bank": "cats"}, "bank must be"),
        ({"objects": (3, 1)}, r"objects must be \(low, high\)"),
    ],
)
def test_settings_out_of_range_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        VideoConfig(**SMALL | change)


def test_fewer_than_one_video_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1 video, not 0"):
        generate_videos(tmp_path, 0)


@pytest.mark.parametrize("boxes", [False, True])
def test_they_are_loaded_with_what_they_show_and_when(folder, boxes):
    coco = json.loads((folder / ANNOTATIONS).read_text())
    dataset = load_clver_ds(folder, persistent=False, boxes=boxes)
    assert dataset.media_type == "video" and len(dataset) == 2
    sample = dataset.first()
    notes = [note for note in coco["annotations"] if note["video_id"] == 0]
    shown = sample.ground_truth.detections
    assert [d.support for d in shown] == [[n["first"], n["last"]] for n in notes]
    assert [d.appears for d in shown] == [n["attributes"]["appears"] for n in notes]
    metadata = sample.metadata
    assert (metadata.frame_rate, metadata.total_frame_count) == (8.0, 16)
    assert (metadata.frame_width, metadata.frame_height) == (160, 120)
    if boxes:
        note = notes[-1]
        frame = sample.frames[note["first"]]
        box = frame.ground_truth.detections[-1].bounding_box
        x, y, w, h = note["bbox"][0]
        assert box == pytest.approx([x / 160, y / 120, w / 160, h / 120])
        per_frame = dataset.count("frames.ground_truth.detections")
        assert per_frame == sum(len(n["bbox"]) for n in coco["annotations"])
    dataset.delete()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"out_dir": ""}, "out_dir='': give the path of a folder"),
        ({"out_dir": None}, "out_dir=None: give the path"),
        ({"out_dir": __file__}, "test_videos.py' is a file: give a folder"),
        ({"n": 1.5}, "n=1.5: give a whole number of videos"),
        ({"n": True}, "n=True: give a whole number"),
        ({"n": "3"}, "n='3': give a whole number"),
        ({"seed": -1}, "seed=-1: give a whole number of at least 0"),
        ({"seed": "a"}, "seed='a': give a whole number"),
        ({"size": (64,)}, "size=.* give whole pixels"),
        ({"size": ("a", 64)}, "size=.* give whole pixels"),
        ({"size": None}, "size=None: give whole pixels"),
        ({"seconds": "6"}, "seconds='6': give a number"),
        ({"fps": None}, "fps=None: give a number"),
        ({"durations": 1.0}, "durations=1.0: give several numbers"),
        ({"durations": ("a",)}, "durations: one='a': give a number"),
    ],
)
def test_what_cannot_be_asked_for_is_named_before_a_file_is_written(
    wrong, said, tmp_path
):
    asked = {"out_dir": tmp_path / "films", "n": 1, "size": 64} | wrong
    with pytest.raises(ValueError, match=said):
        generate_videos(asked.pop("out_dir"), asked.pop("n"), **asked)
    assert not list(tmp_path.iterdir())
