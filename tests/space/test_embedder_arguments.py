"""Paths, words and numbers in another form than they are meant."""

import numpy as np
import pytest
import torch

from detail_embed import DetailEmbedder, fusers
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.patch_search import PatchIndex
from tests.tiny import write_images


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"), [(64, 64)] * 4)


def embedder(backbone, fuser="mean"):
    made = fusers.create(fuser, dim=backbone.dim)
    return DetailEmbedder(backbone, CompleteCover(2), made)


def test_paths_in_whatever_they_come(backbone, paths):
    space = embedder(backbone)
    wanted = space.embed_files(paths).vectors
    texts = [str(path) for path in paths]
    for given in ((p for p in paths), tuple(texts), np.array(texts),
                  dict.fromkeys(paths), dict.fromkeys(paths).keys()):
        np.testing.assert_allclose(space.embed_files(given).vectors, wanted, atol=1e-6)
    fitted = embedder(backbone, "gmp").fit(paths).slug
    assert embedder(backbone, "gmp").fit(iter(paths)).slug == fitted


@pytest.mark.parametrize("method", ["embed_files", "fit", "choose_fuser"])
@pytest.mark.parametrize("wrong", ["one.jpg", None, 7, [7], [np.zeros((2, 2, 3))]])
def test_what_is_no_list_of_paths_is_refused(backbone, method, wrong):
    with pytest.raises(TypeError, match="pass a list of paths"):
        getattr(embedder(backbone, "gmp"), method)(wrong)


def test_numbers_of_numpy_are_numbers(backbone, paths):
    made = embedder(backbone).embed_files(
        paths, batch_size=np.int64(4), num_workers=np.int32(1),
        max_pixels=np.int64(10**6))
    assert not made.errors
    options = EncodeOptions(device=torch.device("cpu"), batch_size=np.int64(4))
    assert options == EncodeOptions("cpu", batch_size=4)
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        embedder(backbone).embed_files(paths, batch_size="4")


def test_words_in_whatever_they_come(backbone, paths):
    space = embedder(backbone)
    assert space.encode_texts(word for word in ("a", "b")).shape == (2, 16)
    fitted = embedder(backbone, "ridge").fit(paths, proxies=["cat", "dog"]).slug
    words = (word for word in ("cat", "dog"))
    assert embedder(backbone, "ridge").fit(paths, proxies=words).slug == fitted
    with pytest.raises(TypeError, match="candidates='mean'"):
        space.choose_fuser(paths, candidates="mean")
    with pytest.raises(TypeError, match="give a Vocabulary"):
        space.choose_fuser(paths, ["cat", "dog"])


def test_a_patch_index(backbone, paths, tmp_path):
    space = embedder(backbone)
    space.embed_files(paths, features=tmp_path / "features")
    index = PatchIndex.build(tmp_path / "features", tmp_path / "index")
    query = space.encode_texts(["a"]).numpy()
    assert len(index.search(query, k=None)[0][0]) == 4
    for wrong in ("2", 2.5, 0, 5):
        with pytest.raises(ValueError, match="k="):
            index.search(query, k=wrong)
    with pytest.raises(TypeError, match="queries='a'"):
        index.search("a")
