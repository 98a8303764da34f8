"""The learning-rate range test."""

import math

import numpy as np
import pytest

import fnnet
from fnnet.core import rng
from fnnet.core.params import weights_sha256
from fnnet.core.public_optimizers import adam
from fnnet.core.state import Examples
from fnnet.errors import UsageError
from fnnet.limits import MIN_RANGE_TEST_STEPS
from fnnet.training import lr_find, steps
from fnnet.training.lr_find import MEMORY, TOO_HIGH, falls, range_test
from tests.tools.tolerance import assert_loss


def examples(n=70, inputs=6, classes=3):
    draw = np.random.default_rng(n)
    x = draw.standard_normal((n, inputs)).astype(np.float32)
    return Examples(x, (x @ draw.standard_normal((inputs, classes))).argmax(axis=1))


def start(sizes=(6, 5, 3), seed=3, **options):
    return steps.start(fnnet.init(sizes, seed), seed, **options)


@pytest.mark.parametrize("optimizer", [fnnet.SGD, adam()])
def test_it_is_training_at_growing_rates(optimizer, kernels):
    """By hand: the batches of training's own order, ragged ones at the ends of its passes, each at its rate."""
    data, state = examples(), start(optimizer=optimizer)
    options = {"optimizer": optimizer, "kernels": kernels}
    found = range_test(state, data, 16, low=1e-3, high=0.1, steps=12, **options)
    rates = 1e-3 * 100 ** (np.arange(12) / 11)
    np.testing.assert_allclose(found.rates, rates, rtol=1e-12)
    rows = [
        order[a : a + 16]
        for e in (1, 2, 3)
        for order in [rng.order(3, "shuffle", 70, epoch=e)]
        for a in range(0, 70, 16)
    ]
    by_hand, average = state, 0.0
    for number in range(12):
        batch = rows[number]
        by_hand, loss, _ = steps.train_step(by_hand, data.x[batch], data.labels[batch], found.rates[number], **options)
        assert_loss(found.losses[number], loss, 3, len(batch))
        average = 0.9 * average + 0.1 * found.losses[number]
        assert found.smoothed[number] == pytest.approx(average / (1 - 0.9 ** (number + 1)), rel=1e-12)
    assert [len(batch) for batch in rows[:6]] == [16, 16, 16, 16, 6, 16]


def test_the_first_smoothed_loss_is_the_first_loss():
    found = range_test(start(), examples(), 16, steps=20)
    assert found.smoothed[0] == pytest.approx(found.losses[0], rel=1e-12)


def test_it_ends_where_the_loss_has_grown(kernels):
    """The last smoothed loss is within the limit, and one step more, made by hand, is beyond it or diverges."""
    data = Examples(20 * examples().x, examples().labels)
    found = range_test(start(), data, 16, low=1e-4, high=1e6, steps=100, kernels=kernels)
    count = len(found.rates)
    assert MIN_RANGE_TEST_STEPS < count < 100
    assert found.rates[-1] == pytest.approx(1e-4 * 1e10 ** ((count - 1) / 99))
    assert all(
        now <= TOO_HIGH * best for now, best in zip(found.smoothed, np.minimum.accumulate(found.smoothed), strict=True)
    )
    assert all(map(math.isfinite, found.losses))


def test_the_loss_beyond_the_limit_is_left_out(monkeypatch):
    """A trainer of known losses: 1 for 15 steps, then 100. 10.9 is more than 4 times the smallest smoothed loss, 1."""
    losses = iter([1.0] * 15 + [100.0] * 100)
    monkeypatch.setattr(
        lr_find, "train_block", lambda state, x, rows, *more, **options: (state, next(losses) * len(rows), 0)
    )
    found = range_test(start(), examples(), 16, steps=50)
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 15
    losses = iter([1.0] * 15 + [100.0] + [1.0] * 100)
    monkeypatch.setattr(lr_find, "TOO_HIGH", 20.0)
    assert len(range_test(start(), examples(), 16, steps=50).rates) == 50


def test_divergence_ends_it(kernels):
    found = range_test(start(), examples(), 16, low=1e-3, high=1e39, steps=30, kernels=kernels)
    assert len(found.rates) < 30
    at_once = range_test(start(), examples(), 16, low=1e38, high=1e39, steps=30, kernels=kernels)
    assert (at_once.steepest, at_once.at_minimum) == (None, None)


def test_the_same_arguments_give_the_same_and_nothing_is_kept(kernels):
    state, data = start(), examples()
    before = weights_sha256(state.params)
    assert range_test(state, data, 16, steps=30, kernels=kernels) == range_test(
        state, data, 16, steps=30, kernels=kernels
    )
    assert weights_sha256(state.params) == before
    assert state.step == 0


RATES = np.geomspace(1e-4, 1.0, 81)


def curve(falls, grows):
    """A loss of 2 that falls by a straight line between the rates numbered `falls` and grows from number `grows` on."""
    at = np.arange(81)
    return 2 - np.clip((at - falls[0]) / (falls[1] - falls[0]), 0, 1) + 0.2 * np.maximum(at - grows, 0)


def test_the_steepest_fall_by_hand():
    """Ten steps that fall alike, 20 to 29: their middle."""
    losses = curve((20, 29), 60)
    assert falls(RATES, losses, losses, 10) == (pytest.approx(math.sqrt(RATES[20] * RATES[29])), RATES[29])
    steepest, at_minimum = falls(RATES, losses, curve((20, 70), 75), 10)
    assert at_minimum == RATES[70]
    assert steepest == pytest.approx(math.sqrt(RATES[20] * RATES[29]))


def test_a_fall_after_the_minimum_does_not_count():
    """What grows to 10 and falls back, later, is no progress."""
    losses = curve((20, 40), 81)
    losses[50:60] = 10 - np.arange(10)
    assert falls(RATES, losses, losses, 10)[0] < RATES[40]


def test_without_a_fall_none_is_steepest():
    rising = np.linspace(1, 2, 81)
    assert falls(RATES, rising, rising, 10) == (None, RATES[0])
    assert falls(RATES[:9], rising[:9], rising[:9], 10) == (None, None)


@pytest.mark.parametrize("seed", range(3))
def test_noise_does_not_move_it_far(seed):
    losses = curve((30, 50), 65) + 0.15 * np.random.default_rng(seed).standard_normal(81)
    smoothed, average = [], 0.0
    for number, loss in enumerate(losses, 1):
        average = MEMORY * average + (1 - MEMORY) * loss
        smoothed.append(average / (1 - MEMORY**number))
    steepest, at_minimum = falls(RATES, losses, np.array(smoothed), 10)
    assert RATES[25] <= steepest <= RATES[55]
    assert RATES[48] <= at_minimum <= RATES[75]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"low": 0.0}, "low out of range; expected a finite number > 0, found 0.0"),
        ({"low": math.nan}, "low out of range"),
        ({"high": math.inf}, "high out of range"),
        ({"low": 1.0, "high": 0.1}, "low is not below high; expected low < 0.1, found 1"),
        ({"low": 1.0, "high": 1.0}, "low is not below high"),
        ({"steps": 9}, "steps out of range; expected an integer >= 10, found 9"),
        ({"steps": 10.5}, "steps is not an integer"),
    ],
)
def test_bad_values(options, fault):
    with pytest.raises(UsageError, match=fault):
        range_test(start(), examples(), 16, **options)
    with pytest.raises(UsageError, match="batch_size"):
        range_test(start(), examples(), 0)


# The command.

ABOUT = ["dataset", "recipe", "sizes", "batch_size", "jit", "seed", "seconds"]
KEYS = [*ABOUT, *lr_find.RangeTest._fields, "trial_epochs", "trials", "suggestion", "plot", "notes"]


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_json(jit, run, idx_folder, tmp_path):
    result = run("lr-find", "--data", idx_folder, jit, "--hidden", "12", "--batch-size", 10, "--steps", 100, "--json")
    assert result.code == 0, result.err
    document = result.json
    assert list(document) == KEYS
    assert document["sizes"] == [784, 12, 10]
    assert document["batch_size"] == 10
    assert document["jit"] is (jit == "--jit")
    assert len(document["rates"]) == len(document["losses"]) == len(document["smoothed"]) <= 100
    assert [*document["trials"][0]] == ["rate", "loss"]
    assert document["trial_epochs"] > 0
    assert 1e-5 < document["suggestion"] < 1
    assert not list(tmp_path.glob("*.safetensors"))


def test_the_suggested_rate_trains(run, idx_folder):
    """What is suggested for the small folder learns it, and the rate where the test began does not."""
    found = run("lr-find", "--data", idx_folder, "--batch-size", 10, "--json").json
    accuracy = {}
    for rate in (found["suggestion"], found["rates"][0]):
        arguments = ("--data", idx_folder, "--batch-size", 10, "--epochs", 20, "--learning-rate", rate, "--json")
        accuracy[rate] = run("train", *arguments).json["test_accuracy"]
    assert accuracy[found["suggestion"]] == 1 > accuracy[found["rates"][0]]


def test_the_full_batch_and_what_is_printed(run, idx_folder):
    result = run("lr-find", "--data", idx_folder, "--recipe", "notebook", "--steps", 40, "--seed", 2)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("data: idx, 45 train images")
    assert "notebook, 784-10-10, batches of 45, idx" in lines
    assert "smoothed loss over the learning rate" in result.out
    assert lines[-1].startswith("suggested learning rate ")
    quiet = run("lr-find", "--data", idx_folder, "--recipe", "notebook", "--steps", 40, "--seed", 2, "--quiet")
    assert quiet.err == ""
    assert quiet.out.splitlines()[-1] == lines[-1]
    assert len(quiet.out.splitlines()) == 4


def test_no_suggestion_is_said(run, idx_folder):
    result = run("lr-find", "--data", idx_folder, "--low", "1e3", "--high", "1e5", "--steps", 10)
    assert result.code == 0
    assert result.out.splitlines()[-1].startswith("no suggestion")


def test_its_picture(run, idx_folder, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    result = run("lr-find", "--data", idx_folder, "--steps", 30, "--plot", "rates.svg")
    assert result.out.splitlines()[-1] == "saved rates.svg"
    assert (tmp_path / "rates.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--low", "0"), ("--low", "> 0")),
        (("--low", "1", "--high", "0.1"), ("--low", "not below --high", "less than 0.1, found 1")),
        (("--high", "inf"), ("--high",)),
        (("--steps", "9"), ("--steps", "10 to 1000000")),
        (("--plot", "rates.txt"), ("--plot", ".png")),
        (("--recipe", "magic"), ("--recipe",)),
        (("--optimizer", "lbfgs"), ("--optimizer: lbfgs has no learning rate", "expected sgd or momentum")),
    ],
)
def test_wrong_usage(arguments, parts, run, idx_folder):
    run("lr-find", "--data", idx_folder, *arguments).failed(2, *parts)
