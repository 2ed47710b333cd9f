"""Confused pairs, against counting by hand."""

import numpy as np
import pytest

from detail_embed.evaluation.confusion import confusions, most_confused

CLASSES = ["cat", "dog", "fox", "owl"]


def slowly(truth, predicted, classes):
    """The slides' measure, said in loops."""
    found = {}
    for a, first in enumerate(classes):
        for b in range(a + 1, len(classes)):
            m_ab = m_ba = n_a = n_b = 0
            for true, called in zip(truth, predicted):
                n_a, n_b = n_a + bool(true[a]), n_b + bool(true[b])
                m_ab += bool(true[a] and called[b] and not true[b])
                m_ba += bool(true[b] and called[a] and not true[a])
            if m_ab + m_ba:
                found[first, classes[b]] = (m_ab + m_ba) / (n_a + n_b)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_one_class_each(seed):
    rng = np.random.default_rng(seed)
    truth = np.eye(4, dtype=bool)[rng.integers(0, 4, 60)]
    predicted = np.eye(4, dtype=bool)[rng.integers(0, 4, 60)]
    pairs = most_confused(truth, predicted, CLASSES, top=99)
    found = {(pair.first, pair.second): pair.iou for pair in pairs}
    assert found == pytest.approx(slowly(truth, predicted, CLASSES))
    assert [pair.iou for pair in pairs] == sorted(found.values(), reverse=True)
    assert most_confused(truth, predicted, CLASSES, top=2) == pairs[:2]
    for pair in pairs:
        wrong = pair.first_as_second + pair.second_as_first
        assert pair.iou == wrong / (pair.first_count + pair.second_count)


@pytest.mark.parametrize("seed", range(4))
def test_several_classes_each(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random((2, 50, 4)) < 0.3
    pairs = most_confused(truth, predicted, CLASSES, top=99)
    found = {(pair.first, pair.second): pair.iou for pair in pairs}
    assert found == pytest.approx(slowly(truth, predicted, CLASSES))


def test_what_is_right_is_no_confusion():
    truth = np.eye(4, dtype=bool)
    assert most_confused(truth, truth, CLASSES) == []
    assert not confusions(truth, truth).any()
    wrong = truth[[1, 0, 2, 3]]
    (pair,) = most_confused(truth, wrong, CLASSES)
    assert (pair.first, pair.second, pair.iou) == ("cat", "dog", 1.0)


def test_tables_that_do_not_fit():
    with pytest.raises(ValueError, match="one shape"):
        confusions(np.eye(3), np.eye(4))
    with pytest.raises(ValueError, match="3 names for 4"):
        most_confused(np.eye(4), np.eye(4), CLASSES[:3])
