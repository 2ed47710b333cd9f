"""Vectors in fields, brain runs on them, and all that can go wrong on the way."""

import json
import shutil
from dataclasses import asdict, replace

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import open_clip
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from detail_embed.backbone import Backbone, bundled_model
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.backbone.tokenizer import Tokenizer
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.compute.vocabulary import vocabulary
from detail_embed.fiftyone_bridge.index import names, records
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.space.choose_fuser import CANDIDATES
from detail_embed.space.report_card import ReportCard
from detail_embed.texts.templates import encode_query

QUERY = "red metal cube"
SETTINGS = Settings(
    backbone=DEMO, cover=2, device="cpu", vectors=1, keep_features=False
)
FIELD = names.vector_field("detail")
ERRORS = names.error_field("detail")

SEARCH = """
import json, sys
import fiftyone as fo
dataset = fo.load_dataset(sys.argv[1])
for key in sys.argv[3:]:
    view = dataset.sort_by_similarity(sys.argv[2], brain_key=key, k=25)
    print(json.dumps(view.values("id")))
"""
READ = """
import sys
import fiftyone as fo
dataset = fo.load_dataset(sys.argv[1])
info = dataset.get_brain_info("detail")
print(info.config.model, dataset.first().detail_embedding.shape)
print(dataset.load_brain_results("detail").total_index_size)
try:
    dataset.sort_by_similarity("cube", brain_key="detail", k=2)
except ImportError as error:
    print(error)
"""


def _run(samples, settings=SETTINGS, brain_key="detail", **kwargs):
    kwargs = {"also_global": False} | kwargs
    run = compute_index.compute(
        Index.of(samples, brain_key), samples, settings, **kwargs
    )
    assert [p.fraction for p in run][-1] == 1
    return run.result


def _ranking(dataset, field=FIELD):
    """Ids by exact cosine with the query, best first."""
    backbone = Backbone.load(DEMO, device="cpu")
    ids, vectors = dataset.exists(field).values(["id", field])
    scores = np.stack(vectors) @ encode_query(backbone, QUERY).numpy()
    return [ids[i] for i in np.argsort(-scores, kind="stable")]


@pytest.fixture
def files(tmp_path, scenes):
    """Copies of two scenes that a test may damage."""
    paths = []
    for source in sorted((scenes / "images").iterdir())[:2]:
        paths.append(tmp_path / source.name)
        paths[-1].write_bytes(source.read_bytes())
    return paths


@pytest.fixture
def new_dataset():
    made = []

    def make(samples):
        made.append(fo.Dataset())
        made[-1].add_samples(samples, progress=False)
        return made[-1]

    yield make
    for dataset in made:
        dataset.delete()


@pytest.mark.slow
def test_a_fresh_process_searches_even_after_a_search_for_duplicates(
    dataset, fresh_python
):
    result = _run(dataset, also_global=True)
    assert (result.embedded, result.present, result.failed) == (24, 0, 0)
    vectors = dataset.values(FIELD)
    assert {v.dtype for v in vectors} == {np.dtype("float32")}
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert isinstance(dataset.get_field(FIELD), fo.VectorField)
    assert not dataset.has_field(ERRORS)

    found = fob.compute_near_duplicates(dataset, similarity_index="detail")
    found.find_duplicates(fraction=0.2)
    assert found.duplicate_ids

    done = fresh_python(SEARCH, dataset.name, QUERY, "detail", "detail_global")
    assert done.returncode == 0, done.stderr
    detail, whole = map(json.loads, done.stdout.splitlines()[-2:])
    assert detail == _ranking(dataset)
    assert whole == _ranking(dataset, "detail_global_embedding")
    assert detail != whole

    results = dataset.load_brain_results("detail")
    results.reload()
    again = results.sort_by_similarity(QUERY, k=25)
    assert again.values("id") == detail


@pytest.mark.parametrize("method", ["pca", "umap"])
@pytest.mark.slow
def test_a_map_of_the_vectors(dataset, method, monkeypatch):
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)  # it compiles for a minute
    _run(dataset)
    results = fob.compute_visualization(
        dataset, similarity_index="detail", method=method
    )
    assert results.points.shape == (24, 2)


@pytest.mark.slow
def test_without_the_plugin_the_dataset_is_readable(dataset, fresh_python, tmp_path):
    result = _run(dataset)
    done = fresh_python(READ, dataset.name, FIFTYONE_PLUGINS_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    first, size, error = done.stdout.splitlines()[-3:]
    assert first == f"{result.space} (256,)"
    assert size == "24"
    assert "fiftyone plugins download" in error


def test_new_samples_alone_are_embedded_in_the_same_space(dataset):
    first = _run(dataset[:16], also_global=True)
    before = dict(zip(*dataset[:16].values(["id", FIELD])))
    assert dataset.load_brain_results("detail").total_index_size == 16

    second = _run(dataset, also_global=True)
    assert (second.embedded, second.present) == (8, 16)
    assert second.space == first.space
    after = dict(zip(*dataset[:16].values(["id", FIELD])))
    assert all(np.array_equal(before[i], after[i]) for i in before)
    view = dataset.sort_by_similarity(QUERY, brain_key="detail", k=25)
    assert view.values("id") == _ranking(dataset)
    assert dataset.load_brain_results("detail_global").total_index_size == 24


def test_a_run_that_is_cut_short_keeps_what_is_done(dataset):
    steps = iter(
        compute_index.compute(
            Index(dataset, "detail"), dataset, SETTINGS, also_global=True
        ),
    )
    for progress in steps:
        if 0 < progress.fraction < 1:
            break
    steps.close()
    done = len(dataset.exists(FIELD))
    assert 0 < done < 24
    assert len(dataset.exists("detail_global_embedding")) == done
    assert not dataset.list_brain_runs()

    result = _run(dataset, also_global=True)
    assert (result.embedded, result.present) == (24 - done, done)
    assert dataset.load_brain_results("detail").total_index_size == 24


def test_the_global_index_can_come_later(dataset):
    _run(dataset)
    vectors = dataset.values(FIELD)
    result = _run(dataset, also_global=True)
    assert result.embedded == 0
    assert np.array_equal(vectors, dataset.values(FIELD))
    model = dataset.get_brain_info("detail_global").config.model
    assert "-cc1-" in model and model != result.space
    assert len(dataset.exists("detail_global_embedding")) == 24


def test_another_space_is_refused_with_both_named(dataset):
    result = _run(dataset)
    other = Settings(
        backbone=DEMO, cover=3, fuser="mean", device="cpu", keep_features=False
    )
    with pytest.raises(ValueError) as error:
        compute_index.compute(Index(dataset, "detail"), dataset, other)
    assert result.space in str(error.value)
    assert "detail-demo-cc3-even-mean" in str(error.value)
    assert "overwrite=True" in str(error.value)


def test_starting_over_replaces_the_space(dataset):
    first = _run(dataset, also_global=True)
    other = Settings(
        backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False
    )
    second = _run(dataset, other, overwrite=True)
    assert second.space != first.space
    assert second.embedded == 24
    assert similarities(dataset) == ["detail"]
    assert not dataset.has_field("detail_global_embedding")


def test_starting_over_loses_nothing_if_the_new_space_fails(dataset, tmp_path):
    _run(dataset)
    wrong = Settings(
        backbone=DEMO, pretrained=str(tmp_path / "gone.pt"), vectors=1,
        keep_features=False,
    )
    with pytest.raises(ValueError, match="gone.pt"):
        list(
            compute_index.compute(
                Index(dataset, "detail"), dataset, wrong, overwrite=True
            ),
        )
    assert len(dataset.exists(FIELD)) == 24
    assert similarities(dataset) == ["detail"]


def test_hidden_fields_do_not_hide_the_vectors(dataset):
    view = dataset.select_fields("background")
    assert _run(view).embedded == 24
    assert _run(view, also_global=True).embedded == 0
    assert len(dataset.exists("detail_global_embedding")) == 24


@pytest.mark.parametrize("is_default", [False, True])
def test_a_backend_whose_client_is_missing_is_found_first(
    dataset, is_default, monkeypatch
):
    words = "backend 'mosaic' needs a package .* 'databricks-ai-search' .* with pip"
    backend = None if is_default else "mosaic"
    if is_default:
        monkeypatch.setattr(fob.brain_config, "default_similarity_backend", "mosaic")
    index = Index(dataset, "detail")
    for check in (compute_index.check_compute, compute_index.compute):
        with pytest.raises(ValueError, match=words):
            check(index, dataset, SETTINGS, backend=backend)
    assert not dataset.has_field(FIELD) and not dataset.list_brain_runs()


def test_a_backend_that_is_unknown_or_another_is_refused(dataset):
    with pytest.raises(ValueError, match="unknown similarity backend 'fast'"):
        compute_index.compute(
            Index(dataset, "detail"), dataset, SETTINGS, backend="fast"
        )
    _run(dataset)
    with pytest.raises(ValueError, match="'sklearn', not 'lancedb'"):
        compute_index.compute(
            Index(dataset, "detail"), dataset, SETTINGS, backend="lancedb"
        )
    assert _run(dataset, backend="sklearn").present == 24


def test_a_brain_run_that_was_never_finished_is_made_again(dataset):
    _run(dataset)
    info = dataset.get_brain_info("detail")
    dataset.delete_brain_run("detail")
    info.config.build().register_run(dataset, "detail", overwrite=False)
    assert dataset.load_brain_results("detail") is None
    _run(dataset)
    assert dataset.load_brain_results("detail").total_index_size == 24


def test_deleting_leaves_what_is_not_ours(dataset):
    fob.compute_similarity(dataset, embeddings=np.eye(24), brain_key="detail")
    compute_index.delete(Index(dataset, "detail"))
    assert similarities(dataset) == ["detail"]


def test_a_brain_key_of_another_run_is_refused(dataset):
    fob.compute_similarity(dataset, embeddings=np.eye(24), brain_key="detail_global")
    with pytest.raises(ValueError, match="'detail_global' belongs to another run"):
        compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS)


def test_a_field_of_somebody_else_is_refused(dataset):
    dataset.add_sample_field(FIELD, fo.VectorField)
    with pytest.raises(ValueError, match=f"field {FIELD!r} exists"):
        compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS)


def test_whole_images_never_go_into_an_index_of_its_own(dataset):
    mean = Settings(
        backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False
    )
    _run(dataset[:6])
    _run(dataset[:6], mean, brain_key="detail_global")
    vectors = dataset.values("detail_global_embedding")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="'detail' would go to 'detail_global'"):
            compute_index.compute(
                Index(dataset, "detail"),
                dataset,
                SETTINGS,
                also_global=True,
                overwrite=overwrite,
            )
    _run(dataset[:6], overwrite=True)
    compute_index.delete(Index(dataset, "detail"))
    assert similarities(dataset) == ["detail_global"]
    assert dataset.list_runs() == ["detail_global"]
    np.testing.assert_equal(dataset.values("detail_global_embedding"), vectors)


def test_whole_images_never_go_into_what_somebody_else_made(dataset):
    _run(dataset[:6])
    dataset.add_sample_field("detail_global_embedding", fo.VectorField)
    with pytest.raises(ValueError, match="field 'detail_global_embedding' exists"):
        compute_index.compute(
            Index(dataset, "detail"), dataset, SETTINGS, also_global=True
        )
    fob.compute_similarity(dataset, embeddings=np.eye(24), brain_key="detail_global")
    with pytest.raises(ValueError, match="index of its own"):
        compute_index.compute(
            Index(dataset, "detail"), dataset, SETTINGS, also_global=True
        )
    assert Index(dataset, "detail_global").find() == (None, "")
    compute_index.delete(Index(dataset, "detail"))
    assert similarities(dataset) == ["detail_global"]
    assert dataset.has_field("detail_global_embedding")


def test_the_key_of_a_whole_image_index_is_taken(dataset):
    _run(dataset[:6], also_global=True)
    with pytest.raises(ValueError, match="'detail_global' .* belong to 'detail'"):
        compute_index.compute(Index(dataset, "detail_global"), dataset, SETTINGS)


def test_a_record_of_an_older_version_owns_its_whole_image_index(dataset):
    _run(dataset[:6], also_global=True)
    values = asdict(records.read(dataset, "detail"))
    del values["has_global"]
    config = dataset.init_run(method=records.METHOD, **values)
    dataset.register_run("detail", config, overwrite=True)
    assert records.read(dataset, "detail").has_global is None
    assert _run(dataset[:6], also_global=True).present == 6
    compute_index.delete(Index(dataset, "detail"))
    assert not dataset.list_brain_runs()
    assert not dataset.has_field("detail_global_embedding")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", [fo.StringField, fo.FloatField])
@pytest.mark.parametrize("field", [ERRORS, "detail_patches"])
def test_the_users_own_field_is_refused(dataset, field, kind, overwrite):
    dataset.add_sample_field(field, kind)
    with pytest.raises(ValueError, match=f"field {field!r} exists"):
        compute_index.compute(
            Index(dataset, "detail"), dataset, SETTINGS, overwrite=overwrite
        )


def test_starting_over_with_a_few_vectors_spares_the_users_own_field(dataset):
    _run(dataset[:2])
    dataset.add_sample_field("detail_patches", fo.StringField)
    few = Settings(
        backbone=DEMO, cover=2, vectors=2, device="cpu", fuser="gmp",
        keep_features=False,
    )
    with pytest.raises(ValueError, match="field 'detail_patches' exists"):
        compute_index.compute(Index(dataset, "detail"), dataset, few, overwrite=True)


@pytest.mark.parametrize("brain_key", ["", "two words", "1st", "_own", "a-b", "class"])
def test_a_brain_key_that_is_no_name_is_refused(dataset, brain_key):
    with pytest.raises(ValueError, match="letters, digits"):
        compute_index.compute(Index(dataset, brain_key), dataset, SETTINGS)


def test_unreadable_images_are_recorded_and_tried_again(files, new_dataset, tmp_path):
    page = tmp_path / "page.jpg"
    page.write_text("<html>not found</html>")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(files[0].read_bytes()[:2000])
    paths = [*files, tmp_path / "missing.jpg", page, cut]
    dataset = new_dataset(fo.Sample(filepath=str(p)) for p in paths)
    settings = Settings(
        backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False
    )
    result = _run(dataset, settings)
    assert (result.embedded, result.failed) == (2, 3)
    assert result.error_field == ERRORS
    reasons = dataset.values(ERRORS)
    assert reasons[:2] == [None, None] and all(reasons[2:])
    assert dataset.load_brain_results("detail").total_index_size == 2

    page.write_bytes(files[0].read_bytes())
    result = _run(dataset, settings)
    assert (result.embedded, result.present, result.failed) == (1, 2, 2)
    assert dataset.values(ERRORS)[3] is None


def test_no_readable_image_at_all(new_dataset, tmp_path):
    dataset = new_dataset([fo.Sample(filepath=str(tmp_path / "missing.jpg"))])
    for fuser in ("mean", "gmp"):
        settings = Settings(
            backbone=DEMO, cover=1, fuser=fuser, device="cpu", keep_features=False
        )
        with pytest.raises(ValueError, match="none of the .*images could be read"):
            list(compute_index.compute(Index(dataset, fuser), dataset, settings))
    assert not dataset.list_brain_runs()


def test_images_of_any_shape(new_dataset, tmp_path):
    rng = np.random.default_rng(0)
    samples = []
    for i, size in enumerate([(1, 1), (2, 300), (64, 64)]):
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
        samples.append(fo.Sample(filepath=str(path)))
    assert _run(new_dataset(samples)).embedded == 3


def test_too_little_to_fit_a_fuser_on_says_what_to_do(new_dataset, tmp_path):
    path = tmp_path / "grey.png"
    Image.new("L", (64, 64), 128).save(path)
    dataset = new_dataset([fo.Sample(filepath=str(path))])
    with pytest.raises(ValueError, match="'gmp' .*1 images.*fuser='mean'"):
        list(
            compute_index.compute(
                Index(dataset, "detail"), dataset, replace(SETTINGS, fuser="gmp")
            ),
        )
    result = compute_index.compute(
        Index(dataset, "detail"), dataset, replace(SETTINGS, fuser="auto")
    ).finish()
    assert (result.embedded, result.fuser) == (1, "mean")


def test_an_empty_dataset_and_an_empty_view(dataset, new_dataset):
    for samples in (new_dataset([]), dataset.limit(0)):
        with pytest.raises(ValueError, match="no samples"):
            compute_index.compute(Index.of(samples, "detail"), samples, SETTINGS)


@pytest.mark.parametrize(
    "name, message",
    [
        ("a.mp4", r"no frame of the videos .*to_frames\(sample_frames=True"),
        ("a.fo3d", "'3d'; only images and frames"),
        ("a.pcd", "'point-cloud'; only images and frames"),
    ],
)
def test_other_media_are_refused(new_dataset, tmp_path, name, message):
    dataset = new_dataset([fo.Sample(filepath=str(tmp_path / name))])
    with pytest.raises(ValueError, match=message):
        compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS)


@pytest.mark.parametrize("name", ["photo", "photo.dng"])
def test_a_name_that_tells_no_medium_hints_at_media_type(new_dataset, tmp_path, name):
    path = tmp_path / name
    Image.new("RGB", (64, 64), "red").save(path, "PNG")
    unknown = new_dataset([fo.Sample(filepath=str(path))])
    with pytest.raises(ValueError, match='fo.Sample.*media_type="image"'):
        compute_index.compute(Index(unknown, "detail"), unknown, SETTINGS)
    dataset = new_dataset([fo.Sample(filepath=str(path), media_type="image")])
    done = compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS).finish()
    assert done.embedded == 1


def test_of_a_grouped_dataset_a_slice_can_be_embedded(new_dataset, files):
    samples = []
    for _ in range(2):
        group = fo.Group()
        samples += [
            fo.Sample(filepath=str(path), camera=group.element(name))
            for path, name in zip(files, ("left", "right"))
        ]
    dataset = new_dataset([])
    dataset.add_group_field("camera", default="left")
    dataset.add_samples(samples, progress=False)
    result = _run(dataset.select_group_slices("right"), SETTINGS)
    assert result.embedded == 2
    assert dataset.load_brain_results("detail").total_index_size == 2


def test_ridge_is_fitted_on_words_and_on_a_fields_classes(dataset):
    words = Settings(
        backbone=DEMO, cover=2, fuser="ridge", proxies=["red cube", "sphere"],
        keep_features=False,
    )
    field = Settings(
        backbone=DEMO, cover=2, fuser="ridge", proxy_field="ground_truth",
        keep_features=False,
    )
    first = _run(dataset, words, brain_key="words")
    second = _run(dataset, field, brain_key="classes")
    assert first.space != second.space
    sample = dataset.first()
    sample.ground_truth.detections[0].label = "a class that was not there"
    sample.save()
    assert _run(dataset, field, brain_key="classes").embedded == 0


def test_the_classes_of_a_field_come_with_their_parts(dataset):
    settings = Settings(fuser="ridge", proxies=["dog"], proxy_field="ground_truth")
    words = vocabulary(settings, dataset).words
    name = dataset.distinct("ground_truth.detections.label")[0]
    assert words[:2] == ("dog", name)
    assert set(name.split()) < set(words)


def test_ridge_without_words_takes_nouns(dataset):
    settings = Settings(backbone=DEMO, fuser="ridge", keep_features=False)
    settings.check()
    assert "dog" in vocabulary(settings, dataset).words


@pytest.mark.parametrize("fuser", ["ridge", "auto"])
def test_a_field_without_classes_is_refused(dataset, fuser):
    settings = Settings(
        backbone=DEMO, fuser=fuser, proxy_field="filepath", keep_features=False
    )
    with pytest.raises(ValueError, match="no label field"):
        list(compute_index.compute(Index(dataset, "detail"), dataset, settings))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"device": "cuda:7"}, "CUDA"),
        ({"fuser": "magic"}, "unknown fuser 'magic'"),
        ({"cover": 99}, "99"),
        ({"fuser": "auto", "fuser_options": {"lam": 1}}, "name it instead"),
        ({"fuser": "ridge", "fuser_options": {"lam": -1}}, "lam must be a number"),
        ({"fuser": "gmp", "fuser_options": {"size": 3}}, "argument 'size'"),
        ({"vectors": 4, "fuser_options": {"lam": 1}}, "argument 'lam'"),
        ({"vectors": 4, "fuser_options": {"k": 8}}, "said by vectors"),
        ({"fuser": "ridge", "fuser_options": "lam"}, "must be a dict"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(dataset, wrong, message):
    with pytest.raises(ValueError, match=message):
        compute_index.compute(
            Index(dataset, "detail"),
            dataset,
            Settings(**({"backbone": DEMO} | wrong)),
        )


def test_random_weights_are_refused_unless_asked_for(dataset):
    config = {"backbone": "RN50", "cover": 1, "fuser": "mean", "device": "cpu"}
    with pytest.raises(ValueError, match="weights"):
        compute_index.compute(Index(dataset, "detail"), dataset, Settings(**config))


@pytest.mark.slow
def test_random_weights_that_were_asked_for_can_be_searched(dataset):
    settings = Settings(
        backbone="RN50", cover=1, fuser="mean", vectors=1, keep_features=False,
        allow_random_weights=True,
    )
    assert "random" in _run(dataset, settings).space
    view = dataset.sort_by_similarity(QUERY, brain_key="detail", k=5)
    assert len(view) == 5


def test_proxies_keep_their_order(dataset):
    settings = Settings(fuser="ridge", proxies=["red cube", "cube red", "a", "a"])
    assert vocabulary(settings, dataset).words == ("red cube", "cube red", "a")
    assert settings.identity()["proxies"] == ["red cube", "cube red", "a"]


def test_a_checkpoint_that_does_not_fit_is_refused(dataset, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no checkpoint")
    for path in (broken, tmp_path / "missing.pt"):
        settings = Settings(
            backbone=DEMO, pretrained=str(path), device="cpu", vectors=1,
            keep_features=False,
        )
        with pytest.raises(ValueError, match=path.stem):
            list(compute_index.compute(Index(dataset, "detail"), dataset, settings))
    assert not dataset.list_runs()


@pytest.fixture
def checkpoint(tmp_path):
    """A file with weights like those of the demo's, but other ones."""
    weights = load_file(bundled_model.WEIGHTS)
    name = next(n for n, tensor in sorted(weights.items()) if tensor.ndim == 2)
    weights[name] = weights[name] * 1.01
    path = tmp_path / "a" / "x.safetensors"
    path.parent.mkdir()
    save_file(weights, path)
    return path


def _from_file(path, cover=2):
    return Settings(
        backbone=DEMO, pretrained=str(path), cover=cover, device="cpu", vectors=1,
        keep_features=False,
    )


def _paths_in_zoo(*spaces):
    texts = [(zoo.space_directory(s) / "space.json").read_text() for s in spaces]
    return {json.loads(text)["backbone"]["pretrained"] for text in texts}


@pytest.mark.slow
def test_the_same_weights_at_another_path_are_the_same_space(
    dataset, checkpoint, tmp_path, fresh_python
):
    first = _run(dataset[:6], _from_file(checkpoint), also_global=True)
    spaces = (first.space, records.read(dataset, "detail").global_space)
    assert _paths_in_zoo(*spaces) == {str(checkpoint)}

    moved = tmp_path / "b.safetensors"
    checkpoint.rename(moved)
    second = _run(dataset[:8], _from_file(moved))
    assert (second.space, second.embedded, second.present) == (first.space, 2, 6)
    assert _paths_in_zoo(*spaces) == {str(moved)}
    keys = ("detail", "detail_global")
    done = fresh_python(SEARCH, dataset.name, QUERY, *keys)
    assert done.returncode == 0, done.stderr

    twin = shutil.copy(moved, tmp_path / "c.safetensors")
    _run(dataset[:6], _from_file(twin), brain_key="other", overwrite=True)
    assert _paths_in_zoo(*spaces) == {str(twin)}


def test_other_weights_at_the_same_path_are_another_space(dataset, checkpoint):
    result = _run(dataset[:4], _from_file(checkpoint))
    shutil.copy(bundled_model.WEIGHTS, checkpoint)
    with pytest.raises(ValueError) as error:
        compute_index.compute(
            Index(dataset, "detail"), dataset, _from_file(checkpoint)
        )
    assert f"the space {result.space}" in str(error.value)
    assert "detail-demo-sha256:" in str(error.value)


def test_a_record_with_the_path_of_a_file_goes_on(dataset, checkpoint, tmp_path):
    result = _run(dataset[:4], _from_file(checkpoint))
    record = records.read(dataset, "detail")
    old = record.identity | {"pretrained": str(checkpoint)}
    records.write(dataset, "detail", replace(record, identity=old))
    other = _from_file(
        shutil.copy(bundled_model.WEIGHTS, tmp_path / "other.safetensors")
    )
    with pytest.raises(ValueError, match=f"the space {result.space}"):
        list(compute_index.compute(Index(dataset, "detail"), dataset, other))

    moved = checkpoint.rename(tmp_path / "b.safetensors")
    assert _run(dataset[:5], _from_file(moved)).present == 4
    assert records.read(dataset, "detail") == record


def test_a_tokenizer_that_is_missing_is_said_before_images_are_embedded(
    dataset, monkeypatch
):
    def refuse(*args, **kwargs):
        raise ImportError("no module named 'transformers'")

    monkeypatch.setattr(Tokenizer, "of", Tokenizer)  # not the one that is loaded
    monkeypatch.setattr(open_clip, "get_tokenizer", refuse)
    with pytest.raises(RuntimeError, match="pip install transformers"):
        list(compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS))
    assert not dataset.list_runs() and not dataset.has_field(FIELD)


@pytest.mark.parametrize("fuser", ["gmp", "auto"])
@pytest.mark.slow
def test_one_image_without_a_cut_can_be_indexed(dataset, caplog, fuser):
    settings = Settings(
        backbone=DEMO, cover=1, fuser=fuser, device="cpu", keep_features=False
    )
    first = _run(dataset[:1], settings)
    assert "nothing is whitened" in caplog.text
    view = dataset.sort_by_similarity(QUERY, brain_key="detail", k=25)
    assert view.values("id") == [dataset.first().id]
    second = _run(dataset, settings)
    assert (second.space, second.embedded, second.present) == (first.space, 23, 1)


def test_auto_measures_chooses_and_remembers_why(dataset):
    settings = Settings(
        backbone=DEMO, cover=2, vectors=1, device="cpu", keep_features=False
    )
    run = compute_index.compute(
        Index.of(dataset[:20], "detail"), dataset[:20], settings
    )
    texts = [progress.text for progress in run]
    chosen = run.result.fuser
    assert chosen in CANDIDATES
    assert f"-{chosen}-" in run.result.space
    assert run.result.reason in texts

    record = records.read(dataset, "detail")
    card = ReportCard.from_dict(record.card["report"])
    assert (card.best(), card.reason()) == (chosen, run.result.reason)
    assert card.images == 10 and record.identity["fuser"] == "auto"

    again = _run(dataset, settings)
    assert (again.embedded, again.present) == (4, 20)
    assert (again.space, again.fuser, again.reason) == (
        run.result.space, chosen, run.result.reason
    )
    named = Settings(
        backbone=DEMO, cover=2, fuser=chosen, device="cpu", keep_features=False
    )
    with pytest.raises(ValueError, match="'auto'"):
        compute_index.compute(Index(dataset, "detail"), dataset, named)


def test_auto_on_a_few_images_says_that_nothing_was_measured(dataset, caplog):
    settings = Settings(
        backbone=DEMO, cover=2, vectors=1, device="cpu", keep_features=False
    )
    result = _run(dataset[:3], settings)
    assert result.fuser == "gmp" and result.vectors == 1
    assert "3 images are too few" in result.reason and result.reason in caplog.text
    assert records.read(dataset, "detail").card["report"] is None


def test_a_record_without_a_card_is_read(dataset):
    config = dataset.init_run(
        method=records.METHOD, space="a", global_space="b",
        identity={"fuser": "gmp", "fuser_options": {}},
    )
    dataset.register_run("old", config)
    record = records.read(dataset, "old")
    assert (record.card, record.fuser, record.reason) == (None, "gmp", "")
