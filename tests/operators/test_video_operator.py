"""The operator that indexes videos, as FiftyOne runs it."""

import shutil

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from tests.forms import field_of, problems_of
from tests.videos import load_videos

URI = "@detail/detail-embed/index_videos"
CREATE = "@detail/detail-embed/create_clver_ds"
CHOICES = {
    "backbone": DEMO, "cover": 1, "vectors": 1, "fuser": "mean", "device": "cpu",
    "keep_features": False, "also_global": False,
}
needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="frames of videos are made by ffmpeg"
)


@pytest.fixture
def videos(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    dataset = load_videos(tmp_path)
    yield dataset
    dataset.delete()


def _context(dataset, **params):
    request = {"dataset_name": dataset.name, "params": params}
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=URI
    )


def _form(dataset, **params):
    form = foo.get_operator(URI).resolve_input(_context(dataset, **params))
    assert form.to_json()
    return form


@needs_ffmpeg
def test_the_form_says_how_many_frames_there_will_be(videos):
    form = _form(videos)
    fields = form.type.properties
    assert list(fields)[-6:-1] == ["fps", "frames", "quality", "backbone", "brain_key"]
    assert fields["frames"].view.label == "4 frames of 2 videos, 1 a second"
    assert fields["brain_key"].default == "detail" and not problems_of(form)
    form = _form(videos, fps=10)
    assert "24 frames of 2 videos" in form.type.properties["frames"].view.label
    form = _form(videos, fps=10, max_frames=20)
    assert field_of(form) in ("fps", "max_frames")
    assert "24 frames" in problems_of(form)[0]
    assert "20" in problems_of(form)[0]
    assert field_of(_form(videos, fps=-1)) == "fps"
    assert videos.first().metadata is None  # a form writes nothing


def test_the_form_says_what_cannot_be(videos, dataset, monkeypatch):
    (said,) = problems_of(_form(dataset))
    assert "'image', not videos" in said
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (said,) = problems_of(_form(videos))
    assert "apt-get install ffmpeg" in said


@needs_ffmpeg
def test_it_is_done_in_the_app(videos):
    ctx = _context(videos, fps=2.5, **CHOICES)
    list(foo.get_operator(URI).execute(ctx))
    requests = ctx.executor._requests
    told = [r.params["message"] for r in requests if r.operator_uri == "notify"]
    assert told == [
        "6 frames of 2 videos. 6 frames embedded. Search with brain key 'detail'"
    ]
    assert "reload_dataset" in [r.operator_uri for r in requests]


@needs_ffmpeg
def test_from_python_it_returns_what_it_did(videos, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"bad" * 50)
    videos.add_sample(fo.Sample(filepath=str(tmp_path / "bad.mp4")))
    index_videos = foo.get_operator(URI)
    result = index_videos(videos, fps=2.5, directory=tmp_path / "frames", **CHOICES)
    assert (result["videos"], result["frames"], result["embedded"]) == (2, 6, 6)
    assert (result["failed_videos"], result["frames_error_field"]) == (
        1, "frames_error",
    )
    assert "Invalid data" in videos.last().frames_error
    paths = videos.to_frames().values("filepath")
    assert all(path.startswith(str(tmp_path / "frames")) for path in paths)
    for wrong, said in (
        ({"fps": 0}, "fps=0"),
        ({"max_frames": 1}, "6 frames, more than max_frames=1"),
        ({"brain_key": ""}, "brain_key='' is empty"),
        ({"directory": ""}, "directory='' is empty"),
        ({"cover": 99}, "cover must be 1 to 15"),
    ):
        with pytest.raises(ValueError, match=said):
            index_videos(videos, **{"fps": 2.5} | CHOICES | wrong)


@needs_ffmpeg
def test_it_can_be_delegated(videos):
    ctx = _context(videos, fps=2.5, **CHOICES)
    ctx.request_params["delegated"] = True
    results = foo.get_operator(URI).execute(ctx)
    assert (results["videos"], results["frames"]) == (2, 6)


def test_clver_ds_can_be_videos(tmp_path):
    create, name = foo.get_operator(CREATE), "made-of-videos"
    small = {"n": 2, "size": 64, "objects": (1, 1), "scales": (0.3,), "seconds": 0.5}
    dataset = create(name, tmp_path / "a", medium="videos", **small)
    assert dataset.media_type == "video" and len(dataset) == 2
    assert dataset.first().metadata.total_frame_count == 4
    assert True in dataset.values("ground_truth.detections.appears")[0]
    dataset.delete()
    for wrong, said in (
        ({"medium": "films"}, "medium='films': give 'images' or 'videos'"),
        ({"seconds": "6"}, "seconds='6'"),
        ({"seconds": 0}, "seconds must be"),
        ({"size": 65}, "an even number"),
    ):
        with pytest.raises(ValueError, match=said):
            create(name, tmp_path / "b", **{"medium": "videos"} | small | wrong)
