"""Objects of Google's and Azure's stores, by stand-ins on this machine."""

import numpy as np
import pytest
from PIL import Image

from detail_embed import fusers
from detail_embed.cover import CompleteCover
from detail_embed.distributed.parts import PartFolder
from detail_embed.distributed.worker import PartWorker
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.images.image_file import UnreadableImage, read_image
from detail_embed.space import DetailEmbedder
from detail_embed.storage.addresses import Object, StoreError
from detail_embed.storage.places import Prefix, place_at
from tests.other_stores import AzureStore, GoogleStore


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    for name in ("AZURE_STORAGE_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module", params=[GoogleStore, AzureStore])
def running(request):
    with request.param() as store:
        yield store


@pytest.fixture
def store(running, monkeypatch):
    running.set(monkeypatch.setenv)
    return running


@pytest.fixture
def picture(tmp_path):
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_pictures_are_read_whatever_their_key(store, picture):
    for key in ("photos/a b.png", "100%.png", "deep/er/x#1.png"):
        Object(store.address(key)).write(picture.read_bytes())
        assert (read_image(store.address(key)) == read_image(picture)).all()


def test_what_is_missing_is_named(store, picture):
    Object(store.address("there.png")).write(picture.read_bytes()[:60])
    with pytest.raises(UnreadableImage, match="bucket 'photos' has no object 'a/none"):
        read_image(store.address("a/none.png"))
    with pytest.raises(UnreadableImage, match="there is no bucket 'nobucket'"):
        read_image(store.address("a.png", bucket="nobucket"))
    with pytest.raises(UnreadableImage, match="is truncated"):
        read_image(store.address("there.png"))


def test_files_appear_below_a_prefix(store, tmp_path):
    prefix = place_at(store.address("parts"))
    assert isinstance(prefix, Prefix) and prefix.names() == set()
    with prefix.writing("part-0") as path:
        path.write_bytes(b"abc")
    assert prefix.names() == {"part-0"} and prefix.exists("part-0")
    assert prefix.open("part-0").read() == b"abc"
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/x").write_bytes(b"x")
    prefix.copy_in(tmp_path / "in", "folder")
    with prefix.folder("folder") as copy:
        assert (copy / "deep/x").read_bytes() == b"x"


def test_images_and_parts_in_a_store(store, picture, backbone, tmp_path):
    addresses = [store.address(f"images/{i}.png") for i in range(3)]
    for address in addresses[:2]:
        Object(address).write(picture.read_bytes())
    space = DetailEmbedder(
        backbone, CompleteCover(2), fusers.create("mean", dim=backbone.dim)
    )
    space.save(tmp_path / "space")
    folder = PartFolder.create(
        store.address("run"), addresses, tmp_path / "space", part_rows=2
    )
    PartWorker(folder.directory, EncodeOptions(device="cpu"))(
        {"part": np.array(folder.todo())}
    )
    assert folder.todo() == []
    assert folder.count(0) == (2, 0) and folder.count(1) == (1, 1)


def test_addresses_as_they_are_in_azure(running, monkeypatch, picture):
    if not isinstance(running, AzureStore):
        pytest.skip("of Azure")
    running.set(monkeypatch.setenv)
    Object(running.as_in_azure("own/a.png")).write(picture.read_bytes())
    assert Object(running.address("own/a.png")).exists()
    assert Object(running.address("own")).names() == {"a.png"}


def test_a_key_that_is_wrong_or_missing_is_asked_for(running, monkeypatch):
    if not isinstance(running, AzureStore):
        pytest.skip("of Azure")
    with pytest.raises(StoreError, match="without TLS .*: set AZURE_STORAGE_KEY"):
        Object(running.address("a.png"))
    monkeypatch.setenv("AZURE_STORAGE_KEY", "AAAA")
    with pytest.raises(StoreError, match="set the credentials of it, AZURE_STORAGE_KE"):
        Object(running.address("a.png")).exists()


@pytest.mark.parametrize("address, wanted", [
    ("abfs://photos/a.png", "names no account: give abfs://container@account"),
    ("abfs://me@127.0.0.1:9?enable_tls=false", "names no bucket: give abfs://"),
    ("gs:///a.png", "names no bucket"),
])
def test_what_an_address_lacks_is_said(monkeypatch, address, wanted):
    monkeypatch.setenv("AZURE_STORAGE_KEY", "AAAA")
    with pytest.raises(StoreError, match=wanted):
        Object(address)


@pytest.mark.parametrize("address, path", [
    ("abfs://photos@account.dfs.core.windows.net/a/b.png", "photos/a/b.png"),
    ("abfss://account.blob.core.windows.net/photos/a/b.png", "photos/a/b.png"),
    ("gs://photos/a/b.png", "photos/a/b.png"),
])
def test_where_an_address_leads(address, path):
    found = Object(address)
    assert found.path == path and found.bucket == "photos" and found.key == "a/b.png"
