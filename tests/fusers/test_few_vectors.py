"""k vectors per image, against the definition written out in float64."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from detail_embed import fusers
from detail_embed.fusers import FitSample, few_vectors
from detail_embed.fusers.few_vectors import FewVectors

DIM = 12


def _features(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, DIM, generator=generator) + 0.3, dim=-1)


def _fitted(k=4, global_weight=0.0, **options):
    few = FewVectors(DIM, k=k, global_weight=global_weight, **options)
    images = _features(20, 9, seed=5)
    return few.fit(FitSample.of_images(images, None, _features(30, seed=7)))


def _fused(few, *images):
    fused = few.fuse(*images)
    assert torch.equal(few(*images), fused.vectors)
    return fused.vectors, fused.patches


def _unit(x):
    return x / np.linalg.norm(x)


def _clustered(rows, sample, k, eps=0.02, power=2.0, iterations=6):
    """One image, with loops."""
    mean = sample.mean(0)
    values, vectors = np.linalg.eigh(np.cov(sample.T, bias=True))
    whitening = vectors @ np.diag((values + eps * values[-1]) ** -0.5) @ vectors.T
    u = [_unit(whitening @ (row - mean)) for row in rows]
    centres = [u[0]]
    while len(centres) < k:
        centres.append(u[np.argmin([max(c @ x for c in centres) for x in u])])

    def clusters():
        nearest = [int(np.argmax([c @ x for c in centres])) for x in u]
        return [[p for p, n in enumerate(nearest) if n == j] for j in range(k)]

    for _ in range(iterations):
        for j, members in enumerate(clusters()):
            if members:
                centres[j] = _unit(sum(u[p] for p in members))
    found = []
    for centre, members in zip(centres, clusters()):
        best = max(members or range(len(u)), key=lambda p: round(centre @ u[p], 4))
        weights = {p: max(centre @ u[p], 0) ** power for p in members}
        if not any(weights.values()):
            weights = {best: 1.0}
        found.append((_unit(sum(w * rows[p] for p, w in weights.items())), best))
    return found


def _selected(rows, images, proxies, k, threshold=1.5):
    best = (images @ proxies.T).max(1)
    z = (rows @ proxies.T - best.mean(0)) / best.std(0, ddof=1)
    worth, chosen = np.maximum(z - threshold, 0), []
    for _ in range(k):
        covered = worth[chosen].max(0) if chosen else np.zeros(len(proxies))
        gains = [np.maximum(row - covered, 0).sum() for row in worth]
        chosen.append(int(np.argmax(gains)))
    return chosen


@pytest.mark.parametrize("k", [2, 5, 16])
def test_clusters_are_those_of_the_definition(k):
    images = _features(6, 30)
    vectors, chosen = _fused(_fitted(k), images)
    assert vectors.shape == (6, k, DIM) and vectors.dtype == torch.float32
    assert chosen.shape == (6, k) and chosen.dtype == torch.int64
    sample = _features(20, 9, seed=5).flatten(0, 1).double().numpy()
    for image, some, places in zip(images.double().numpy(), vectors, chosen):
        expected, patches = zip(*_clustered(image, sample, k))
        np.testing.assert_allclose(some, np.stack(expected), atol=1e-4)
        assert places.tolist() == list(patches)


@pytest.mark.parametrize("threshold", [1.5, -3.0])
def test_selected_patches_are_those_of_the_definition(threshold):
    images = _features(6, 30)
    few = _fitted(4, method="facility-location", threshold=threshold)
    vectors, chosen = _fused(few, images)
    fit = _features(20, 9, seed=5).double().numpy()
    proxies = _features(30, seed=7).double().numpy()
    for i, image in enumerate(images.double().numpy()):
        assert chosen[i].tolist() == _selected(image, fit, proxies, 4, threshold)
        torch.testing.assert_close(vectors[i], images[i, chosen[i]])


@pytest.mark.parametrize("method", few_vectors.METHODS)
def test_the_whole_image_has_a_share_in_every_vector(method):
    images = _features(3, 12)
    parts, patches = _fused(_fitted(4, method=method), images)
    vectors, chosen = _fused(
        _fitted(4, global_weight=0.3, method=method), images
    )
    assert torch.equal(patches, chosen)
    torch.testing.assert_close(
        vectors, F.normalize(parts + 0.3 * images[:, :1], dim=-1)
    )


def test_where_no_patch_gains_it_is_the_whole_image():
    few = _fitted(3, method="facility-location", threshold=1000.0)
    assert few.fuse(_features(2, 5)).patches.tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("method", few_vectors.METHODS)
def test_masked_rows_count_as_absent_whatever_they_hold(method):
    few = _fitted(4, method=method)
    images = _features(3, 12)
    mask = torch.ones(3, 12, dtype=torch.bool)
    mask[1, 7:] = False
    padded = images.clone()
    padded[1, 7:] = torch.nan
    vectors, chosen = _fused(few, padded, mask)
    alone = _fused(few, images[1:2, :7])
    torch.testing.assert_close(vectors[1:2], alone[0])
    assert torch.equal(chosen[1:2], alone[1]) and chosen[1].max() < 7


@pytest.mark.parametrize("method", few_vectors.METHODS)
@pytest.mark.parametrize("patches", [1, 3])
def test_fewer_patches_than_vectors_are_repeated(method, patches):
    images = _features(2, patches)
    vectors, chosen = _fused(_fitted(8, method=method), images)
    assert vectors.shape == (2, 8, DIM) and chosen.max() < patches
    rows = torch.arange(2)[:, None]
    torch.testing.assert_close(vectors, images[rows, chosen])
    if method == "kmeans":
        assert all(set(row.tolist()) == set(range(patches)) for row in chosen)


@pytest.mark.parametrize("method", few_vectors.METHODS)
def test_equal_patches_count_once(method):
    rows, few = _features(6, seed=4), _fitted(method=method)
    repeated = rows[[0, 1, 1, 2, 0, 3, 1, 4, 5, 5]]
    found, chosen = _fused(few, repeated[None])[0], few.fuse(repeated[None]).patches[0]
    torch.testing.assert_close(found, _fused(few, rows[None])[0], atol=1e-6, rtol=0)
    assert set(chosen.tolist()) <= {0, 1, 3, 5, 7, 8}


def test_equal_patches_give_one_vector():
    image = _features(1, 1).expand(1, 20, DIM)
    vectors, chosen = _fused(_fitted(4), image)
    torch.testing.assert_close(vectors, image[:, :4])
    assert chosen.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("method", few_vectors.METHODS)
def test_of_equal_patches_the_first_counts_on_any_processor(method, request):
    few, images = _fitted(8, method=method, threshold=0.5), _features(20, 4)
    images = images.repeat(1, 9, 1)
    vectors, chosen = _fused(few, images)
    assert chosen.max() < 4
    request.getfixturevalue("other_kernel")
    found, places = _fused(few, images)
    assert places.tolist() == chosen.tolist()
    torch.testing.assert_close(found, vectors)


def test_the_same_every_time_and_unit_length():
    few, images = _fitted(8), _features(5, 40)
    first, second = _fused(few, images), _fused(few, images)
    assert all(map(torch.equal, first, second))
    torch.testing.assert_close(first[0].norm(dim=-1), torch.ones(5, 8))
    torch.testing.assert_close(few(images[2:3]), first[0][2:3])


@pytest.mark.parametrize("method", few_vectors.METHODS)
def test_round_trip(method, tmp_path):
    few, images = _fitted(4, method=method), _features(3, 20)
    few.save(tmp_path)
    again = fusers.load(tmp_path)
    assert again.hash == few.hash and again.k == 4 and again.name == "few"
    assert all(map(torch.equal, _fused(again, images), _fused(few, images)))
    assert _fitted(4, method=method).hash == few.hash
    assert _fitted(5, method=method).hash != few.hash


def test_damage_and_strangers_are_found(tmp_path):
    _fitted().save(tmp_path / "few")
    path = tmp_path / "few" / "fuser.json"
    config = path.read_text()
    path.write_text(config.replace('"few"', '"mean"'))
    with pytest.raises(ValueError, match="does not describe a fuser"):
        fusers.load(tmp_path / "few")
    fusers.create("mean", DIM).save(tmp_path / "mean")
    path.write_text((tmp_path / "mean" / "fuser.json").read_text())
    with pytest.raises(ValueError, match="not of a 'mean' fuser"):
        fusers.load(tmp_path / "few")
    path.write_text(config)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hash": "0" * 12}))
    with pytest.raises(ValueError, match="damaged: hash"):
        fusers.load(tmp_path / "few")
    with pytest.raises(FileNotFoundError, match="no fuser"):
        fusers.load(tmp_path / "nothing")


def test_what_it_cannot_work_with():
    few, images = _fitted(), _features(2, 9)
    images[1, 3, 0] = torch.nan
    with pytest.raises(ValueError, match=r"images \[1\] hold NaN"):
        few(images)
    with pytest.raises(ValueError, match="leave out failed rows"):
        FewVectors(DIM).fit(images.flatten(0, 1))
    with pytest.raises(ValueError, match="all equal"):
        FewVectors(DIM).fit(_features(1).expand(50, DIM))
    with pytest.raises(RuntimeError, match="not fitted"):
        FewVectors(DIM)(_features(2, 9))
    words = FewVectors(DIM, method="facility-location")
    with pytest.raises(ValueError, match="needs proxies"):
        words.fit(FitSample(images=_features(2, 9)))
    with pytest.raises(ValueError, match="2 images"):
        words.fit(FitSample(proxies=_features(3)))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"k": 1}, "1 vectors per image: give 2 to 16"),
        ({"k": 0}, "0 vectors"),
        ({"k": 17}, "17 vectors"),
        ({"k": True}, "True vectors"),
        ({"k": 4.0}, "4.0 vectors"),
        ({"method": "magic"}, "method='magic'"),
        ({"eps": 0}, "eps"),
        ({"power": -1}, "power"),
        ({"global_weight": -0.1}, "global_weight"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        FewVectors(DIM, **options)
