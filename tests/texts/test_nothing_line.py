"""The line "probably not": what it must hold whatever the scores are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detail_embed.texts.nothing_line import (
    NothingLine,
    Places,
    common_words,
    draw_line,
    weigh,
)

SEEDS = st.integers(0, 2**32 - 1)


def unit(rng, *shape):
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def places(rng, text, count, beside=True):
    vectors = unit(rng, count, len(text))
    scores = vectors @ text
    return Places(scores, vectors, scores if beside else None)


@given(SEEDS, st.floats(-50, 50), st.floats(0.01, 10), st.booleans())
def test_the_line_moves_with_what_words_reach(seed, shift, scale, beside):
    best = np.random.default_rng(seed).normal(size=300)
    moved = draw_line(best * scale + shift, beside)
    assert moved == pytest.approx(draw_line(best, beside) * scale + shift, abs=1e-6)


@given(SEEDS)
def test_the_line_does_not_depend_on_the_order_of_words(seed):
    rng = np.random.default_rng(seed)
    best = rng.gumbel(size=200)
    assert draw_line(best, True) == draw_line(rng.permutation(best), True)


@settings(max_examples=50)
@given(SEEDS, st.floats(0.01, 0.45))
def test_words_that_images_show_hardly_move_the_line(seed, share):
    rng = np.random.default_rng(seed)
    nobody = rng.normal(size=600)
    shown = rng.normal(12, 2, size=int(600 * share / (1 - share)))
    line = draw_line(np.concatenate([nobody, shown]), True)
    assert abs(line - draw_line(nobody, True)) < 1.5
    assert (nobody < line).mean() > 0.8 and (shown >= line).mean() > 0.9


@pytest.mark.parametrize("best", [[], [1.0, np.nan], [np.inf], [[1.0, 2.0]]])
def test_no_line_from_nothing(best):
    with pytest.raises(ValueError, match="all finite"):
        draw_line(best, True)


def test_words_that_are_all_equal_are_not_above_their_line():
    assert draw_line([2.0] * 9, False) == 2.0


@given(st.lists(st.floats(-5, 5), max_size=60), st.floats(-5, 5))
def test_what_is_above_has_more_evidence_than_what_is_not(evidence, level):
    line, evidence = NothingLine(level, 1.0), np.array(evidence)
    above = line.above(evidence)
    assert above.any() == (evidence >= level).any()
    assert (above | ~line.clearly_above(evidence)).all()
    if above.any() and not above.all():
        assert evidence[above].min() >= evidence[~above].max()


def test_all_but_the_best_need_more_than_the_best():
    line = NothingLine(1.0, 1.0)
    assert line.above([0.5, 1.0, 1.0]).tolist() == [False, True, False]
    assert line.above([9.0, 1.0, 3.0]).tolist() == [True, False, True]
    assert not line.above([0.99, 0.9]).any() and not len(line.above([]))


@given(SEEDS, st.floats(0.01, 0.5))
def test_more_of_anything_that_speaks_for_it_is_more_evidence(seed, more):
    rng = np.random.default_rng(seed)
    text, words = unit(rng, 16), unit(rng, 40, 16)
    found = places(rng, text, 6)
    before = weigh(text, found, words, 0.05)
    for name in ("scores", "beside"):
        better = vars(found) | {name: getattr(found, name) + np.float32(more)}
        assert (weigh(text, Places(**better), words, 0.05) > before).all()


@given(SEEDS, st.booleans())
def test_each_image_is_weighed_by_itself(seed, beside):
    rng = np.random.default_rng(seed)
    text, words = unit(rng, 8), unit(rng, 30, 8)
    found = places(rng, text, 5, beside)
    one = Places(*(None if v is None else v[2:3] for v in vars(found).values()))
    both = weigh(text, found, words, 0.1)
    assert both.shape == (5,) and both.dtype == np.float64
    assert weigh(text, one, words, 0.1)[0] == pytest.approx(both[2], abs=1e-4)


def test_a_place_that_other_words_are_nearer_to_is_less_evidence():
    text, other = np.eye(8, dtype=np.float32)[:2]
    place = np.array([[0.6, 0.8, 0, 0, 0, 0, 0, 0]], np.float32)
    found = Places(place @ text, place)
    far, near = np.eye(8, dtype=np.float32)[2:8], np.tile(other, (6, 1))
    assert weigh(text, found, near, 0.1) < weigh(text, found, far, 0.1)
    same = np.tile(text, (6, 1))
    with pytest.raises(ValueError, match="no other words"):
        weigh(text, found, same, 0.1)
    with pytest.raises(ValueError, match="tell nothing"):
        weigh(text, found, far, 0.0)


def test_common_words_are_those_of_the_report_card():
    from detail_embed.space.choose_fuser import default_vocabulary

    words = common_words()
    assert len(words) == len(set(words)) == 600
    assert set(words) <= set(default_vocabulary().words)
