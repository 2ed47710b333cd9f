"""Classifiers on vectors of which it is known what they are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from detail_embed import classifiers
from detail_embed.classifiers import Classifier, VectorBags, calibration, train
from detail_embed.classifiers.bags import Part
from detail_embed.classifiers.curve import curve_in_steps, halves, interval
from detail_embed.classifiers.folds import ALWAYS, draw_shots, folds
from detail_embed.classifiers.prompts import ensemble
from detail_embed.classifiers.train import without_examples
from detail_embed.evaluation.curve_plot import plot_curve

DIM, CLASSES = 24, ["cat", "dog", "fox"]
SPACE = "tiny-cc2-mean"


class ListBags:
    """Bags of different sizes, as a store of patches has them."""

    def __init__(self, bags):
        self._bags, self.dim = bags, bags[0].shape[1]

    def __len__(self):
        return len(self._bags)

    def batch(self, numbers):
        some = [self._bags[number] for number in numbers]
        vectors = torch.zeros(len(some), max(map(len, some)), self.dim)
        mask = torch.zeros(vectors.shape[:2], dtype=torch.bool)
        for row, one in enumerate(some):
            vectors[row, : len(one)], mask[row, : len(one)] = one, True
        return vectors, mask


def unit(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=rng), dim=-1)


TRUE = unit(len(CLASSES), DIM, seed=5)
CAPTIONS = F.normalize(TRUE[:, None] + 0.6 * unit(3, 4, DIM, seed=6), dim=2)


def one_hot(numbers):
    return np.eye(len(CLASSES), dtype=bool)[numbers]


def vectors_of(numbers, noise=0.8, seed=1):
    own = TRUE[torch.as_tensor(numbers)]
    return VectorBags(F.normalize(own + noise * unit(len(own), DIM, seed=seed), dim=1))


def patches_of(targets, count=30, noise=0.5, seed=2):
    """One patch shows each class of an image; all others are of the background."""
    rng = np.random.default_rng(seed)
    background = unit(1, DIM, seed=9)[0]
    bags = []
    for number, shown in enumerate(targets):
        size = count + number % 3
        noises = unit(size, DIM, seed=100 + number)
        patches = background + noise * noises
        for one in np.flatnonzero(shown):
            patches[rng.integers(1, size)] = TRUE[one] + noise * noises[one]
        bags.append(F.normalize(patches, dim=1))
    return ListBags(bags)


NUMBERS = np.arange(90) % 3


def accuracy(classifier, bags, numbers):
    return (classifier.scores(bags).argmax(axis=1) == numbers).mean()


@pytest.mark.parametrize("name", ["linear", "prompts"])
def test_one_vector_each(name):
    trained = train(
        classifiers.create(name), vectors_of(NUMBERS), one_hot(NUMBERS), CLASSES,
        SPACE, captions=CAPTIONS,
    )
    new = vectors_of(NUMBERS, seed=3)
    assert accuracy(trained.classifier, new, NUMBERS) > 0.9
    assert (trained.held_out.argmax(axis=1) == NUMBERS).mean() > 0.9
    sums = trained.classifier.probabilities(new).sum(axis=1)
    assert np.allclose(sums, 1) and trained.notes == ()


def test_the_best_patch_counts():
    found = {}
    for name in ("linear", "multiple-instance"):
        trained = train(
            classifiers.create(name), patches_of(one_hot(NUMBERS)), one_hot(NUMBERS),
            CLASSES, SPACE, captions=CAPTIONS,
        )
        new = patches_of(one_hot(NUMBERS), seed=8)
        found[name] = accuracy(trained.classifier, new, NUMBERS)
    assert found["multiple-instance"] > 0.9 > 0.6 > found["linear"]


def test_patches_without_captions():
    trained = train(
        classifiers.create("multiple-instance"), patches_of(one_hot(NUMBERS), 12),
        one_hot(NUMBERS), CLASSES, SPACE,
    )
    new = patches_of(one_hot(NUMBERS), 12, seed=8)
    assert accuracy(trained.classifier, new, NUMBERS) > 0.8
    logits, places = trained.classifier.look(new)
    for number, place in zip(NUMBERS, places):
        assert 0 <= place[number] < 15
    assert logits.shape == places.shape == (90, 3)


@pytest.mark.parametrize("name", ["linear", "prompts", "multiple-instance"])
def test_several_classes_each(name):
    rng = np.random.default_rng(0)
    targets = rng.random((80, 3)) < 0.4
    if name == "multiple-instance":
        bags, new = patches_of(targets), patches_of(targets, seed=11)
    else:
        mixed = F.normalize(torch.from_numpy(targets).float() @ TRUE + 1e-3, dim=1)
        bags, new = (
            VectorBags(F.normalize(mixed + 0.5 * unit(80, DIM, seed=s), dim=1))
            for s in (3, 4)
        )
    trained = train(
        classifiers.create(name), bags, targets, CLASSES, SPACE, several=True,
        captions=CAPTIONS,
    )
    probabilities = trained.classifier.probabilities(new)
    assert ((probabilities > 0.5) == targets).mean() > 0.8
    assert abs(probabilities.mean() - targets.mean()) < 0.1


@pytest.mark.parametrize("name", classifiers.names())
def test_a_classifier_is_the_same_again_and_on_disk(name, tmp_path):
    bags = patches_of(one_hot(NUMBERS), 8)
    asked = classifiers.create(name), bags, one_hot(NUMBERS), CLASSES, SPACE
    first = train(*asked, captions=CAPTIONS, facts={"images": 90}).classifier
    assert train(*asked, captions=CAPTIONS).classifier.hash == first.hash
    first.save(tmp_path / "kept")
    assert {p.suffix for p in (tmp_path / "kept").iterdir()} == {
        ".json", ".safetensors"
    }
    loaded = Classifier.load(tmp_path / "kept")
    assert np.array_equal(loaded.scores(bags), first.scores(bags))
    assert loaded.facts == {"images": 90}


def test_a_classifier_loads_in_another_process(tmp_path, fresh_python):
    first = train(
        classifiers.create("linear"), vectors_of(NUMBERS), one_hot(NUMBERS), CLASSES,
        SPACE,
    ).classifier
    first.save(tmp_path / "kept")
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from detail_embed.classifiers import Classifier;"
        "one = Classifier.load(sys.argv[1]); print(one.hash, one.space, one.classes)"
    )
    done = fresh_python(code, tmp_path / "kept", Path(__file__).parents[2])
    assert done.stdout.strip() == f"{first.hash} {SPACE} {CLASSES}", done.stderr


def test_many_examples_and_a_rare_class():
    numbers = np.r_[np.arange(2400) % 2, 2, 2]
    trained = train(
        classifiers.create("linear"), vectors_of(numbers), one_hot(numbers), CLASSES,
        SPACE,
    )
    assert np.isfinite(trained.held_out).all() and trained.notes == ()
    assert (trained.held_out.argmax(axis=1) == numbers).mean() > 0.9


def test_a_class_that_all_have():
    targets = np.c_[one_hot(NUMBERS)[:, :2], [True] * 90]
    trained = train(
        classifiers.create("linear"), vectors_of(NUMBERS), targets, CLASSES, SPACE,
        several=True,
    )
    assert "All examples have the class 'fox'" in trained.notes[0]
    assert (trained.classifier.probabilities(vectors_of(NUMBERS))[:, 2] > 0.9).all()


def test_a_damaged_classifier_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no classifier in"):
        Classifier.load(tmp_path)
    trained = train(
        classifiers.create("linear"), vectors_of(NUMBERS), one_hot(NUMBERS), CLASSES,
        SPACE,
    )
    trained.classifier.save(tmp_path)
    config = json.loads((tmp_path / "classifier.json").read_text())
    for change in ({"classes": ["a", "b", "c"]}, {"hash": "0"}, {"kind": None}):
        (tmp_path / "classifier.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match="damaged"):
            Classifier.load(tmp_path)
    (tmp_path / "classifier.json").write_text(json.dumps(config | {"format": 9}))
    with pytest.raises(ValueError, match="format 9"):
        Classifier.load(tmp_path)
    (tmp_path / "classifier.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        Classifier.load(tmp_path)


def test_no_examples_are_the_plain_ensemble():
    bags = vectors_of(NUMBERS)
    found = without_examples(bags, CLASSES, SPACE, False, CAPTIONS, "prompts")
    texts = F.normalize(CAPTIONS.mean(dim=1), dim=1)
    expected = torch.softmax(100 * bags.batch(range(90))[0][:, 0] @ texts.T, dim=1)
    assert np.allclose(found.probabilities(bags), expected, atol=1e-5)
    several = without_examples(bags, CLASSES, SPACE, True, CAPTIONS, "prompts")
    logits = several.scores(bags)
    assert np.allclose(logits.mean(axis=0), -3, atol=1e-3)


def test_classes_with_one_example():
    numbers = np.r_[NUMBERS[NUMBERS < 2], 2]
    trained = train(
        classifiers.create("linear"), vectors_of(numbers), one_hot(numbers), CLASSES,
        SPACE,
    )
    assert "Classes with one example: 'fox'. They are trained on" in trained.notes[0]
    assert np.isnan(trained.held_out[-1]).all()
    assert np.isfinite(trained.held_out[:-1]).all()
    all_single = train(
        classifiers.create("prompts"), vectors_of([0, 1, 2]), one_hot([0, 1, 2]),
        CLASSES, SPACE, captions=CAPTIONS,
    )
    assert "not calibrated" in all_single.notes[0]
    assert np.isnan(all_single.held_out).all()
    assert all_single.choice == classifiers.create("prompts").default


def test_the_interval_is_that_of_draws_and_of_what_is_judged():
    rng = np.random.default_rng(0)
    targets = np.eye(2, dtype=bool)[rng.integers(0, 2, 400)]
    right = rng.random((6, 400)) < np.linspace(0.7, 0.9, 6)[:, None]
    every = [np.where(one[:, None], targets, ~targets).astype(float) for one in right]
    low, high = interval(every[:1], targets, several=False)
    one = np.mean(right[0])
    binomial = 1.96 * np.sqrt(one * (1 - one) / 400)
    assert (high - low) / 2 == pytest.approx(binomial, rel=0.5)
    low, high = interval(every, targets, several=False)
    shares = right.mean(axis=1)
    of_draws = 2.571 * shares.std(ddof=1) / np.sqrt(6)
    of_judged = 1.96 * right.mean(axis=0).std() / np.sqrt(400)
    wanted = np.hypot(of_draws, of_judged)
    assert (high - low) / 2 == pytest.approx(wanted, rel=0.1)
    assert (high + low) / 2 == pytest.approx(shares.mean())
    assert interval([targets[:1]], targets[:1], several=False) == (None, None)
    none_left = np.array([[True, True], [False, False]])
    assert all(0 <= end <= 1 for end in interval([rng.random((2, 2))], none_left, True))


def test_more_examples_are_better(tmp_path):
    steps = curve_in_steps(
        classifiers.create("prompts"), vectors_of(NUMBERS, noise=1.5),
        one_hot(NUMBERS), captions=CAPTIONS, shots=(0, 1, 4), draws=2,
    )
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as end:
            points = end.value
            break
    assert shares == sorted(shares) and shares[-1] == 1
    assert [point.shots for point in points] == [0, 1, 4]
    assert points[0].low <= points[0].mean <= points[0].high
    assert len(points[0].draws) == 1
    assert points[2].low <= points[2].mean <= points[2].high
    assert points[2].mean > 0.5
    plot_curve(points, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no points"):
        plot_curve([], tmp_path / "none.png")


@pytest.mark.parametrize("several", [False, True])
def test_halves_leave_out_what_only_one_of_them_has(several):
    targets = one_hot([0, 0, 1, 1, 1, 2])
    shown, pool, test = halves(targets, several, seed=3)
    assert shown.tolist() == [True, True, False]
    assert targets[pool][:, shown].any(axis=0).all()
    assert targets[test][:, shown].any(axis=0).all()
    assert not set(pool) & set(test)
    assert len(pool) + len(test) == (6 if several else 5)
    with pytest.raises(ValueError, match="two examples"):
        list(curve_in_steps(
            classifiers.create("linear"), vectors_of([0, 1]), one_hot([0, 1])
        ))


def test_probabilities_are_as_often_right_as_they_say():
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 3, 4000)
    logits = rng.normal(size=(4000, 3)) + 2 * one_hot(numbers)
    slopes, offsets = calibration.calibrate(7 * logits, one_hot(numbers), False)
    assert slopes[0] * 7 == pytest.approx(2, rel=0.1) and not offsets.any()
    targets = rng.random((4000, 3)) < [0.1, 0.3, 0.5]
    logits = rng.normal(size=(4000, 3)) + 2 * targets
    slopes, offsets = calibration.calibrate(5 * logits + 3, targets, True)
    found = calibration.probabilities(slopes * (5 * logits + 3) + offsets, True)
    for place in range(3):
        assert found[:, place].mean() == pytest.approx(targets[:, place].mean(), 0.05)
        sure = found[:, place] > 0.7
        assert targets[sure, place].mean() == pytest.approx(
            found[sure, place].mean(), abs=0.06
        )


def test_no_part_lacks_a_class():
    targets = np.zeros((41, 4), bool)
    targets[np.arange(41), [0] * 20 + [1] * 15 + [2] * 5 + [3]] = True
    parts = folds(targets, 5, 0)
    assert (parts[-1], np.sum(parts == ALWAYS)) == (ALWAYS, 1)
    for part in range(5):
        assert targets[parts != part].any(axis=0).all()
        assert 7 <= (parts == part).sum() <= 9
    assert np.array_equal(parts, folds(targets, 5, 0))
    assert not np.array_equal(parts, folds(targets, 5, 1))


def test_shots_are_drawn_of_each_class():
    targets = one_hot(np.r_[NUMBERS, 0, 0])
    few, more = draw_shots(targets, 2, 3), draw_shots(targets, 5, 3)
    assert targets[few].sum(axis=0).tolist() == [2, 2, 2]
    assert targets[more].sum(axis=0).tolist() == [5, 5, 5]
    assert set(few) <= set(more)
    assert targets[draw_shots(targets, 31, 0)].sum(axis=0).tolist() == [31, 30, 30]
    assert len(draw_shots(targets, 0, 0)) == 0
    several = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    assert len(draw_shots(several, 1, 0)) == 2


@pytest.mark.parametrize(
    "change, message",
    [
        ({"targets": one_hot(NUMBERS)[:5]}, "targets: shape"),
        ({"classes": [*CLASSES, "owl"], "targets": np.eye(4, dtype=bool)[NUMBERS]},
         "'owl' has no example"),
        ({"classes": ["cat"], "targets": np.ones((90, 1), bool)}, "one class only"),
        ({"targets": one_hot(NUMBERS) | one_hot(NUMBERS[::-1])}, "several=True"),
        ({"captions": None}, "needs captions"),
        ({"captions": CAPTIONS[:2]}, "captions of 2 classes"),
    ],
)
def test_what_cannot_be_trained_is_said(change, message):
    asked = {
        "kind": classifiers.create("prompts"), "bags": vectors_of(NUMBERS),
        "targets": one_hot(NUMBERS), "classes": CLASSES, "space": SPACE,
        "captions": CAPTIONS,
    }
    with pytest.raises(ValueError, match=message):
        train(**(asked | change))


def test_kinds_and_vectors_that_cannot_be_used():
    with pytest.raises(ValueError, match="did you mean 'linear'"):
        classifiers.create("liner")
    with pytest.raises(ValueError, match="Choose one of"):
        classifiers.create(7)
    with pytest.raises(ValueError, match="shape"):
        VectorBags(np.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        VectorBags(np.full((2, 3), np.nan))
    found = without_examples(
        vectors_of(NUMBERS), CLASSES, SPACE, False, CAPTIONS, "prompts"
    )
    with pytest.raises(ValueError, match=f"is of {SPACE}, which has 24"):
        found.scores(VectorBags(np.eye(3)))
    assert len(Part(vectors_of(NUMBERS), [3, 5])) == 2


def test_a_strong_pull_leaves_the_names_as_they_are():
    kind = classifiers.create("multiple-instance")
    strongest = max(kind.choices, key=lambda choice: choice.strength)
    assert strongest.by_names and kind.default.strength < strongest.strength
    weights, _ = kind.solve(
        vectors_of(NUMBERS), one_hot(NUMBERS), False, CAPTIONS, strongest, 0
    )
    weights = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    names = ensemble(CAPTIONS).numpy()
    assert ((weights * names).sum(axis=1) > 0.999).all()
