"""Objects of a real S3 API on this machine, as files that are read and written."""


import pytest
from PIL import Image

from detail_embed.images.image_file import UnreadableImage, read_image
from detail_embed.images.reader import read_images
from detail_embed.storage.addresses import Object, is_address, local_path

pytestmark = pytest.mark.usefixtures("credentials")


def reason(uri):
    with pytest.raises(UnreadableImage) as caught:
        read_image(uri)
    return str(caught.value)


def test_what_an_address_is():
    assert is_address("s3://bucket/a.jpg") and is_address("abfs://c@a/b.jpg")
    assert not is_address("/photos/a.jpg") and not is_address("file:///a.jpg")
    assert local_path("file:///photos/a%20b.jpg") == "/photos/a b.jpg"


def test_pictures_are_read_whatever_their_key(store, tmp_path):
    image = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    image.save(tmp_path / "a.png")
    for key in ("photos/a b.png", "a%20b.png", "100%.png", "what?.png", "x#1.png"):
        store.put(key, (tmp_path / "a.png").read_bytes())
        assert (read_image(f"s3://{store.bucket}/{key}") == read_image(
            f"file://{tmp_path}/a.png")).all()
    assert read_image(f"s3://{store.bucket}/photos/a%20b.png").shape == (30, 40, 3)


def test_what_is_wrong_is_named_with_the_address(store, tmp_path):
    bucket = f"s3://{store.bucket}"
    assert f"the bucket '{store.bucket}' has no object" in reason(f"{bucket}/none.jpg")
    assert "s3://nobucket/a.jpg: is missing: there is no bucket 'nobucket'" in reason(
        "s3://nobucket/a.jpg")
    store.put("words.jpg", b"just words")
    assert "is no image" in reason(f"{bucket}/words.jpg")
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "a.jpg")
    store.put("half.jpg", (tmp_path / "a.jpg").read_bytes()[:700])
    assert "is truncated" in reason(f"{bucket}/half.jpg")
    assert "names no bucket" in reason("s3:///a.jpg")


def test_a_server_that_is_busy_for_a_moment_is_asked_again(store, tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    store.put("again.png", (tmp_path / "a.png").read_bytes())
    store.fail_next = 3
    assert read_image(f"s3://{store.bucket}/again.png").shape == (6, 8, 3)
    assert store.fail_next == 0


def test_credentials_that_are_refused_are_asked_for(store, tmp_path):
    Image.effect_noise((200, 200), 90).convert("RGB").save(tmp_path / "a.png")
    store.put("a.png", (tmp_path / "a.png").read_bytes())
    store.refuse = True
    try:
        found = reason(f"s3://{store.bucket}/a.png")
    finally:
        store.refuse = False
    assert "a.png: is refused by its store: set the credentials" in found
    assert "AWS_ACCESS_KEY_ID" in found


def test_the_reader_reads_objects_and_finds_twins(store, tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    for key in ("one.png", "two.png"):
        store.put(key, (tmp_path / "a.png").read_bytes())
    uris = [f"s3://{store.bucket}/{key}" for key in ("one.png", "none.png", "two.png")]
    first, missing, twin = read_images(uris, 1, identical_within=5)
    assert first.source.state and first.source.content
    assert missing.error and twin.same_as == 0


def test_objects_appear_whole(store):
    prefix = Object(f"s3://{store.bucket}/parts")
    assert prefix.names() == set() and not prefix.child("a").exists()
    prefix.child("a").write(b"abc")
    assert prefix.names() == {"a"} and prefix.child("a").read().read() == b"abc"
