"""The report card against a slow reference, and the choice it makes."""

import json
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.evaluation import find_hits
from detail_embed.space import choose_fuser as choice
from detail_embed.space.choose_fuser import choose_fuser, counts_within
from detail_embed.space.report_card import CardRow, ReportCard, report_card
from detail_embed.storage.whole_files import megabytes
from detail_embed.texts.vocabulary import Vocabulary

D, N, P, K = 16, 40, 7, 60


def _unit(*shape, seed=0):
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)),
                     dim=-1)


@pytest.fixture
def images():
    return _unit(N, P, D)


@pytest.fixture
def words():
    return _unit(K, D, seed=1)


@pytest.fixture(scope="module")
def backbone():
    return Backbone.load(DEMO, device="cpu")


@pytest.fixture
def few_nouns(monkeypatch):
    """300 nouns in place of 3,000, to be quick."""
    monkeypatch.setattr(choice, "_NOUNS", 300)


def _slow(vectors, images, counts, words):
    """(top_50, map, counted words) by loops, in the words of the docstring."""
    shares, precisions = [], []
    for word in words.tolist():
        def score(vector, word=word):
            return sum(a * b for a, b in zip(word, vector))

        teacher = [max(score(v) for v in image[:count].tolist())
                   for image, count in zip(images, counts)]
        limit = np.mean(teacher) + 2.5 * np.std(teacher)
        hits = {i for i, value in enumerate(teacher) if value >= limit}
        if not hits:
            continue
        order = sorted(range(len(vectors)), key=lambda i: -score(vectors[i].tolist()))
        shares.append(len(hits & set(order[: len(hits)])) / len(hits))
        found = [rank for rank, i in enumerate(order, 1) if i in hits]
        precisions.append(np.mean([n / rank for n, rank in enumerate(found, 1)]))
    return np.mean(shares), np.mean(precisions), len(shares)


def test_numbers_are_the_slow_references(images, words):
    counts = [P - i % 3 for i in range(N)]
    mask = torch.arange(P) < torch.tensor(counts)[:, None]
    images[~mask] = torch.nan  # what is masked does not count, whatever it holds
    mean = fusers.create("mean", D)
    card = report_card({"mean": mean}, images, mask, words)
    assert list(card.rows) == ["mean", "global", "MaxSim"]
    for name, vectors in [("mean", mean(images, mask)), ("global", images[:, 0])]:
        top_50, ap, counted = _slow(vectors, images, counts, words)
        row = card.rows[name]
        assert (row.top_50, row.map) == pytest.approx((top_50, ap), abs=1e-6)
        assert row.map_interval[0] < row.map < row.map_interval[1]
        assert (card.images, card.words, card.asked) == (N, counted, K)
    assert card.rows["MaxSim"].map == card.rows["MaxSim"].top_50 == 1


def test_large_inputs_go_in_blocks(images, words, monkeypatch):
    mask = torch.ones(N, P, dtype=torch.bool)
    whole = report_card({"mean": fusers.create("mean", D)}, images, mask, words)
    monkeypatch.setattr("detail_embed.fusers.maxsim._MAX_SCORES", 1)
    monkeypatch.setattr("detail_embed.space.report_card._FUSE_IMAGES", 3)
    blocks = report_card({"mean": fusers.create("mean", D)}, images, None, words)
    assert blocks.rows["mean"].map == pytest.approx(whole.rows["mean"].map)


def test_hits_stand_out_and_are_at_most_fifty():
    scores = np.zeros((3, 1000))
    scores[0, 7] = 1
    scores[1, :60] = np.arange(1, 61)
    hits = find_hits(scores)
    assert hits.sum(axis=1).tolist()[::2] == [1, 0]
    assert hits[1].sum() <= 50 and hits[1, 59]


def test_a_card_is_plain_json_and_a_sentence(images, words):
    card = report_card(
        {"mean": fusers.create("mean", D),
         "gmp": fusers.create("gmp", D).fit(images.flatten(0, 1))},
        images, None, words, "my words",
    )
    again = ReportCard.from_dict(json.loads(json.dumps(card.to_dict())))
    assert again == card
    best = card.best()
    assert card.rows[best].map == max(card.rows[n].map for n in ("mean", "gmp"))
    percent = f"{100 * card.rows[best].map:.0f} %"
    assert card.reason().startswith(f"one vector an image ({best}) keeps {percent} of")
    row = card.rows[best]
    assert row.bytes == 4 * D and 0 < row.milliseconds < 1000
    size = megabytes(1000 * row.bytes)
    assert f"For 1,000 images that is {size}, and " in card.reason()
    for part in ("mean", "gmp", "global", "MaxSim", "my words", "100.0"):
        assert part in card.format()


def test_an_interval_that_is_unknown_survives_json():
    row = {"top_50": 1.0, "map": 1.0, "top_50_interval": [None, None],
           "map_interval": [None, None]}
    card = ReportCard.from_dict(
        {"rows": {"mean": row}, "images": 1, "words": 1, "asked": 1, "about": "x"}
    )
    assert math.isnan(card.rows["mean"].map_interval[0])
    unknown = {"vectors": 1, "bytes": None, "milliseconds": None}
    assert card.to_dict()["rows"]["mean"] == row | unknown


def test_of_a_few_vectors_the_best_counts(images, words):
    few = fusers.create("few", D, k=3).fit(images.flatten(0, 1))
    card = report_card({"3 vectors": few}, images, None, words)
    row, vectors = card.rows["3 vectors"], few(images)
    assert row.vectors == 3 and row.bytes == 12 * D and card.rows["global"].vectors == 1
    teacher = torch.einsum("kd,npd->knp", words, images).amax(dim=2).double().numpy()
    scores = torch.einsum("kd,nvd->knv", words, vectors).amax(dim=2).numpy()
    expected = [
        np.mean([n / rank for n, rank in enumerate(np.flatnonzero(hit[order]) + 1, 1)])
        for hit, order in zip(find_hits(teacher), np.argsort(-scores, kind="stable"))
        if hit.any()
    ]
    assert row.map == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("kept", "chosen"),
    [
        ({"gmp": 0.95, "4 vectors": 0.97}, "gmp"),  # one is enough
        ({"gmp": 0.2, "4 vectors": 0.92, "8 vectors": 0.93}, "4 vectors"),
        ({"gmp": 0.2, "4 vectors": 0.8, "8 vectors": 0.7}, "8 vectors"),  # the most
        ({"gmp": 0.9, "mean": 0.95}, "mean"),  # the best of one vector
        ({"gmp": 0.5, "4 vectors": 0.3}, "gmp"),
    ],
)
def test_the_fewest_vectors_that_are_enough(kept, chosen):
    rows = {
        name: CardRow(value, value, (0, 1), (0, 1), int(name.split()[0]) if " " in name
                      else 1)
        for name, value in {**kept, "global": 0.1, "MaxSim": 1.0}.items()
    }
    card = ReportCard(rows, 100, 50, 60)
    assert card.enough() == chosen
    start = f"{chosen} an image keep" if " " in chosen else "one vector an image"
    assert card.reason().startswith(start)
    assert f" {100 * kept[chosen]:.0f} % of what a search of all" in card.reason()


def test_counts_are_within_the_budget():
    assert counts_within(64 * 1024, 512) == (4, 8, 16)
    assert counts_within(64 * 1024, 1152) == (4, 8)
    assert counts_within(1000, 512) == ()


def test_what_cannot_be_measured_is_refused(images, words):
    mean = {"mean": fusers.create("mean", D)}
    broken = images.clone()
    broken[3, 1, 2] = torch.nan
    for arguments, message in [
        ((mean, broken, None, words), r"images \[3\] hold NaN"),
        ((mean, images, None, words[:, :4]), "words: shape"),
        ((mean, images, None, words / 0), "words: NaN"),
        ((mean, images, None, words[:1]), "it takes 8 to compare"),
        ((mean, images[:1].repeat(N, 1, 1), None, words), "0 of 60 held-out words"),
        ((mean, images[:3], None, words), "any of 3 images"),
        (({}, images, None, words), "at least one"),
        (({"global": mean["mean"]}, images, None, words), "not named 'global'"),
    ]:
        with pytest.raises(ValueError, match=message):
            report_card(*arguments)


def _images(backbone, count=48, seed=0):
    """Images whose patches are near words of the demo's world, as features."""
    from detail_embed.texts.text_cache import encode_vocabulary

    texts = encode_vocabulary(backbone, demo_vocabulary().words)
    rng = torch.Generator().manual_seed(seed)
    shown = torch.randint(len(texts), (count, 12), generator=rng)
    return normalize(texts[shown] + 0.02 * torch.randn(count, 12, 256, generator=rng),
                     dim=-1)


def test_the_winner_is_fitted_on_everything(backbone):
    images, vocabulary = _images(backbone), demo_vocabulary()
    chosen = choose_fuser(backbone, images, None, vocabulary, ("ridge",))
    assert chosen.card.images == 24 and chosen.card.words >= 8
    assert chosen.card.asked == len(vocabulary.split()[1])
    assert chosen.fuser.name == chosen.card.best() == "ridge"
    assert chosen.reason == chosen.card.reason()
    assert len(chosen.fuser.proxies) == len(vocabulary)
    again = choose_fuser(backbone, images, None, vocabulary, ("ridge",))
    assert again.fuser.hash == chosen.fuser.hash
    assert ReportCard.from_dict(chosen.to_dict()["report"]) == chosen.card


def test_a_few_vectors_are_chosen_and_fitted_on_everything(backbone):
    images, vocabulary = _images(backbone), demo_vocabulary()
    chosen = choose_fuser(backbone, images, None, vocabulary, ("ridge",), counts=(2, 6))
    card = chosen.card
    assert [*card.rows] == ["ridge", "2 vectors", "6 vectors", "global", "MaxSim"]
    assert card.enough() == "6 vectors" and chosen.few.k == 6  # of 12 things
    assert chosen.to_dict()["vectors"] == 6 and chosen.fuser.name == "ridge"
    alone = fusers.create("few", 256, k=6).fit(images.flatten(0, 1))
    assert chosen.few.hash == alone.hash
    assert ReportCard.from_dict(chosen.to_dict()["report"]) == card


def test_a_word_alone_is_joined_by_nouns(backbone, few_nouns, caplog):
    chosen = choose_fuser(backbone, _images(backbone),
                          vocabulary=Vocabulary.from_classes(["red_cube"], "labels"))
    assert "labels: 3 words are few" in caplog.text
    assert chosen.card.about == "labels + packaged nouns, held out"


@pytest.mark.parametrize("case", ["few images", "equal images"])
def test_where_nothing_can_be_compared_gmp_is_taken(backbone, few_nouns, caplog, case):
    images = _images(backbone, 10)
    if case == "equal images":
        images = images[:1].repeat(20, 1, 1)
    chosen = choose_fuser(backbone, images)
    assert (chosen.fuser.name, chosen.card) == ("gmp", None)
    assert chosen.reason.startswith("gmp was taken unmeasured: ")
    assert chosen.reason in caplog.text
    assert chosen.to_dict()["report"] is None and chosen.few is None
    more = choose_fuser(backbone, images, counts=(2, 4))
    if case == "few images":
        assert more.few.k == 4 == more.to_dict()["vectors"]
        assert more.reason.startswith("4 vectors an image and gmp were taken")


def test_an_unknown_candidate_and_nan_are_refused(backbone):
    images = _images(backbone)
    with pytest.raises(ValueError, match="unknown fuser 'magic'"):
        choose_fuser(backbone, images, candidates=("magic",))
    images[0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        choose_fuser(backbone, images)
