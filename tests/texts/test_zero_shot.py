"""Cosines to probabilities, "none of these", and labels as they are typed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detail_embed.texts import score_summary
from detail_embed.texts.zero_shot import parse, probabilities, z_scores

SCORES = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(1, 6)),
    elements=st.floats(-1, 1, width=32),
)
THRESHOLD = st.floats(-2, 3, width=32)


@given(SCORES, st.none() | THRESHOLD, st.floats(1e-3, 10))
def test_rows_add_up_to_1(scores, none_below, temperature):
    found = probabilities(scores, temperature, none_below)
    n, labels = scores.shape
    assert found.shape == (n, labels + (none_below is not None))
    assert found.dtype == np.float64 and (found >= 0).all()
    np.testing.assert_allclose(found.sum(1), 1)


@given(SCORES, st.floats(1e-3, 10))
def test_the_best_score_is_the_likeliest(scores, temperature):
    found = probabilities(scores, temperature)
    rows = np.arange(len(scores))
    assert (found[rows, scores.argmax(1)] == found.max(1)).all()


def test_it_is_clips_own_softmax():
    scores = [[0.30, 0.28, 0.20]]
    odds = probabilities(scores)[0]
    assert odds[0] / odds[1] == pytest.approx(np.exp(2))
    assert odds[1] / odds[2] == pytest.approx(np.exp(8))
    assert probabilities(scores, 0.1)[0, 0] / probabilities(scores, 0.1)[0, 1] == (
        pytest.approx(np.exp(0.2))
    )


@given(hnp.arrays(np.float64, (9, 4), elements=st.integers(-50, 50)), THRESHOLD)
def test_none_is_likeliest_where_no_label_stands_out(scores, none_below):
    scores = scores / 100
    found = probabilities(scores, none_below=none_below)
    best = z_scores(scores).max(1)
    if scores.std(0).max() < 1e-9:
        return  # nothing differs: all classes are as likely as one another
    clear = np.abs(best - none_below) > 1e-6
    is_none = found.argmax(1) == 4
    assert (is_none == (best < none_below))[clear].all()


def test_a_label_that_fits_everything_does_not_win():
    rng = np.random.default_rng(0)
    scores = 0.2 + 0.01 * rng.standard_normal((50, 2))
    scores[:, 0] += 0.1
    scores[7, 1] += 0.06
    assert (probabilities(scores).argmax(1) == 0).all()
    with_none = probabilities(scores, none_below=score_summary.THRESHOLD).argmax(1)
    assert with_none[7] == 1
    assert (with_none == 2).mean() > 0.8


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0.1],), r"\(n, K\) expected, got \(1,\)"),
        ((np.zeros((0, 3)),), r"got \(0, 3\)"),
        (([[0.1, np.nan]],), "not finite"),
        (([[0.1]], 0), "temperature must be above 0, not 0"),
        (([[0.1]], np.inf), "temperature"),
        (([[0.1]], "hot"), "temperature"),
        (([[0.1]], 0.01, "high"), "none_below must be a z-score, not 'high'"),
        (([[0.1]], 0.01, True), "none_below"),
    ],
)
def test_scores_and_options_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        probabilities(*arguments)


def test_labels_as_they_are_typed():
    text = "boat: a boat,  a ship,a boat\n\n red_metal_cube \nnight: at night"
    expected = {
        "boat": ["a boat", "a ship"],
        "red_metal_cube": ["red metal cube"],
        "night": ["at night"],
    }
    assert parse(text) == expected
    assert list(parse(text)) == list(expected)
    assert parse(text.splitlines()) == expected
    assert parse(["ratio: 1:2"]) == {"ratio": ["1:2"]}
    assert parse(["_"]) == {"_": ["_"]}


@pytest.mark.parametrize(
    "labels, error, message",
    [
        ("", ValueError, "there is no label"),
        ([" "], ValueError, "there is no label"),
        ("a\nb\na: c", ValueError, "'a' is given twice"),
        (": a boat", ValueError, "a name is missing"),
        ("boat: ,", ValueError, "a prompt is missing"),
        (["boat", 3], TypeError, "must be a string, not 3"),
    ],
)
def test_labels_that_are_none(labels, error, message):
    with pytest.raises(error, match=message):
        parse(labels)
