"""Images that are too large to be decoded at once: found in, shown, gone on with."""

import sys
import threading
import time
from dataclasses import replace

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.executor import ExecutionContext
from PIL import Image, ImageFile

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.clver_ds import things
from detail_embed.cover import CompleteCover, bands
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.features.huge_files import huge_line
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.detail_index import DetailIndex
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.search import examples
from detail_embed.images import huge_formats, huge_image, rows_in_time
from detail_embed.images.image_file import UnreadableImage, read_image
from detail_embed.images.late_image import LateImage
from operators.panel import thumbnails
from tests.interlaced import write_interlaced

needs_rasterio = pytest.mark.skipif(
    not huge_image.is_installed(), reason="rasterio is not installed"
)
LIMIT = 500_000
SIZE = 1201, 903
SIDE = 96
PLACES = {"banana": (130, 650), "hammer": (900, 240), "fire engine": (610, 60)}
GROUND = np.array([118, 122, 116], np.uint8)
COVER = CompleteCover(5)
OPTIONS = EncodeOptions(device="cpu", max_pixels=LIMIT)


def scene(name):
    """Flat ground with one thing."""
    image = Image.fromarray(np.broadcast_to(GROUND, (SIZE[1], SIZE[0], 3)).copy())
    thing = Image.fromarray(things.cutout(name)).resize((SIDE, SIDE))
    image.paste(thing, PLACES[name], thing)
    return image


def write_tiff(path, image, copies=(), **more):
    """Writes a tiled TIFF, of ``(h, w, bands)``."""
    import rasterio

    samples = np.moveaxis(np.asarray(image), -1, 0)
    options = {"tiled": True, "blockxsize": 64, "blockysize": 64, **more}
    with rasterio.open(
        path, "w", driver="GTiff", width=samples.shape[2], height=samples.shape[1],
        count=len(samples), dtype=samples.dtype.name, **options,
    ) as file:
        file.write(samples)
        if copies:
            file.build_overviews(copies, rasterio.enums.Resampling.average)
    return path


@pytest.fixture(scope="module")
def backbone():
    return Backbone.load(DEMO, device="cpu")


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(SIZE, Image.Resampling.BICUBIC)


@pytest.fixture
def lowered(monkeypatch):
    """The limit of whatever looks at an image without being told one."""
    monkeypatch.setattr(huge_image, "MAX_PIXELS", LIMIT)


def features(path, backbone, options=OPTIONS, cover=COVER):
    (image,) = iter_patch_features([(0, path)], backbone, cover, options)
    return image


def has_thing(box, name):
    """Whether a box, of shares of the image, has the middle of a thing."""
    x, y, w, h = box
    across, down = ((p + SIDE / 2) / s for p, s in zip(PLACES[name], SIZE))
    return abs(x + w / 2 - across) <= w / 2 + 0.03 and abs(
        y + h / 2 - down) <= h / 2 + 0.03


WAYS = {
    "tiled.tif": lambda image, path: write_tiff(path, image, photometric="RGB"),
    "pyramid.tif": lambda image, path: write_tiff(
        path, image, [2, 4], photometric="RGB", compress="deflate"),
    "rows.tif": lambda image, path: image.save(path, compression="tiff_lzw"),
    "deep.tif": lambda image, path: write_tiff(
        path, np.asarray(image).astype("u2") * 16, photometric="RGB"),
    "second.tif": lambda image, path: image.resize((100, 75)).save(
        path, save_all=True, append_images=[image]),
    "a.png": lambda image, path: image.save(path),
    "palette.png": lambda image, path: image.convert("P").save(path),
    "grey.png": lambda image, path: image.convert("L").save(path),
    "clear.png": lambda image, path: image.convert("RGBA").save(path),
    "a.jpg": lambda image, path: image.save(path, quality=95),
    "progressive.jpg": lambda image, path: image.save(
        path, quality=95, progressive=True),
    "interlaced.png": lambda image, path: write_interlaced(path, np.asarray(image)),
    "a.bmp": lambda image, path: image.save(path),
    "palette.bmp": lambda image, path: image.convert("P").save(path),
    "bits.bmp": lambda image, path: image.convert("1").save(path),
    "a.ppm": lambda image, path: image.save(path),
    "grey.ppm": lambda image, path: image.convert("L").save(path),
    "a.jp2": lambda image, path: image.save(path),
}


@needs_rasterio
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.slow
def test_features_are_those_of_the_whole(name, noise, backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(bands, "_KEPT", 50_000)
    path = tmp_path / name
    WAYS[name](noise, path)
    whole = features(path, backbone, EncodeOptions(device="cpu")).features
    found = features(path, backbone)
    assert (found.width, found.height) == SIZE
    assert found.features.shape == whole.shape
    assert (found.features * whole).sum(1).min() > 0.98


@needs_rasterio
@pytest.mark.parametrize("name", ["tiled.tif", "deep.tif", "a.png", "a.jpg", "a.jp2"])
def test_pillow_decodes_nothing(name, noise, backbone, tmp_path, monkeypatch):
    WAYS[name](noise, tmp_path / name)

    def load(self, *args):
        raise AssertionError("all of it would be decoded")

    for kind in (ImageFile.ImageFile, LateImage):
        monkeypatch.setattr(kind, "load", load)
    assert features(tmp_path / name, backbone).reason is None
    assert huge_line([tmp_path / name], COVER, LIMIT)


@needs_rasterio
def test_what_can_only_be_decoded_as_a_whole(noise, backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(huge_formats, "_MOST_WOVEN", 3 * SIZE[0] * SIZE[1])
    noise.save(tmp_path / "a.jpg", progressive=True, subsampling=0)
    noise.save(tmp_path / "a.webp")
    noise.save(tmp_path / "a.gif")
    write_interlaced(tmp_path / "a.png", np.asarray(noise.convert("RGBA")))
    jpeg, webp, gif, png = (
        features(tmp_path / name, backbone).reason
        for name in ("a.jpg", "a.webp", "a.gif", "a.png")
    )
    for reason in (jpeg, webp, gif, png):
        assert reason.startswith("has 1201 x 903 pixels, more than the 500000 allowed")
        assert ".tif[tile,compression=deflate,bigtiff]" in reason
    assert "progressive JPEG that can only be decoded as a whole, which tak" in jpeg
    assert "interlaced PNG that can only be decoded as a whole, which takes" in png
    assert "WEBP is not read by parts: save it as a tiled TIFF" in webp
    assert "such as by libvips: vips copy FILE" in gif


@needs_rasterio
@pytest.mark.parametrize("turn", range(2, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
@pytest.mark.slow
def test_turned_files_are_read_upright(name, turn, noise, backbone, tmp_path, lowered):
    path, exif = tmp_path / name, Image.Exif()
    exif[274] = turn
    noise.save(path, exif=exif, quality=95, subsampling=0)
    upright = read_image(path)
    whole = features(path, backbone, EncodeOptions(device="cpu"))
    found = features(path, backbone)
    assert (found.width, found.height) == upright.shape[1::-1]
    assert (found.features * whole.features).sum(1).min() > 0.98
    seen = huge_image.see(path)
    assert seen.size == upright.shape[1::-1]
    part = np.asarray(seen.crop((100, 310, 220, 380))).astype(int)
    assert np.abs(part - upright[310:380, 100:220]).mean() < 1


@needs_rasterio
def test_a_file_that_hangs_midway_is_a_reason(noise, backbone, tmp_path, monkeypatch):
    gate, read = threading.Event(), rows_in_time.in_time

    def stuck(rows, path, seconds):
        def some():
            yield next(rows)
            gate.wait()
            yield from rows

        return read(some(), path, seconds)

    monkeypatch.setattr(huge_image, "in_time", stuck)
    path = write_tiff(tmp_path / "a.tif", noise, photometric="RGB")
    began = time.monotonic()
    found = features(path, backbone, replace(OPTIONS, read_seconds=1.0))
    assert found.reason.startswith("could not be read within 1 s: its disk or network")
    assert time.monotonic() - began < 15
    gate.set()


@needs_rasterio
@pytest.mark.parametrize("name", ["a.bmp", "a.ppm"])
def test_a_plain_file_that_is_cut_off(name, noise, backbone, tmp_path):
    noise.save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-100])
    assert "at once, and is truncated" in features(tmp_path / name, backbone).reason


@needs_rasterio
def test_a_damaged_file_is_a_reason_and_the_next_is_read(noise, backbone, tmp_path):
    good = write_tiff(tmp_path / "good.tif", noise, photometric="RGB")
    bad = tmp_path / "bad.tif"
    content = good.read_bytes()
    bad.write_bytes(content[: len(content) // 2])
    items = [("bad", bad), ("good", good)]
    found = list(iter_patch_features(items, backbone, CompleteCover(3), OPTIONS))
    assert found[0].features is None and found[0].reason
    assert found[1].features is not None


@needs_rasterio
def test_flat_windows_are_not_encoded(backbone, tmp_path):
    path = write_tiff(tmp_path / "a.tif", scene("banana"), photometric="RGB")
    cover = CompleteCover(8, skip_flat=True)
    found = features(path, backbone, cover=cover).features
    whole = features(path, backbone, EncodeOptions(device="cpu"), cover).features
    assert (found * whole).sum(1).min() > 0.97
    assert len(np.unique(found.numpy(), axis=0)) < len(found) / 2


@needs_rasterio
@pytest.mark.slow
def test_a_small_thing_is_found_and_shown(tmp_path, monkeypatch, lowered):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    paths = {
        name: write_tiff(tmp_path / f"{i}.tif", scene(name), photometric="RGB")
        for i, name in enumerate(PLACES)
    }
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=str(p)) for p in paths.values()],
                        progress=False)
    settings = Settings(
        backbone=DEMO, cover=10, fuser="mean", device="cpu", max_pixels=LIMIT,
        keep_features=True,
    )
    steps = [step.text for step in compute_index.compute(
        Index(dataset, "detail"), dataset[:1], settings)]
    assert any("0.tif has 1201 x 903 pixels and is read by parts: " in s for s in steps)
    run = compute_index.compute(Index(dataset, "detail"), dataset, settings).finish()
    assert (run.present, run.embedded, run.failed) == (1, 2, 0)  # gone on with

    monkeypatch.setattr(huge_image.HugeImage, "bands", None)  # features are stored
    index = DetailIndex(dataset, "detail")
    for name, path in paths.items():
        found = index.search(f"a {name}", k=1, method="patches")
        assert found.view.first().filepath == str(path)
        assert index.show_where(f"a {name}", found.view).boxes
        shown = dataset[found.view.first().id]["detail_where"].detections[0]
        assert has_thing(shown.bounding_box, name)


@needs_rasterio
def test_places_are_shown_where_nothing_is_stored(tmp_path, monkeypatch, lowered):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    path = write_tiff(tmp_path / "a.tif", scene("hammer"), [2], photometric="RGB")
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(path)))
    settings = Settings(
        backbone=DEMO, cover=10, fuser="mean", max_pixels=LIMIT, keep_features=False
    )
    compute_index.compute(Index(dataset, "detail"), dataset, settings).finish()
    DetailIndex(dataset, "detail").show_where("a hammer", options=OPTIONS)
    shown = dataset.first()["detail_where"].detections[0]
    assert has_thing(shown.bounding_box, "hammer")


@needs_rasterio
def test_only_parts_are_decoded_to_be_shown(tmp_path, monkeypatch, lowered):
    path = write_tiff(tmp_path / "a.tif", scene("hammer"), photometric="RGB")
    monkeypatch.setattr(huge_image, "decode_pixels", None)
    monkeypatch.setattr(thumbnails, "upright_rgb", None)
    x, y = PLACES["hammer"]
    box = [x / SIZE[0], y / SIZE[1], SIDE / SIZE[0], SIDE / SIZE[1]]
    part = np.asarray(examples.crop(examples.Box(str(path), box)))
    whole = np.asarray(scene("hammer"))[y : y + SIDE, x : x + SIDE]
    assert np.array_equal(part, whole)
    close = thumbnails._cut(str(path), box)
    assert close.size == (132, 132) and np.asarray(close).std() > 5
    assert thumbnails._shrink(str(path)).size == (132, 99)
    assert huge_image.see_whole(path).size == (1024, 770)


def test_without_the_package_the_reason_names_it(
    noise, backbone, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    noise.save(tmp_path / "a.png")
    said = features(tmp_path / "a.png", backbone).reason
    assert said.startswith("has 1201 x 903 pixels, more than the 500000 allowed: inst")
    assert 'pip install "detail-embed[huge]" (that is rasterio)' in said
    assert "cannot be read: pip" in huge_line([tmp_path / "a.png"], COVER, LIMIT)


@needs_rasterio
def test_the_line_before_a_run(noise, tmp_path):
    noise.save(tmp_path / "a.png")
    assert huge_line([tmp_path / "a.png", "missing.png"], COVER) is None
    said = huge_line([tmp_path / "a.png"], COVER, LIMIT)
    count = len(COVER.boxes(*SIZE))
    assert f"a.png has 1201 x 903 pixels and is read by parts: {count} pat" in said
    assert huge_line([tmp_path / "a.png"], CompleteCover("auto"), LIMIT)


@needs_rasterio
def test_the_form_says_how_many_patches(noise, tmp_path):
    noise.save(tmp_path / "a.png")
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(tmp_path / "a.png")))
    params = {"backbone": DEMO, "cover": "5", "max_pixels": LIMIT}
    ctx = ExecutionContext(request_params={
        "dataset_name": dataset.name, "params": params})
    form = foo.get_operator("@detail/detail-embed/compute_detail_embeddings")
    said = form.resolve_input(ctx).type.properties["huge"].view.label
    assert f"is read by parts: {len(COVER.boxes(*SIZE))} patches, the small" in said


@needs_rasterio
def test_how_many_patches_auto_makes_is_bounded_and_said_before(tmp_path):
    import rasterio

    path = tmp_path / "gigapixel.tif"
    with rasterio.open(  # without a pixel
        path, "w", driver="GTiff", width=39_266, height=29_140, count=3, dtype="uint8",
        tiled=True, compress="deflate", SPARSE_OK=True, photometric="RGB",
    ):
        pass
    said = (
        "gigapixel.tif has 39266 x 29140 pixels and is read by parts: 8,137 patches "
        "(never more than 8,192), the smallest of 478 pixels a side"
    )
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(path)))
    params = {"backbone": DEMO, "cover": "auto"}
    ctx = ExecutionContext(request_params={
        "dataset_name": dataset.name, "params": params})
    form = foo.get_operator("@detail/detail-embed/compute_detail_embeddings")
    inputs = form.resolve_input(ctx).type.properties
    assert inputs["huge"].view.label == said
    settings = Settings(backbone=DEMO, cover="auto", fuser="mean")
    run = compute_index.compute(Index(dataset, "detail"), dataset, settings)
    assert next(iter(run)).text == said
    assert f'cover "auto": {said.partition(": ")[2]}' in huge_line([path], COVER)


def test_reading_all_of_it_is_still_refused(noise, tmp_path):
    noise.save(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="more than the 500000 allowed"):
        read_image(tmp_path / "a.png", LIMIT)
