"""Objects of a store that are too large to be decoded at once: read by parts."""

import numpy as np
import pytest
from PIL import Image

from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.images import huge_image, open_file
from detail_embed.storage import stored_files
from detail_embed.storage.stored_files import StoredParts

pytest.importorskip("rasterio", reason="rasterio is not installed")
pytestmark = pytest.mark.usefixtures("credentials")
SIZE = 1201, 903
COVER = CompleteCover(4)
OPTIONS = EncodeOptions(device="cpu", max_pixels=500_000)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same picture in several formats."""
    import rasterio

    folder = tmp_path_factory.mktemp("huge")
    blocks = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize(SIZE, Image.Resampling.BICUBIC)
    with rasterio.open(
        folder / "tiled 1.tif", "w", driver="GTiff", width=SIZE[0], height=SIZE[1],
        count=3, dtype="uint8", photometric="RGB", tiled=True, blockxsize=64,
        blockysize=64,
    ) as file:
        file.write(np.moveaxis(np.asarray(image), -1, 0))
    image.resize((100, 75)).save(
        folder / "second.tif", save_all=True, append_images=[image]
    )
    turned = Image.Exif()
    turned[274] = 6
    image.save(folder / "turned.jpg", quality=95, exif=turned)
    image.save(folder / "a.png")
    image.save(folder / "a.bmp")
    return folder


def features(path, backbone):
    (image,) = iter_patch_features([(0, path)], backbone, COVER, OPTIONS)
    return image


@pytest.mark.parametrize("most", [2**28, 1000])
@pytest.mark.parametrize(
    "name", ["tiled 1.tif", "second.tif", "turned.jpg", "a.png", "a.bmp"]
)
@pytest.mark.slow
def test_an_object_is_read_by_parts(
    name, most, files, store, backbone, monkeypatch
):
    monkeypatch.setattr(open_file, "_WHOLE", most)
    path = files / name
    address = store.put(f"images/{name}", path.read_bytes())
    here, there = features(path, backbone), features(address, backbone)
    assert there.reason is None and (there.width, there.height) == (
        here.width, here.height)
    assert (here.features * there.features).sum(1).min() > 0.9999
    assert there.source.state and there.source.content == here.source.content


def test_only_what_is_needed_is_sent(files, store, monkeypatch):
    monkeypatch.setattr(huge_image, "MAX_PIXELS", 500_000)
    monkeypatch.setattr(open_file, "_WHOLE", 1000)
    monkeypatch.setattr(stored_files, "_AHEAD", 4096)
    sent = []
    readinto = stored_files._Raw.readinto
    monkeypatch.setattr(
        stored_files._Raw, "readinto",
        lambda self, buffer: sent.append(readinto(self, buffer)) or sent[-1],
    )
    path = files / "tiled 1.tif"
    address = store.put("images/part.tif", path.read_bytes())
    part = huge_image.see(address).crop((200, 100, 300, 180))
    whole = np.asarray(Image.open(path))[100:180, 200:300]
    assert np.array_equal(np.asarray(part), whole)
    assert sum(sent) < path.stat().st_size / 5


def test_one_that_may_be_decoded_at_once_is(files, store, backbone, monkeypatch):
    monkeypatch.setattr(open_file, "_WHOLE", 1000)
    small = files / "small.png"
    noise = np.random.default_rng(1).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(small)
    address = store.put("images/small.png", small.read_bytes())
    with open_file.open_file(address) as file:
        assert isinstance(file, StoredParts) and file.name == address
    here, there = features(small, backbone), features(address, backbone)
    assert (here.features - there.features).abs().max() < 1e-6


def test_one_that_is_missing_or_cannot_be_read_by_parts(files, store, backbone):
    gone = features(f"s3://{store.bucket}/images/none.tif", backbone).reason
    assert gone.startswith("is missing: the bucket")
    Image.open(files / "a.png").save(files / "a.webp")
    address = store.put("images/a.webp", (files / "a.webp").read_bytes())
    reason = features(address, backbone).reason
    assert "WEBP is not read by parts" in reason and "vips copy FILE" in reason
