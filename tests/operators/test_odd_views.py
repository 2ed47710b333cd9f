"""Every operator on views of every kind: a right result, or a sentence and no trace."""

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone import ViewField as F

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from tests.operators.panel.helpers import OPERATORS, SETTINGS
from tests.tiny import write_images

pytestmark = pytest.mark.slow

N = 24


def operator(name):
    return foo.get_operator(f"{OPERATORS}/{name}")


CALLS = {  # an operator, and how many images its answer says it was about
    "compute_detail_embeddings": lambda v, f: operator("compute_detail_embeddings")(
        v, backbone=DEMO, cover=1, fuser="mean", brain_key="new", keep_features=False,
    )["embedded"],
    "search_by_prompts": lambda v, f: _both(operator("search_by_prompts")(
        v, "a red cube", k=None)),
    "search_reranked": lambda v, f: _both(operator("search_reranked")(
        v, "a red cube", k=None)),
    "show_attention": lambda v, f: operator("show_attention")(v, windows=False).images,
    "show_where": lambda v, f: operator("show_where")(v, "a red cube").images,
    "tag_hits": lambda v, f: operator("tag_hits")(v, tag="seen").hits,
    "classify_by_prompts": lambda v, f: operator("classify_by_prompts")(
        v, ["cube", "ball"]).images,
    "report_long_tail": lambda v, f: operator("report_long_tail")(v, ["cube"]).images,
    "find_near_duplicates": lambda v, f: _seen(operator("find_near_duplicates")(
        v, threshold=0.5)),
    "find_outliers": lambda v, f: _seen(operator("find_outliers")(v, count=3)),
    "select_diverse_subset": lambda v, f: _seen(operator("select_diverse_subset")(
        v, 3)),
    "map_embeddings": lambda v, f: operator("map_embeddings")(
        v, method="pca", overwrite=True).images,
    "evaluate_retrieval": lambda v, f: operator("evaluate_retrieval")(
        v, ["detail"], "ground_truth", name="one").images,
    "train_fuser": lambda v, f: operator("train_fuser")(
        v, "odd_view", backbone=DEMO, cover=1, epochs=1, minutes=0.1, overwrite=True,
        proxies=["cube", "ball", "cone"],
    ).images,
    "update_index": lambda v, f: operator("update_index")(v, "detail")["present"],
    "export_vectors": lambda v, f: operator("export_vectors")(
        v, "detail", f / "x.parquet", overwrite=True).images,
    "import_vectors": lambda v, f: operator("import_vectors")(
        v, f / "all.parquet", brain_key="read").images,
}


def _both(found):
    """The images of a search; their view, and that of the places, can be read."""
    assert found.view.values("id") == found.ids
    assert len(found.patches()) == found.searched
    return found.searched


def _seen(result):
    """The images of a search of the brain; their view can be read."""
    assert len(result.view.values("id")) == len(result.view)
    return result.images


VIEWS = {
    "no fields": (lambda d: d.select_fields(), N),
    "one field": (lambda d: d.select_fields("ground_truth"), N),
    "without a field": (lambda d: d.exclude_fields("background"), N),
    "without our fields": (lambda d: d.exclude_fields("detail_embedding"), N),
    "sorted": (lambda d: d.sort_by("background"), N),
    "filtered": (lambda d: d.filter_labels("ground_truth", F("scale") > 0.2,
                                           only_matches=False), N),
    "matched": (lambda d: d.limit(10).match(F("background").exists()), 10),
    "saved": (lambda d: _saved(d), 12),
    "grouped, flat": (lambda d: d.group_by("background", flat=True), N),
    "grouped": (lambda d: d.group_by("background"), N),
    "empty": (lambda d: d.limit(0), "has no samples"),
    "patches": (lambda d: d.to_patches("ground_truth"), N),
}


def _saved(dataset):
    dataset.save_view("half", dataset.limit(12))
    return dataset.load_saved_view("half")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    return tmp_path


def _trace(dataset, folder):
    dataset.reload()
    kept = sorted(str(p) for p in folder.rglob("*") if "data" not in p.parts)
    return (dataset.list_brain_runs(), dataset.list_runs(), dataset.count_sample_tags(),
            sorted(dataset.get_field_schema()), kept)


def _wrong(view, expected, dataset, folder):
    """What each operator says that is neither right nor a sentence without a trace."""
    wrong = {}
    for name, call in CALLS.items():
        before = _trace(dataset, folder)
        try:
            said = call(view, folder)
        except Exception as error:
            is_sentence = type(error) in (ValueError, TypeError)
            if not is_sentence or str(expected) not in str(error):
                wrong[name] = repr(error)[:200]
            elif _trace(dataset, folder) != before:
                wrong[name] = "left a trace"
            continue
        if said != expected:
            wrong[name] = said
    return "\n".join(f"{name}: {said}" for name, said in wrong.items())


@pytest.mark.parametrize("kind", VIEWS)
def test_operators_on_views_of_images(kind, dataset, folder, monkeypatch):
    make, expected = VIEWS[kind]
    index = DetailIndex(dataset, "detail")
    index.compute(dataset, SETTINGS)
    index.export(folder / "all.parquet")
    assert len(index.search("a red cube", k=1).view)  # makes the fields of searches
    if kind == "patches":  # a new index of them is one of boxes
        monkeypatch.delitem(CALLS, "compute_detail_embeddings")
    wrong = _wrong(make(dataset), expected, dataset, folder)
    index.delete()
    assert not wrong


@pytest.fixture
def frames(loaded):
    """The scenes as the frames of two videos."""
    made = fo.Dataset(persistent=True)
    scenes = list(loaded)
    for number in range(2):
        video = fo.Sample(filepath=f"/videos/{number}.mp4")
        for place, scene in enumerate(scenes[number::2], 1):
            video.frames[place] = fo.Frame(
                filepath=scene.filepath, ground_truth=scene.ground_truth.copy()
            )
        made.add_sample(video)
    yield made
    made.delete()


def test_operators_on_frames(frames, folder):
    view = frames.to_frames()
    index = DetailIndex.of(view, "detail")
    index.compute(view, SETTINGS)
    index.export(folder / "all.parquet")
    wrong = _wrong(view, N, frames, folder)
    kept = frames.to_frames()
    assert {"detail_where", "prompt_label"} <= kept.get_field_schema().keys()
    assert len(kept.match_tags("seen")) == N == len(kept.exists("prompt_label"))
    index.delete()
    assert not wrong


VIDEOS = {
    "videos": (lambda d: d, "to_frames(sample_frames=True, fps=1)"),
    "a view of videos": (lambda d: d.limit(1), "to_frames(sample_frames=True, fps=1)"),
    "clips": (lambda d: d.to_clips("events"), "to_frames(sample_frames=True, fps=1)"),
    "frames": (lambda d: d.to_frames(sample_frames="dynamic"), "no image files"),
}


@pytest.fixture
def videos(tmp_path):
    """Two videos, of which nothing is read, whose frames have no images."""
    made = fo.Dataset()
    for number in range(2):
        event = fo.TemporalDetection(label="a", support=[1, 3])
        events = fo.TemporalDetections(detections=[event])
        video = fo.Sample(filepath=str(tmp_path / f"{number}.mp4"), events=events)
        video.frames[1] = fo.Frame()
        made.add_sample(video)
    yield made
    made.delete()


@pytest.mark.parametrize("kind", VIDEOS)
def test_operators_on_videos(kind, videos, folder, monkeypatch):
    make, expected = VIDEOS[kind]
    monkeypatch.delitem(CALLS, "update_index")  # says first that there is no index
    (folder / "all.parquet").touch()
    assert not _wrong(make(videos), expected, videos, folder)


@pytest.fixture
def grouped(tmp_path):
    """Three groups of two images and a video."""
    made = fo.Dataset()
    made.add_group_field("group", default="left")
    paths = iter(write_images(tmp_path, [(64, 64)] * 6))
    for number in range(3):
        group = fo.Group()
        box = fo.Detection(label=f"thing {number}", bounding_box=[0, 0, 1, 1])
        for side in ("left", "right"):
            made.add_sample(fo.Sample(
                filepath=str(next(paths)), group=group.element(side),
                ground_truth=fo.Detections(detections=[box])))
        made.add_sample(fo.Sample(
            filepath=str(tmp_path / f"{number}.mp4"), group=group.element("film")))
    yield made
    made.delete()


SLICES = {
    "all": (lambda d: d, 3),
    "another": (lambda d: _with_slice(d, "right"), 3),
    "no images": (lambda d: _with_slice(d, "film"), "choose one of its image slices"),
    "one": (lambda d: d.select_group_slices("left"), 3),
    "the film": (lambda d: d.select_group_slices("film"), "to_frames("),
    "without fields": (lambda d: d.select_group_slices("right").select_fields(), 3),
}


def _with_slice(dataset, name):
    dataset.group_slice = name
    return dataset


TOO_FEW = ("find_outliers", "map_embeddings", "train_fuser")  # for 3 images


@pytest.mark.parametrize("kind", SLICES)
def test_operators_on_slices(kind, grouped, folder, monkeypatch):
    make, expected = SLICES[kind]
    index = DetailIndex(grouped, "detail")
    images = grouped.select_group_slices(media_type="image")
    index.compute(images, SETTINGS)
    index.export(folder / "all.parquet", images)
    for name in TOO_FEW if expected == 3 else ():
        monkeypatch.delitem(CALLS, name)
    wrong = _wrong(make(grouped), expected, grouped, folder)
    index.delete()
    assert not wrong
