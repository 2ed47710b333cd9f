"""Parts in an object store, of images in it: a real S3 API on this machine."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detail_embed import fusers
from detail_embed.cover import CompleteCover
from detail_embed.distributed.parts import PartFolder
from detail_embed.distributed.worker import PartWorker
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.fiftyone_bridge.exchange.import_vectors import import_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.space import DetailEmbedder
from detail_embed.storage.addresses import Object

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture(scope="module")
def uris(store, tmp_path_factory):
    """Five images of the bucket, one that is half there, and one that is not."""
    folder, found = tmp_path_factory.mktemp("images"), []
    for i in range(5):
        path = folder / f"{i}.png"
        pixels = np.random.default_rng(i).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 48)).save(path)
        found.append(store.put(f"images/{i} of 5.png", path.read_bytes()))
    half = store.put("images/half.png", path.read_bytes()[:-40])
    return [*found, half, f"s3://{store.bucket}/images/none.png"]


@pytest.fixture(scope="module")
def space(backbone, store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("space")
    space = DetailEmbedder(
        backbone, CompleteCover(2), fusers.create("mean", dim=backbone.dim)
    )
    space.save(folder)
    return space, folder


def work(folder, parts=None):
    worker = PartWorker(folder.directory, EncodeOptions(device="cpu"))
    worker({"part": np.array(folder.todo() if parts is None else parts)})


def test_images_parts_list_and_space_in_a_store(store, uris, space, tmp_path):
    table = pa.table({"uri": uris, "id": list("abcdefg")})
    pq.write_table(table, tmp_path / "l.parquet")
    listed = store.put("lists/l.parquet", (tmp_path / "l.parquet").read_bytes())
    for path in space[1].rglob("*"):
        if path.is_file():
            store.put(f"space/{path.relative_to(space[1])}", path.read_bytes())
    out, made = f"s3://{store.bucket}/parts", f"s3://{store.bucket}/space"
    folder = PartFolder.create(out, listed, made, part_rows=3)
    work(folder, [0, 2])
    assert folder.todo() == [1] and folder.count(0) == (3, 0)
    assert folder.count(2) == (1, 1)

    before = store.states("parts/part-")
    again = PartFolder.create(out, listed, made)  # goes on
    work(again)
    assert again.todo() == [] and store.states("parts/part-").items() >= before.items()
    opened = [again.place.open(f"part-{i:06d}.parquet") for i in range(3)]
    table = pa.concat_tables(map(pq.read_table, opened))
    assert table["filepath"].to_pylist() == uris
    reasons = table["error"].to_pylist()
    assert reasons[:5] == [None] * 5 and "truncated" in reasons[5]
    assert "has no object 'images/none.png'" in reasons[6]
    expected = space[0].embed_files(uris)
    mine = np.array(table["vector"].to_pylist()[:5], np.float32)
    np.testing.assert_allclose(mine, expected.vectors[:5], atol=1e-5)
    assert [error[0] for error in expected.errors] == [5, 6]

    with pytest.raises(ValueError, match=r"s3://photos/parts was begun with input="):
        PartFolder.create(out, uris[:2], made)
    with pytest.raises(ValueError, match="leave keep_features out"):
        PartFolder.create(out, listed, made, keep_features=True)
    Object(f"{out}/part-000001.parquet").write(b"damaged")
    with pytest.raises(ValueError, match="s3://photos/parts/part-000001.parquet is no"):
        again.todo()


def test_parts_of_a_store_become_an_index(store, uris, space, dataset):
    some = dataset.take(3, seed=1)
    rows = [(sample.id, sample.filepath) for sample in some]
    table = pa.table({"id": [id for id, _ in rows], "uri": [p for _, p in rows]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    listed = store.put("lists/samples.parquet", sink.getvalue().to_pybytes())
    out = f"s3://{store.bucket}/vectors"
    work(PartFolder.create(out, listed, space[1], part_rows=2))
    index = Index(dataset, "stored")
    result = import_vectors(index, dataset, out, device="cpu").finish()
    assert (result.images, result.failed, result.unmatched) == (3, 0, 0)
    with pytest.raises(ValueError, match="s3://photos/none is no prefix of parts"):
        import_vectors(index, dataset, f"s3://{store.bucket}/none")


def test_a_part_is_not_there_before_all_of_it_is(store, uris, space):
    folder = PartFolder.create(f"s3://{store.bucket}/cut", uris[:2], space[1])
    with pytest.raises(KeyError):
        with folder.place.writing("part-000000.parquet") as partial:
            partial.write_bytes(b"half of it")
            raise KeyError
    assert folder.todo() == [0]


def test_a_store_that_cannot_be_used_is_named(store, uris, space, tmp_path):
    with pytest.raises(ValueError, match="s3://nobucket/parts"):
        PartFolder.create("s3://nobucket/parts", uris[:1], space[1])
    with pytest.raises(ValueError, match="s3://photos/none.parquet is missing"):
        PartFolder.create(tmp_path / "out", "s3://photos/none.parquet", space[1])
    with pytest.raises(ValueError, match="s3://photos/empty is neither a Parquet file"):
        PartFolder.create(tmp_path / "out", "s3://photos/empty", space[1])
    store.refuse = True
    try:
        with pytest.raises(ValueError, match="s3://photos/.* refused .*AWS_ACCESS_KEY"):
            PartFolder.create(f"s3://{store.bucket}/new", uris[:1], space[1])
    finally:
        store.refuse = False


def test_vectors_of_objects_are_kept_by_their_address(store, uris, space, tmp_path):
    first = space[0].embed_files(uris[:3], out=tmp_path / "done")
    store.put("images/1 of 5.png", b"words")  # has changed: it is read again
    again = space[0].embed_files(uris[:3], out=tmp_path / "done")
    assert (again.vectors[[0, 2]] == first.vectors[[0, 2]]).all()
    assert [error[0] for error in again.errors] == [1]
