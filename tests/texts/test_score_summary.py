"""Scores of one query, standardised and counted."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detail_embed.texts.score_summary import histogram, standardise

SCORES = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 40),
    elements=st.floats(-1, 1, width=32) | st.just(np.nan),
)


@given(SCORES)
def test_mean_0_and_deviation_1(scores):
    z = standardise(scores)
    known = ~np.isnan(scores)
    assert z.dtype == np.float64 and z.shape == scores.shape
    assert np.array_equal(np.isnan(z), ~known)
    assume(known.any() and np.ptp(scores[known]) > 1e-5)
    assert z[known].mean() == pytest.approx(0, abs=1e-9)
    assert z[known].std() == pytest.approx(1)


@given(SCORES)
def test_the_order_stays(scores):
    scores = np.sort(scores[~np.isnan(scores)])
    assert (np.diff(standardise(scores)) >= 0).all()


@given(SCORES, st.floats(0.01, 100), st.floats(-10, 10))
def test_scale_and_offset_do_not_matter(scores, scale, offset):
    scores = scores.astype(np.float64).round(3)
    z = standardise(scores)
    moved = standardise(scores * scale + offset)
    assume(len(set(scores[~np.isnan(scores)])) > 1)
    assert np.allclose(z, moved, atol=1e-6, equal_nan=True)


@given(st.floats(-1, 1), st.integers(1, 50))
def test_equal_scores_are_0(score, n):
    assert (standardise([score] * n + [np.nan])[:-1] == 0).all()


def test_copies_of_one_image_do_not_stand_out_by_the_last_bit():
    scores = np.full(100, 0.3, np.float32)
    scores[42] = np.nextafter(scores[42], np.float32(1))
    assert (standardise(scores) == 0).all()


def test_scores_of_any_kind():
    assert standardise([]).shape == (0,)
    assert np.isnan(standardise([None, np.nan])).all()
    scores = np.array([1, 3], dtype=np.float32)
    assert standardise(scores).tolist() == [-1, 1]
    assert scores.tolist() == [1, 3]
    assert np.isfinite(standardise([1e300, -1e300, 1e-300])).all()


def test_scores_that_are_none():
    with pytest.raises(ValueError, match=r"\(n,\) expected, got \(1, 2\)"):
        standardise([[1, 2]])
    with pytest.raises(ValueError, match="infinite"):
        histogram([1, np.inf])
    with pytest.raises(ValueError, match="bins"):
        histogram([1, 2], bins=0)


@given(SCORES, st.integers(1, 60))
def test_every_image_with_a_vector_is_counted_once(scores, bins):
    found = histogram(standardise(scores), bins)
    assert found.counts.shape == (bins,) and found.edges.shape == (bins + 1,)
    n = int((~np.isnan(scores)).sum())
    assert found.counts.sum() == found.above(-np.inf) == n
    for i, edge in enumerate(found.edges[:-1]):
        assert found.above(edge) == found.counts[i:].sum()


@given(SCORES, st.floats(-5, 5))
def test_above_counts_z_scores(scores, threshold):
    z = standardise(scores)
    assert histogram(z).above(threshold) == (z >= threshold).sum()


def test_what_stands_out():
    found = histogram(standardise([0.2] * 99 + [0.4, np.nan]))
    assert len(found.counts) == 30
    assert found.above(2) == 1
    assert found.above(0) == 1
    assert found.above(float("nan")) == 0
