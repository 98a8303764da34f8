"""The search for a learning rate: what it tries, what it is judged by, and what it finds."""

import math

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples
from fnnet.training import epochs, rate_search, session
from fnnet.training.rate_search import Trial, _extent, _parts, find_learning_rate, lowest, search
from fnnet.training.starting import first_params

DIGITS = data.load("digits")
SHORT = {"epochs": 3, "min_steps": 0, "dev": 0}


def job_of(settings=(), dataset=DIGITS, **options):
    return session.prepare(dataset, "classic", {**SHORT, **dict(settings)}, **options)


def tried(loss, low, high):
    """The rates in the order in which they are tried."""
    order = []

    def noted(rate):
        order.append(rate)
        return loss(rate)

    assert search(noted, low, high) == {rate: loss(rate) for rate in order}
    return order


def test_rates_ten_times_apart_and_closer_to_the_best():
    found = tried(lambda rate: abs(math.log(rate / 0.02)), 1e-5, 10.0)
    assert found == [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 0.0032, 0.032, 0.018, 0.057]
    assert len(found) == rate_search.MOST_TRIALS


def test_none_is_tried_beyond_one_that_diverges():
    assert max(tried(lambda rate: 1 / rate if rate < 0.5 else math.inf, 1e-3, 1e3)) == 1.0
    assert tried(lambda rate: math.inf, 1.0, 100.0)[:1] == [1.0]


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.08), (1e-30, 1e-29), (3.0, 3000.0), (1.0, 1.0001)])
def test_no_rate_is_outside_the_range(low, high):
    for best in (low, high):
        found = tried(lambda rate, best=best: abs(math.log(rate / best)), low, high)
        assert 2 <= len(found) <= rate_search.MOST_TRIALS
        assert low * 0.99 <= min(found) <= max(found) <= high * 1.01


@pytest.mark.parametrize("rates", [(0.01, 0.018, 0.032), (1e-3, 0.01, 0.1), (0.056, 0.1, 0.18)])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.8])
def test_the_lowest_of_a_parabola_is_found_between_rates(rates, part):
    under, best, over = rates
    low, high = math.sqrt(under * best), math.sqrt(best * over)
    bottom = low * (high / low) ** part
    trials = [Trial(rate, 1 + math.log(rate / bottom) ** 2) for rate in rates]
    assert lowest(trials) == pytest.approx(bottom, rel=0.05), "of two digits"


def test_the_lowest_at_an_edge_beside_a_cliff_and_of_what_is_flat():
    falling = [Trial(0.01, 0.9), Trial(0.1, 0.5), Trial(1.0, 0.4)]
    assert lowest(falling) == 1.0
    assert lowest([*falling, Trial(10.0, math.inf)]) == 0.32
    assert lowest([Trial(0.01, 0.5), Trial(0.1, 0.4), Trial(1.0, 0.4)]) == 0.32
    assert lowest([Trial(0.01, math.inf), Trial(0.1, 0.4), Trial(1.0, math.inf)]) == 0.1
    assert lowest([Trial(0.01, math.inf), Trial(0.1, 0.4), Trial(1.0, 0.5)]) == 0.32


def test_images_that_judge_are_not_trained_on():
    """A fifth is held out beside the dev images, unless these are enough; the weights are those of the images."""
    job = job_of({"dev": 50}, class_weights={3: 4.0})
    for images in (100, 10**6):
        parts = _parts(job, job.train, images)
        assert len(parts.train.labels) == min(images, len(job.train.labels) - len(job.train.labels) // 5)
        assert len(parts.dev.labels) == 50 + len(job.train.labels) // 5
        np.testing.assert_array_equal(parts.dev.x[:50], job.dev.x)
        rows = {row.tobytes() for row in job.train.x}
        trained, held = ({row.tobytes() for row in each} for each in (parts.train.x, parts.dev.x[50:]))
        assert trained | held <= rows
        assert not trained & held
        np.testing.assert_array_equal(parts.weights, np.where(parts.train.labels == 3, 4.0, 1.0))


def test_enough_dev_images_judge_alone(monkeypatch):
    monkeypatch.setattr(rate_search, "ENOUGH", 100)
    job = job_of({"dev": 100})
    parts = _parts(job, job.train, 10**6)
    assert len(parts.train.labels) == len(job.train.labels)
    np.testing.assert_array_equal(parts.dev.x, job.dev.x)


def test_of_few_images_none_are_held_out():
    few = DIGITS._replace(train=Examples(DIGITS.train.x[:4], DIGITS.train.labels[:4]), test=None)
    job = job_of(dataset=few)
    parts = _parts(job, job.train, 10**6)
    assert len(parts.train.labels) == len(parts.dev.labels) == 4


def test_trials_are_as_long_as_their_work_allows(monkeypatch):
    """1,150 images in 36 steps; a trial of one epoch costs 36 x 32 x 3 x 7,960 multiply-adds."""
    job, epoch = job_of({"epochs": 50}), rate_search.MOST_TRIALS * 36 * 32 * 3 * 7960
    assert _extent(job, compiled=True) == (1150, 50, 5)
    assert _extent(job, compiled=False) == (1150, 9, 3)
    for work, found in (
        (9 * epoch, (1150, 3, 3)),
        (3 * epoch, (1150, 1, 3)),
        (epoch, (1150, 1, 1)),
        (epoch * 0.8, (28 * 32, 1, 1)),
        (1, (640, 1, 1)),
    ):
        monkeypatch.setattr(rate_search, "WORK", int(work))
        assert _extent(job, compiled=True) == found
    monkeypatch.setattr(rate_search, "WORK", 130 * epoch)
    assert _extent(job, compiled=True) == (1150, 43, 3)
    assert _extent(job._replace(plan=job.plan._replace(epochs=0)), compiled=True)[1] == 1


def test_a_trial_is_a_training_of_the_plan(numba_kernels):
    """By hand: at its rate, with its optimizer, on what is not held out; the loss is that of the last report."""
    job = job_of({"optimizer": "momentum", "hidden": (12,), "activation": "tanh", "label_smoothing": 0.1}, seed=3)
    found = find_learning_rate(job, low=1e-3, high=1.0, kernels=numba_kernels)
    trial = found.trials[len(found.trials) // 2]
    losses = []
    for number in range(rate_search.REPEATS):
        seed = 3 + number * 2**32
        own, plan = job._replace(seed=seed), job.plan._replace(learning_rate=trial.rate, report_every=3)
        parts = _parts(own, job.train, 10**6)
        start = epochs.start(first_params(own), seed, plan)
        *_, reached = epochs.epochs(start, parts.train, plan, dev=parts.dev, kernels=numba_kernels)
        losses.append(reached.history[-1].dev_loss)
    assert trial.loss == pytest.approx(np.mean(losses), rel=1e-12)
    assert found.epochs == 3
    assert found.suggestion == lowest(found.trials)
    assert [trial.rate for trial in found.trials] == sorted(trial.rate for trial in found.trials)


def test_the_same_job_gives_the_same(numba_kernels):
    job = job_of({"epochs": 1})
    between = {"low": 1e-3, "high": 1.0, "kernels": numba_kernels}
    one, other = (find_learning_rate(job, **between)._replace(seconds=0) for _ in range(2))
    assert one == other


def test_rates_that_diverge_have_infinite_losses(numba_kernels):
    job = job_of({"activation": "leaky_relu", "hidden": (30,)})
    found = find_learning_rate(job, low=1e-2, high=1e4, kernels=numba_kernels)
    assert found.trials[-1].loss == math.inf
    assert found.trials[-1].rate < 1e4
    assert found.suggestion < 1
    nothing = find_learning_rate(job, low=1e5, high=1e8, kernels=numba_kernels)
    assert nothing.trials == (Trial(1e5, math.inf),)
    assert nothing.suggestion is None


def test_what_is_no_better_than_chance_is_not_suggested(numba_kernels):
    mixed = np.random.default_rng(0).permutation(DIGITS.train.labels)
    job = job_of({"epochs": 20}, DIGITS._replace(train=Examples(DIGITS.train.x, mixed)))
    assert find_learning_rate(job, low=0.01, high=1.0, kernels=numba_kernels).suggestion is None


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}])
def test_the_suggestion_is_near_the_best_of_a_grid(settings, numba_kernels):
    """Held out once more: images that the search has not seen."""
    train, held = data.split(DIGITS.train, 400, 9)
    seen, by_rate = DIGITS._replace(train=train), {}
    settings = {"epochs": 10, "min_steps": 0, **settings}
    for rate in np.geomspace(1e-4, 1, 9).tolist():
        job = session.prepare(seen, "classic", {**settings, "learning_rate": rate}, dev_set=held)
        _, reports = session.train(job, kernels=numba_kernels)
        by_rate[rate] = reports[-1].dev_loss
    best = min(by_rate, key=by_rate.get)
    found = find_learning_rate(session.prepare(seen, "classic", settings), kernels=numba_kernels).suggestion
    assert 1 / 3 <= found / best <= 3.2
