"""Windows by one pass: through the engine, with other files and known boxes."""

import numpy as np
import pytest
import torch

from detail_embed import DetailEmbedder, fusers
from detail_embed.backbone import Backbone, dense
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.features import FeatureStore
from detail_embed.images.reader import read_images
from detail_embed.space import EmbeddingSpace
from tests.tiny import tiny_backbone, write_images

COVER = CompleteCover(3, features="dense")


@pytest.fixture(scope="module")
def demo():
    return Backbone.load(DEMO, device="torch", precision="fp32")


def test_every_file_gets_what_its_own_pass_says(demo, tmp_path):
    paths = write_images(tmp_path, [(200, 200), (300, 160), (64, 90)])
    paths.insert(1, tmp_path / "missing.png")
    found = list(iter_patch_features(enumerate(paths), demo, COVER))
    assert found[1].features is None and "missing.png" in found[1].path
    for image, read in zip(found, read_images(paths)):
        if read.pixels is not None:
            pixels = torch.from_numpy(read.pixels).permute(2, 0, 1)
            boxes = COVER.boxes(image.width, image.height)
            wanted = dense.encode_windows(demo, pixels, boxes)
            torch.testing.assert_close(image.features, wanted, atol=1e-5, rtol=1e-4)


def test_vectors_of_crops_and_of_one_pass_are_of_different_spaces(demo, tmp_path):
    paths = write_images(tmp_path / "..", [(200, 200)] * 3)
    mean = fusers.create("mean", demo.dim)
    one, each = (
        DetailEmbedder(demo, cover, mean) for cover in (COVER, CompleteCover(3))
    )
    assert one.slug != each.slug and "-dense-" in one.slug
    vectors = one.embed_files(paths).vectors
    assert vectors.shape == (3, demo.dim)
    near = (vectors * each.embed_files(paths).vectors).sum(axis=1)
    assert (near > 0.7).all() and not np.allclose(near, 1, atol=1e-3)
    store = FeatureStore(tmp_path / "store", one.patch_slug, demo.dim)
    with pytest.raises(ValueError, match="holds patch features of slug"):
        store.require(each.patch_slug)
    one.save(tmp_path / "space")
    assert EmbeddingSpace.load(tmp_path / "space", backbone=demo).slug == one.slug


def test_a_space_of_a_tower_that_cannot_is_refused(tmp_path):
    backbone = tiny_backbone(tmp_path)
    with pytest.raises(ValueError, match='choose features="crops"'):
        EmbeddingSpace(backbone, COVER, fusers.create("mean", backbone.dim))
