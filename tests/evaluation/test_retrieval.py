"""Ranking metrics against trec_eval's C code, and the table by scale."""

import csv

import numpy as np
import pytest
import pytrec_eval
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from detail_embed.evaluation import (
    METRICS,
    Row,
    average_precision,
    bootstrap,
    format_table,
    measure,
    ndcg,
    plot,
    r_precision,
    recall,
    table,
    write_csv,
)
from detail_embed.fusers.maxsim import maxsim

FUNCTIONS = [
    average_precision,
    recall,
    r_precision,
    ndcg,
    lambda *args, **kwargs: average_precision(*args, k=5, **kwargs),
]


def random_task(seed, queries=20, documents=80, share=0.2):
    rng = np.random.default_rng(seed)
    scores = rng.normal(-0.3, 1, size=(queries, documents))
    return scores, rng.random((queries, documents)) < share


def trec_eval(scores, relevance, ignore=None):
    """``{measure: (q,)}`` by pytrec_eval; ignored documents are not in the run."""
    kept = np.ones_like(relevance) if ignore is None else ~ignore
    qrels, run = (
        {
            f"q{q}": {f"d{d}": convert(values[q, d]) for d in np.flatnonzero(kept[q])}
            for q in range(len(values))
        }
        for values, convert in ((relevance, int), (scores, float))
    )
    measures = {
        "map", "map_cut_50", "recall_10", "recall_100", "Rprec", "ndcg_cut_10",
    }  # fmt: skip
    results = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    return {
        measure: np.array([results[f"q{q}"][measure] for q in range(len(scores))])
        for measure in measures
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ignoring", [False, True])
def test_metrics_match_trec_eval(seed, ignoring):
    scores, relevance = random_task(seed, documents=[12, 49, 80, 200, 400][seed])
    relevance[:, 0] = True
    ignore = None
    if ignoring:
        ignore = np.random.default_rng(seed + 9).random(scores.shape) < 0.3
        ignore[:, 0] = False
    expected = trec_eval(scores, relevance, ignore)
    total = (relevance if ignore is None else relevance & ~ignore).sum(axis=1)
    args = scores, relevance, ignore
    assert (scores < 0).any()
    np.testing.assert_allclose(average_precision(*args), expected["map"])
    np.testing.assert_allclose(
        average_precision(*args, k=50) * np.minimum(total, 50) / total,
        expected["map_cut_50"],
    )
    np.testing.assert_allclose(recall(*args, k=10), expected["recall_10"])
    np.testing.assert_allclose(recall(*args, k=100), expected["recall_100"])
    np.testing.assert_allclose(ndcg(*args, k=10), expected["ndcg_cut_10"])
    np.testing.assert_allclose(r_precision(*args), expected["Rprec"])


def test_worked_example():
    scores = [[0.9, 0.8, 0.7, -0.1]]
    relevance = [[False, True, False, True]]
    assert average_precision(scores, relevance) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert average_precision(scores, relevance, k=1) == 0
    assert average_precision(scores, relevance, k=2) == pytest.approx(1 / 4)
    assert recall(scores, relevance, k=2) == 0.5
    assert r_precision(scores, relevance) == 0.5
    first, second, fourth = 1 / np.log2([2, 3, 5])
    assert ndcg(scores, relevance) == (second + fourth) / (first + second)
    assert ndcg(scores, relevance, k=2) == second / (first + second)


def test_metrics_by_name():
    scores, relevance = random_task(3)
    relevance[:, 0] = True
    names = ("map", "map_50", "recall_3", "r_precision", "ndcg_7")
    measured = measure(scores, relevance, np.zeros_like(relevance), names)
    args = scores, relevance
    expected = (
        average_precision(*args), average_precision(*args, k=50), recall(*args, k=3),
        r_precision(*args), ndcg(*args, k=7),
    )  # fmt: skip
    np.testing.assert_array_equal(measured, np.stack(expected, axis=1))
    for wrong in ("recall", "recall_0", "map_x", "precision_10"):
        with pytest.raises(ValueError, match=f"unknown metric {wrong!r}"):
            measure(scores, relevance, np.zeros_like(relevance), [wrong])


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_intervals_match_scipy(confidence):
    values = np.random.default_rng(1).random((60, 2))
    low, high = bootstrap(values, confidence, samples=20_000)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, confidence_level=confidence, method="percentile",
        n_resamples=20_000, random_state=5,
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(low, expected.low, atol=2e-3)
    np.testing.assert_allclose(high, expected.high, atol=2e-3)
    assert (low < values.mean(0)).all() and (values.mean(0) < high).all()


def test_intervals_are_repeatable_and_paired():
    first, second = np.random.default_rng(2).random((2, 40))
    assert bootstrap(first, seed=3) == bootstrap(first, seed=3)
    assert bootstrap(first, seed=3) != bootstrap(first, seed=4)
    # a constant lead over the other method is certain, however much queries differ
    np.testing.assert_allclose(bootstrap(first + 0.1 - first), 0.1)
    assert np.ptp(bootstrap(first - second)) > 0.1


def test_intervals_of_too_little_or_wrong_input():
    assert np.isnan(bootstrap([0.3])).all()
    assert np.shape(bootstrap(np.zeros((1, 4)))) == (2, 4)
    for wrong in ({"confidence": 1}, {"confidence": 95}, {"samples": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            bootstrap([0.1, 0.2], **wrong)
    with pytest.raises(ValueError, match="NaN"):
        bootstrap([0.1, np.nan])


@pytest.mark.parametrize("metric", FUNCTIONS)
def test_perfect_ranking_scores_one_and_worst_zero(metric):
    relevance = np.zeros((1, 100), bool)
    relevance[0, :8] = True
    assert metric(relevance * 1.0, relevance) == 1
    if metric is not average_precision:
        assert metric(relevance * -1.0, relevance) == 0


def test_perfect_ranking_with_more_relevant_documents_than_depth():
    relevance = np.arange(100)[None] < 70
    assert average_precision(relevance * 1.0, relevance, k=50) == 1
    assert recall(relevance * 1.0, relevance, k=10) == pytest.approx(10 / 70)


@given(
    scores=hnp.arrays(float, (2, 12), elements=st.floats(-50, 50), unique=True),
    relevance=hnp.arrays(bool, (2, 12)),
    permutation=st.permutations(range(12)),
)
def test_only_the_order_of_scores_counts(scores, relevance, permutation):
    for metric in FUNCTIONS:
        value = metric(scores, relevance)
        ranks = scores.argsort(axis=1).argsort(axis=1)
        np.testing.assert_array_equal(metric(ranks - 6, relevance), value)
        shuffled = metric(scores[:, permutation], relevance[:, permutation])
        np.testing.assert_array_equal(shuffled, value)
        assert np.isnan(value[~relevance.any(axis=1)]).all()
        assert ((value >= 0) & (value <= 1))[relevance.any(axis=1)].all()


@given(relevance=hnp.arrays(bool, (1, 10)))
def test_ties_count_against_us(relevance):
    worst = average_precision(-1.0 * relevance, relevance)
    np.testing.assert_array_equal(
        average_precision(np.zeros((1, 10)), relevance), worst
    )


def test_ignoring_is_leaving_out():
    scores, relevance = random_task(0)
    ignore = np.zeros_like(relevance)
    ignore[:, ::3] = True
    kept = ~ignore[0]
    for metric in FUNCTIONS:
        np.testing.assert_allclose(
            metric(scores, relevance, ignore),
            metric(scores[:, kept], relevance[:, kept]),
        )


def test_ignored_documents_may_have_nan_scores():
    assert average_precision(
        [[1.0, np.nan, 0.0]], [[True, True, False]], [[False, True, False]]
    ) == [1.0]


def test_bad_input_is_named():
    scores, relevance = random_task(0)
    with pytest.raises(ValueError, match="relevance: bool of the scores' shape"):
        average_precision(scores, relevance[:, 1:])
    with pytest.raises(ValueError, match="relevance: bool .* got float64"):
        average_precision(scores, relevance * 0.5)
    with pytest.raises(ValueError, match="ignore: bool"):
        average_precision(scores, relevance, relevance[1:])
    scores[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        average_precision(scores, relevance)
    with pytest.raises(ValueError, match="groups: one per query"):
        table({"a": scores}, relevance * 0.1, [("things", "proxy")])


def test_maxsim_is_the_best_patch():
    texts, features = torch.randn(3, 8), torch.randn(5, 8)
    expected = [max(float(t @ f) for f in features) for t in texts]
    torch.testing.assert_close(maxsim(texts, features), torch.tensor(expected))


@pytest.fixture
def rows():
    """Two groups of two queries, the last without a target; scales .03 and .3."""
    scales = np.array(
        [
            [0.03, 0.3, 0.0, 0.0],
            [0.03, 0.0, np.nan, 0.0],
            [0.0, 0.0, 0.3, 0.3],
            [0.0, 0.0, 0.0, 0.0],
        ]
    )
    best = np.nan_to_num(scales)
    large = np.where(best > 0.1, best, -best)
    groups = [("things", "proxy")] * 2 + [("solids", "held-out")] * 2
    return table({"best": best, "large": large}, scales, groups)


def test_table_by_scale(rows):
    found = {(r.method, r.bank, r.words, r.scale): (r.queries, r.map) for r in rows}
    things, solids = ("things", "proxy"), ("solids", "held-out")
    assert found == {
        ("best", *things, "all"): (2, 1),
        ("best", *things, "0-0.04"): (2, 1),
        ("best", *things, "0.28-1"): (1, 1),
        ("best", *solids, "all"): (1, 1),
        ("best", *solids, "0.28-1"): (1, 1),
        # first query: ranks 1 and 4; second: 4 of 4
        ("large", *things, "all"): (2, pytest.approx(((1 + 2 / 4) / 2 + 1 / 4) / 2)),
        # the large target is left out of the small bin: 3 of 3 and 4 of 4
        ("large", *things, "0-0.04"): (2, pytest.approx((1 / 3 + 1 / 4) / 2)),
        ("large", *things, "0.28-1"): (1, 1),
        ("large", *solids, "all"): (1, 1),
        ("large", *solids, "0.28-1"): (1, 1),
    }


def test_bins_are_closed_above():
    scales = np.array([[0.1, 0.2, 0.0]])
    rows = table({"m": scales}, scales, [("a", "b")], bins=(0.0, 0.1, 0.2))
    assert [(r.scale, r.queries) for r in rows] == [
        ("all", 1),
        ("0-0.1", 1),
        ("0.1-0.2", 1),
    ]


def test_printed_table(rows):
    lines = format_table(rows).splitlines()
    assert lines[0].split() == [
        "method", "bank", "words", "scale", "queries",
        "mAP", "mAP@50", "R@10", "R-prec",
    ]  # fmt: skip
    assert len(lines) == 2 + 4
    assert lines[4].split() == "large things proxy all 2 50.0 50.0 100.0 25.0".split()
    assert len(format_table(rows, scale=None).splitlines()) == 2 + len(rows)
    assert format_table([]).startswith("method")


def test_csv_holds_every_row(rows, tmp_path):
    write_csv(rows, tmp_path / "table.csv")
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(rows)
    assert read[0]["method"] == "best" and read[0]["queries"] == "2"
    assert float(read[0]["map"]) == rows[0].map


def test_csv_has_columns_for_more_numbers(tmp_path):
    rows = [
        Row("a", "b", "all", "all", 2, 0.5, 0.5, 0.5, 0.5, {"ndcg_10": 0.25}),
        Row("a", "b", "all", "0-1", 1, 0.5, 0.5, 0.5, 0.5, {"map_low": float("nan")}),
    ]
    write_csv(rows, tmp_path / "table.csv")
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first)[-6:] == [*METRICS, "ndcg_10", "map_low"]
    assert (first["ndcg_10"], first["map_low"]) == ("0.250000", "")
    assert (second["ndcg_10"], second["map_low"]) == ("", "")
    assert rows[0]["ndcg_10"] == 0.25 and rows[0]["map_50"] == 0.5


def test_plot_is_a_picture(rows, tmp_path):
    plot(rows, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.format == "PNG" and min(picture.size) >= 600
        assert len(picture.convert("RGB").getcolors(2**20)) > 50


def test_plot_of_no_scales(rows, tmp_path):
    with pytest.raises(ValueError, match="no scale bins"):
        plot([row for row in rows if row.scale == "all"], tmp_path / "plot.png")
