"""Training: objectives, held-out measure, resumption, divergence."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from detail_embed import fusers
from detail_embed.evaluation import agreement
from detail_embed.features import FeatureStore
from detail_embed.fusers.maxsim import maxsim, maxsim_batch
from detail_embed.training import (
    Checkpoint,
    InMemory,
    Stored,
    Training,
    TrainingConfig,
    TrainingDiverged,
    objectives,
)

D, N, P = 16, 60, 6
CONFIG = TrainingConfig(epochs=4, batch_size=16, queue=8, patience=9)


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


@pytest.fixture(scope="module")
def world():
    """Images whose patches are concepts or background, and texts of the concepts."""
    concepts, background = unit(40, D, seed=1), unit(3, D, seed=2)
    generator = torch.Generator().manual_seed(3)
    features = background[torch.randint(3, (N, P), generator=generator)]
    features[:, 1:3] = concepts[torch.randint(40, (N, 2), generator=generator)]
    noise = 0.1 * torch.randn(N, P, D, generator=generator)
    return F.normalize(features + noise, dim=2), concepts[:30], concepts[30:]


def training(world, config=CONFIG, name="attention", **settings):
    torch.manual_seed(0)
    fuser = fusers.create(name, D)
    features, proxies, held_out = world
    return fuser, Training(
        fuser, InMemory(features), proxies, held_out, config, **settings
    )


def test_maxsim_batch_is_maxsim(world):
    features, proxies, _ = world
    mask = torch.ones(N, P, dtype=torch.bool)
    mask[::2, 4:] = False
    expected = [maxsim(proxies, f[m]) for f, m in zip(features, mask)]
    torch.testing.assert_close(
        maxsim_batch(proxies, features, mask), torch.stack(expected)
    )


def test_proxy_mse_is_the_papers_formula():
    student, teacher = torch.rand(5, 7), torch.rand(5, 7)
    total = sum(
        (teacher[i, k] - student[i, k]) ** 2 for i in range(5) for k in range(7)
    )
    assert objectives.proxy_mse(student, teacher) == pytest.approx(100 * total / 35)


def test_ranking_against_a_slow_reference():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(9, 5)), 2 * rng.normal(size=(9, 5))
    total = weight = 0.0
    for z, s in zip(student.T, teacher.T):
        z = (z - z.mean()) / z.std(ddof=1)
        p, q = (np.exp(x / 0.5) / np.exp(x / 0.5).sum() for x in (s, z))
        w = max(s.max() - 1, 0)
        total += w * (p * np.log(p / q)).sum()
        weight += w
    loss = objectives.ranking(torch.tensor(student), torch.tensor(teacher), 0.5)
    assert loss.item() == pytest.approx(total / weight, rel=1e-5)


def test_ranking_is_zero_for_the_teacher_itself_and_ignores_absent_words():
    teacher = torch.randn(40, 6, generator=torch.manual_seed(0)).double() * 3
    teacher = (teacher - teacher.mean(0)) / teacher.std(0)
    assert objectives.ranking(5 * teacher + 1, teacher, 0.5) < 1e-6
    flat = torch.zeros(40, 6)
    assert objectives.ranking(torch.randn(40, 6), flat, 0.5) == 0


def test_agreement_counts_what_stands_out():
    teacher = torch.rand(100, 3, generator=torch.manual_seed(0)) * 0.1
    teacher[[3, 8], 0] = 5.0
    teacher[50, 1] = 5.0
    assert agreement(teacher, teacher) == pytest.approx(1)
    student = -teacher
    student[[3, 8], 0], student[50, 1] = torch.tensor([2.0, -9]), 9.0
    worst = (1 + 2 / 100) / 2  # first and last of the hundred
    assert agreement(student, teacher) == pytest.approx((worst + 1) / 2)


def test_agreement_where_nothing_stands_out():
    teacher = torch.rand(30, 4, generator=torch.manual_seed(0))
    assert agreement(teacher, teacher) == pytest.approx(1)
    assert agreement(-teacher, teacher) < 0.5


@pytest.mark.parametrize("name", ["attention", "transformer"])
@pytest.mark.parametrize("objective", ["ranking", "proxy-mse"])
def test_training_learns(world, name, objective):
    config = dataclasses.replace(CONFIG, objective=objective, epochs=12, patience=99)
    fuser, run = training(world, config, name)
    epochs = list(run)
    assert [e.number for e in epochs] == list(range(13)) and run.history == epochs
    losses = [e.loss for e in epochs[1:]]
    assert losses[-1] < 0.9 * losses[0]
    best = max(epochs, key=lambda e: e.held_out)
    assert best.is_best and fuser.epochs_trained.item() == best.number
    assert epochs[-1].learning_rate == pytest.approx(0, abs=1e-9)


def test_the_fuser_is_the_best_one(world):
    fuser, run = training(world)
    epochs = list(run)
    assert run._measure() == pytest.approx(max(e.held_out for e in epochs))
    assert not fuser.training


def test_training_never_ends_below_the_closed_form(world):
    fuser, run = training(world, dataclasses.replace(CONFIG, learning_rate=0.5))
    epochs = list(run)
    assert run._measure() >= epochs[0].held_out


def test_same_seed_same_fuser(world):
    hashes = []
    for seed in (0, 0, 1):
        fuser, run = training(world, dataclasses.replace(CONFIG, seed=seed))
        list(run)
        hashes.append(fuser.hash)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("name", ["attention", "transformer"])
def test_a_killed_training_goes_on_where_it_was(world, name, tmp_path):
    whole, run = training(world, name=name, checkpoint=tmp_path / "whole")
    unbroken = list(run)
    _, run = training(world, name=name, checkpoint=tmp_path / "killed")
    steps = iter(run)
    first = list(itertools.islice(steps, 3))
    del steps, run  # as good as a kill: only the folder is left
    fuser, run = training(world, name=name, checkpoint=tmp_path / "killed")
    rest = list(run)
    assert [e.number for e in rest] == [3, 4]
    assert [e.held_out for e in first + rest] == [e.held_out for e in unbroken]
    assert fuser.hash == whole.hash == Checkpoint.best(tmp_path / "killed").hash
    again, run = training(world, name=name, checkpoint=tmp_path / "killed")
    assert list(run) == [] and again.hash == whole.hash


def test_a_half_written_state_does_no_harm(world, tmp_path):
    _, run = training(world, checkpoint=tmp_path)
    list(itertools.islice(iter(run), 2))
    (tmp_path / "epoch-2.safetensors").write_bytes(b"cut off")
    _, run = training(world, checkpoint=tmp_path)
    assert [e.number for e in run] == [2, 3, 4]


def test_another_training_in_the_folder(world, tmp_path):
    _, run = training(world, checkpoint=tmp_path)
    list(itertools.islice(iter(run), 1))
    with pytest.raises(ValueError, match="holds another training .*batch_size"):
        training(
            world, dataclasses.replace(CONFIG, batch_size=8), checkpoint=tmp_path
        )


def test_other_images_are_another_training(world, tmp_path):
    _, run = training(world, checkpoint=tmp_path)
    list(itertools.islice(iter(run), 1))
    features, *texts = world
    with pytest.raises(ValueError, match="differs in images"):
        training((features.flip(0), *texts), checkpoint=tmp_path)


@pytest.mark.parametrize("name", ["state.json", "epoch-0.safetensors"])
def test_a_damaged_checkpoint_says_what_to_do(world, tmp_path, name):
    _, run = training(world, checkpoint=tmp_path)
    list(itertools.islice(iter(run), 1))
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(ValueError, match="is damaged .*train anew"):
        list(training(world, checkpoint=tmp_path)[1])


def test_vectors_that_are_not_finite_are_a_divergence(world):
    config = dataclasses.replace(CONFIG, batch_size=N, learning_rate=1e30)
    fuser, run = training(world, config)
    with pytest.raises(TrainingDiverged, match="diverged"):
        list(run)
    assert torch.isfinite(fuser(world[0])).all()


def test_divergence_is_an_error_and_keeps_the_best(world, tmp_path, monkeypatch):
    fuser, run = training(world, checkpoint=tmp_path)
    losses = itertools.count()
    ranking = objectives.ranking

    def diverging(student, teacher, temperature):
        loss = ranking(student, teacher, temperature)
        return loss * (torch.nan if next(losses) > 7 else 1)

    monkeypatch.setattr(objectives, "ranking", diverging)
    with pytest.raises(TrainingDiverged, match="learning rate below 0.001"):
        list(run)
    assert run.history and fuser.is_fitted
    assert torch.isfinite(fuser(world[0])).all()
    assert Checkpoint.best(tmp_path).hash == fuser.hash


def test_cancelling_keeps_the_best(world):
    fuser, run = training(world)
    steps = iter(run)
    next(steps), next(steps)
    steps.close()
    assert run._measure() == max(e.held_out for e in run.history)


def test_patience_and_time_budget(world):
    config = dataclasses.replace(CONFIG, epochs=50, patience=2, learning_rate=1e-9)
    _, run = training(world, config)
    assert len(list(run)) == 3
    _, run = training(world, dataclasses.replace(CONFIG, time_budget=1e-6))
    assert len(list(run)) == 1


def test_stored_features(world, tmp_path):
    features, proxies, held_out = world
    store = FeatureStore(tmp_path, "slug", D)
    counts = [P if i % 2 else P - 2 for i in range(N)]
    boxes = np.tile([[0, 0, 200, 100]], (P, 1))
    boxes[1:] //= 2
    store.add(
        [f"image-{i}" for i in range(N)],
        [f[:c] for f, c in zip(features, counts)],
        [boxes[:c] for c in counts],
        [np.ones(c, int) for c in counts],
    )
    source = Stored(store)
    batch, mask, places = source.batch([0, 1])
    assert mask.tolist() == [[True] * 4 + [False] * 2, [True] * 6]
    torch.testing.assert_close(batch[1], features[1], atol=1e-3, rtol=0)
    assert places[1, 0].tolist() == [0, 0, 1, 1]
    assert places[1, 1].tolist() == [0, 0, 0.5, 0.5]
    fuser = fusers.create("attention", D)
    assert len(list(Training(fuser, source, proxies, held_out, CONFIG))) == 5
    with pytest.raises(KeyError, match="1 images are not in the store: nope"):
        Stored(store, ["image-0", "nope"])


@pytest.mark.parametrize(
    "choice",
    [
        {"objective": "labels"},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"whole_image": -1},
        {"held_out_images": 1.0},
        {"time_budget": 0},
    ],
)
def test_bad_choices_are_named(choice):
    with pytest.raises(ValueError, match=next(iter(choice))):
        TrainingConfig(**choice)


def test_what_is_not_trained_says_so(world):
    with pytest.raises(ValueError, match="'mean' fuser is not trained"):
        training(world, name="mean")


def test_fewer_images_than_a_batch(world):
    features, proxies, held_out = world
    fuser = fusers.create("attention", D)
    run = Training(fuser, InMemory(features[:12]), proxies, held_out, CONFIG)
    assert len(list(run)) == 5
