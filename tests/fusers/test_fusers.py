"""Fusers against slow float64 references, their storage, and their bad input."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from detail_embed import fusers, training
from detail_embed.evaluation import agreement
from detail_embed.fusers import FitSample, maxsim
from detail_embed.fusers import ridge as ridge_module

D = 24
NAMES = ["attention", "gmp", "mean", "ridge", "transformer"]
TRAINED = ["attention", "transformer"]


def unit(*shape, seed=0, shift=0.5):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator) + shift, dim=-1)


@pytest.fixture
def images():
    return unit(12, 7, D, seed=1)


@pytest.fixture
def proxies():
    return unit(40, D, seed=2)


@pytest.fixture(params=NAMES)
def fuser(request, images, proxies):
    fuser = fusers.create(request.param, dim=D)
    return training.fit(fuser, FitSample.of_images(images, None, proxies))


@pytest.fixture
def boxes():
    """``(12, 7, 4)`` boxes as fractions, the first the whole image."""
    low = torch.rand(12, 7, 2, generator=torch.manual_seed(3)) / 2
    boxes = torch.cat([low, low + 0.3], dim=2)
    boxes[:, 0] = torch.tensor([0.0, 0, 1, 1])
    return boxes


def rows_unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def gmp_reference(sample, features, eps, lam):
    """One image at a time, float64, by the formula; vectors and weights."""
    sample = sample.double().numpy()
    mean = sample.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(sample.T, bias=True))
    whitening = vectors @ np.diag((values + eps * values[-1]) ** -0.5) @ vectors.T
    vectors, weights = [], []
    for image in features.double().numpy():
        u = rows_unit((image - mean) @ whitening.T)
        a = np.linalg.inv(u @ u.T + lam * np.eye(len(u))) @ np.ones(len(u))
        weights.append(a)
        vectors.append(whitening.T @ sum(w * row for w, row in zip(a, u, strict=True)))
    return rows_unit(np.array(vectors)), np.array(weights)


def ridge_reference(t, sample, features, lam, weight):
    """One image at a time, float64, by the formula: ``r`` of each image."""
    t, sample, features = (x.double().numpy() for x in (t, sample, features))
    inverse = np.linalg.inv(t.T @ t + lam * np.trace(t.T @ t) / D * np.eye(D))
    s_mean = np.mean([(t @ image.T).max(axis=1) for image in sample], axis=0)
    g_mean = sample[:, 0].mean(axis=0)
    return np.array(
        [
            weight * (image[0] - g_mean)
            + inverse @ t.T @ ((t @ image.T).max(axis=1) - s_mean)
            for image in features
        ]
    )


def test_names_are_sorted_and_complete():
    assert fusers.names() == NAMES


def test_mean_is_the_mean(images):
    expected = rows_unit(images.double().numpy().mean(axis=1))
    np.testing.assert_allclose(fusers.create("mean", D)(images), expected, atol=1e-6)


@pytest.mark.parametrize("eps, lam", [(0.01, 1.0), (0.3, 0.1), (0.001, 10.0)])
def test_gmp_matches_reference(images, eps, lam):
    sample = unit(500, D, seed=3)
    fuser = fusers.create("gmp", D, eps=eps, lam=lam).fit(sample)
    vectors, weights = gmp_reference(sample, images, eps, lam)
    np.testing.assert_allclose(fuser(images), vectors, atol=2e-5)
    np.testing.assert_allclose(fuser.patch_weights(images), weights, atol=2e-5)


def test_gmp_weighs_the_odd_patch_like_all_the_equal_ones():
    sample = unit(500, D, seed=3)
    crowd, odd = unit(1, D, seed=4, shift=0), unit(1, D, seed=5, shift=0)
    image = torch.cat([crowd.repeat(20, 1), odd])[None]
    weights = fusers.create("gmp", D, lam=0.01).fit(sample).patch_weights(image)[0]
    assert weights[-1] == pytest.approx(float(weights[:-1].sum()), rel=0.1)


def test_gmp_survives_166_near_equal_patches():
    base = unit(4, 1, 64, seed=6)
    images = F.normalize(base + 1e-3 * torch.randn(4, 166, 64), dim=-1)
    fuser = fusers.create("gmp", 64).fit(images.flatten(0, 1))
    assert torch.isfinite(fuser(images)).all()


@pytest.mark.parametrize("lam, weight", [(0.01, 0.0), (0.3, 1.0), (0.001, 0.3)])
def test_ridge_scores_are_the_closed_forms(images, proxies, lam, weight):
    """Scores of texts that the free directions do not touch equal ``t . r / R``."""
    fuser = fusers.create("ridge", D, lam=lam, global_weight=weight)
    fuser.fit(FitSample(proxies=proxies, images=images))
    new = unit(5, 7, D, seed=9)
    for features in (images, new):
        r = ridge_reference(proxies, images, features, lam, weight)
        free = fuser.free.double().numpy()
        seen = r - r @ free.T @ free
        texts = np.random.default_rng(0).normal(size=(10, D))
        texts -= texts @ free.T @ free
        length = np.maximum(np.linalg.norm(seen, axis=1), float(fuser.radius))
        stored = fuser(features).double().numpy()
        expected = seen / length[:, None] @ texts.T
        np.testing.assert_allclose(stored @ texts.T, expected, atol=2e-5)


def test_ridge_ranks_alike_by_dot_cosine_and_centred_cosine():
    """What the filling to one length is for; texts live in a subspace, as CLIP's."""
    basis = torch.linalg.qr(torch.randn(64, 40, generator=torch.manual_seed(0)))[0]
    proxies = F.normalize(unit(100, 40, seed=1) @ basis.T, dim=-1)
    queries = F.normalize(unit(50, 40, seed=2) @ basis.T, dim=-1).double().numpy()
    images = unit(300, 9, 64, seed=3)
    # images with unlike amounts of content, so that lengths of r differ
    images[::2, 1:] = images[::2, :1]
    fuser = fusers.create("ridge", 64, lam=0.01, global_weight=0.0)
    fuser.fit(FitSample(proxies=proxies, images=images))
    r = ridge_reference_64(proxies, images)
    lengths = np.linalg.norm(r, axis=1)
    assert lengths.max() > 1.5 * lengths.min()
    stored = fuser(images).double().numpy()
    dot = queries @ r.T
    plain = queries @ stored.T
    centred = queries @ rows_unit(stored - stored.mean(axis=0)).T
    by_length = queries @ rows_unit(r).T
    assert correlation(dot, plain) > 0.9999
    assert correlation(dot, centred) > 0.99
    assert correlation(dot, centred) > correlation(dot, by_length) + 0.005


def ridge_reference_64(t, images):
    t, images = t.double().numpy(), images.double().numpy()
    inverse = np.linalg.inv(t.T @ t + 0.01 * np.trace(t.T @ t) / 64 * np.eye(64))
    s = np.array([(t @ image.T).max(axis=1) for image in images])
    return (s - s.mean(axis=0)) @ t @ inverse


def correlation(a, b):
    return np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)])


def test_ridge_keeps_near_duplicates_near(images, proxies):
    fuser = fusers.create("ridge", D).fit(FitSample(proxies=proxies, images=images))
    noise = torch.randn(images.shape, generator=torch.manual_seed(0))
    twins = F.normalize(images + 0.003 * noise, dim=-1)
    assert ((fuser(images) * fuser(twins)).sum(dim=1) > 0.99).all()


def test_ridge_auto_is_the_best_of_the_grid_on_proxies_left_out(images, proxies):
    fuser = fusers.create("ridge", D).fit(FitSample(proxies=proxies, images=images))
    weight = fuser.options["global_weight"]
    agreements = {}
    for lam in ridge_module.LAMS:
        agreements[lam] = 0.0
        for block in np.array_split(np.arange(len(proxies)), 4):  # runs of 10
            kept = np.delete(np.arange(len(proxies)), block)
            r = ridge_reference(proxies[kept], images, images, lam, weight)
            s = np.array([(proxies @ v.T).amax(dim=1).numpy() for v in images])
            predicted = r @ proxies[block].double().numpy().T
            agreements[lam] += agreement(
                *map(torch.from_numpy, (predicted, s[:, block]))
            )
    assert fuser.lam.item() == pytest.approx(max(agreements, key=agreements.get))


def test_ridge_takes_a_default_for_a_few_classes(images, caplog):
    fuser = fusers.create("ridge", D)
    fuser.fit(FitSample(proxies=unit(3, D, seed=2), images=images))
    assert fuser.lam.item() == pytest.approx(ridge_module.DEFAULT_LAM)
    assert "too few" in caplog.text


def test_scaled_number_of_proxies_changes_nothing(images, proxies):
    """``lam`` counts in mean eigenvalues: every proxy twice is the same problem."""
    once = fusers.create("ridge", D, lam=0.1, global_weight=0.3)
    twice = fusers.create("ridge", D, lam=0.1, global_weight=0.3)
    once.fit(FitSample(proxies=proxies, images=images))
    twice.fit(FitSample(proxies=proxies.repeat(2, 1), images=images))
    torch.testing.assert_close(once(images), twice(images), atol=1e-3, rtol=0)


def test_output_is_unit_float32(fuser, images):
    vectors = fuser(images.double())
    assert vectors.dtype == torch.float32 and vectors.shape == (12, D)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(12))


def test_order_of_patches_does_not_matter(fuser, images):
    order = [0, 4, 2, 6, 1, 5, 3]
    torch.testing.assert_close(fuser(images), fuser(images[:, order]))


def test_masked_rows_are_as_if_absent(fuser, images):
    mask = torch.ones(12, 7, dtype=torch.bool)
    mask[:, [2, 5]] = False
    padded = images.clone()
    padded[:, [2, 5]] = torch.nan
    kept = images[:, [0, 1, 3, 4, 6]]
    torch.testing.assert_close(fuser(padded, mask), fuser(kept))
    if fuser.name not in ("ridge", "transformer"):
        weights = fuser.patch_weights(padded, mask)
        assert not weights[:, [2, 5]].any()
        torch.testing.assert_close(weights[mask].view(12, 5), fuser.patch_weights(kept))


def test_masked_rows_do_not_count_in_fit(images, proxies):
    mask = torch.ones(12, 7, dtype=torch.bool)
    mask[:, 6] = False
    padded = images.masked_fill(~mask[..., None], torch.nan)
    one, two = fusers.create("ridge", D), fusers.create("ridge", D)
    one.fit(FitSample(proxies=proxies, images=padded, mask=mask))
    two.fit(FitSample(proxies=proxies, images=images[:, :6]))
    torch.testing.assert_close(one(images), two(images))


def test_images_do_not_depend_on_their_batch(fuser, images, monkeypatch):
    alone = torch.cat([fuser(image[None]) for image in images])
    torch.testing.assert_close(fuser(images), alone, atol=1e-3, rtol=0)
    whole = fuser(images)
    monkeypatch.setattr(maxsim, "_MAX_SCORES", 1)
    torch.testing.assert_close(fuser(images), whole, atol=1e-3, rtol=0)


def test_ridge_has_no_patch_weights(images, proxies):
    fuser = fusers.create("ridge", D).fit(FitSample(proxies=proxies, images=images))
    with pytest.raises(NotImplementedError, match="'gmp'"):
        fuser.patch_weights(images)


def test_save_and_load_are_bit_exact(fuser, images, tmp_path):
    fuser.save(tmp_path / "new" / "folder")
    loaded = fusers.load(tmp_path / "new" / "folder")
    assert type(loaded) is type(fuser) and loaded.hash == fuser.hash
    assert loaded.is_fitted and torch.equal(loaded(images), fuser(images))
    assert len(fuser.hash) == 12 and int(fuser.hash, 16) >= 0


def test_hash_tells_options_and_state_apart(images):
    one = fusers.create("gmp", D).fit(images.flatten(0, 1))
    other_option = fusers.create("gmp", D, lam=2).fit(images.flatten(0, 1))
    other_state = fusers.create("gmp", D).fit(images[1:].flatten(0, 1))
    again = fusers.create("gmp", D, lam=1).fit(images.flatten(0, 1))
    assert len({one.hash, other_option.hash, other_state.hash}) == 3
    assert again.hash == one.hash


def test_needs_fit():
    needs = {name: fusers.create(name, D).needs_fit for name in NAMES}
    assert needs == {name: name != "mean" for name in NAMES}


@pytest.mark.parametrize("name", ["gmp", "ridge", *TRAINED])
def test_unfitted_use_says_so(name, images, tmp_path):
    fuser = fusers.create(name, D)
    assert not fuser.is_fitted
    with pytest.raises(RuntimeError, match=f"'{name}' fuser is not fitted"):
        fuser(images)
    with pytest.raises(RuntimeError, match=f"'{name}' fuser is not fitted"):
        fuser.save(tmp_path)


def test_unknown_name_lists_names():
    with pytest.raises(ValueError, match=r"did you mean 'ridge'\?.*'gmp', 'mean'"):
        fusers.create("rigde", D)


@pytest.mark.parametrize("dim", [0, -1, 2.0, True, None])
def test_bad_dim(dim):
    with pytest.raises(ValueError, match="dim"):
        fusers.create("mean", dim)


@pytest.mark.parametrize(
    "name, option",
    [
        ("gmp", {"lam": 0}),
        ("gmp", {"eps": -1}),
        ("gmp", {"eps": "a"}),
        ("ridge", {"lam": float("nan")}),
        ("ridge", {"lam": 0.0}),
        ("ridge", {"lam": "no"}),
        ("ridge", {"global_weight": -0.1}),
        ("ridge", {"global_weight": None}),
    ],
)
def test_bad_options_are_named(name, option):
    with pytest.raises(ValueError, match=next(iter(option))):
        fusers.create(name, D, **option)


def test_unknown_option():
    with pytest.raises(TypeError, match="lam"):
        fusers.create("mean", D, lam=1.0)


def test_bad_features(fuser, images):
    with pytest.raises(ValueError, match=rf"\(b, p, {D}\) expected, got \(12, 7, 5\)"):
        fuser(images[..., :5])
    with pytest.raises(ValueError, match="expected"):
        fuser(images[0])
    with pytest.raises(ValueError, match="expected"):
        fuser(images[:, :0])
    broken = images.clone()
    broken[3, 2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"images \[3\] hold NaN"):
        fuser(broken)
    with pytest.raises(ValueError, match="mask: bool"):
        fuser(images, torch.ones(12, 7))
    with pytest.raises(ValueError, match="row 0"):
        fuser(images, torch.zeros(12, 7, dtype=torch.bool))


def test_gmp_of_one_patch_feature_whitens_nothing(images, caplog):
    gmp = fusers.create("gmp", D).fit(images[0, :1])
    assert "nothing is whitened" in caplog.text and gmp.is_fitted
    torch.testing.assert_close(gmp(images[:1, :1])[0], images[0, 0])


def test_bad_fits(images, proxies):
    gmp, ridge = fusers.create("gmp", D), fusers.create("ridge", D)
    rows = images.flatten(0, 1)
    for fit, message in [
        (lambda: gmp.fit(), "needs patch_features"),
        (lambda: gmp.fit(rows[:0]), "at least 1"),
        (lambda: gmp.fit(rows[:, :3]), "expected, got"),
        (lambda: gmp.fit(rows[:1].repeat(50, 1)), "all equal"),
        (lambda: gmp.fit(rows * torch.nan), "patch_features: NaN"),
        (lambda: ridge.fit(FitSample(images=images)), "needs proxies"),
        (lambda: ridge.fit(FitSample(proxies=proxies)), "needs images"),
        (
            lambda: ridge.fit(FitSample(proxies=proxies[:0], images=images)),
            "proxies: at least 1",
        ),
        (
            lambda: ridge.fit(FitSample(proxies=proxies, images=images[:1])),
            "at least 2",
        ),
        (
            lambda: ridge.fit(FitSample(proxies=proxies / 0, images=images)),
            "proxies: NaN",
        ),
        (
            lambda: ridge.fit(
                FitSample(proxies=proxies, images=images[:1].repeat(9, 1, 1))
            ),
            "all equal",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            fit()
    assert not gmp.is_fitted and not ridge.is_fitted


def test_few_features_are_taken_with_a_warning(images, caplog):
    fuser = fusers.create("gmp", D).fit(images[0])
    assert "only 7 patch features" in caplog.text
    assert torch.isfinite(fuser(images)).all()


def test_load_refuses_what_is_no_fuser(tmp_path, images):
    with pytest.raises(FileNotFoundError, match="fuser.json is missing"):
        fusers.load(tmp_path)
    fusers.create("gmp", D).fit(images.flatten(0, 1)).save(tmp_path)
    tensors = load_file(tmp_path / "fuser.safetensors")
    save_file({**tensors, "mean": tensors["mean"] + 1}, tmp_path / "fuser.safetensors")
    with pytest.raises(ValueError, match="damaged"):
        fusers.load(tmp_path)
    save_file({"mean": tensors["mean"]}, tmp_path / "fuser.safetensors")
    with pytest.raises(ValueError, match="not of a 'gmp' fuser"):
        fusers.load(tmp_path)
    (tmp_path / "fuser.safetensors").write_bytes(b"<html>")
    with pytest.raises(ValueError, match="fuser.safetensors is damaged"):
        fusers.load(tmp_path)
    config = json.loads((tmp_path / "fuser.json").read_text())
    (tmp_path / "fuser.json").write_text(json.dumps({**config, "name": "nope"}))
    with pytest.raises(ValueError, match="unknown fuser 'nope'"):
        fusers.load(tmp_path)
    (tmp_path / "fuser.json").write_text("{")
    with pytest.raises(ValueError, match="does not describe a fuser"):
        fusers.load(tmp_path)
