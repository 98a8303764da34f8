"""Sweeps: spaces, journals, trials of several processes, budgets, and what is measured."""

import json
import os
import sys

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.apps.sweep import Choices, Range, choices, journal, measuring, space, study
from fnnet.apps.sweep import sweep as sweep_it
from fnnet.apps.sweep.course import ALL_KNOWN, ENOUGH, OUT_OF_TIME, best, search
from fnnet.apps.sweep.study import DIVERGED, KILLED, REFUSED, RUNNING, STOPPED, TRAINED, WAITING, Result, Study
from fnnet.core import metrics
from fnnet.errors import DataError, FnnetError, UsageError
from fnnet.training import session
from fnnet.training.session import StoppedError
from tests.conftest import fork

pytest.importorskip("optuna", reason="needs optuna: pip install 'fnnet[sweep]'")

RATES = {"learning_rate": Range(0.01, 1.0, log=True)}
SIX = {"epochs": Range(1, 3, whole=True), **choices(optimizer=["sgd", "adam"])}
FEW = data.load("digits")._replace(notes=())
FEW = FEW._replace(train=fnnet.core.state.Examples(FEW.train.x[:300], FEW.train.labels[:300]))
QUICK = {"epochs": 2, "dev": 60, "batch_size": 20}


def numbers(points, check):
    """An objective: the best rate is the highest."""
    for place, point in enumerate(points):
        yield place, Result(float(next(iter(point.values()))), {"dev_loss": 1.0})


def states(trials):
    return [each.state for each in trials]


# Spaces


def test_a_range_draws_numbers_that_can_be_typed():
    tried = Range(0.01, 0.12345678, log=True)
    assert tried.value(0.023456789) == 0.02346
    assert tried.text(0.023456789) == "0.02346"
    assert tried.value(0.12345678) == 0.1235 - 0.1235 + 0.12345678, "within its ends"
    assert (Range(1, 9, whole=True).value(7), Range(8, 64, whole=True, make=lambda n: (n,)).value(32)) == (7, (32,))
    assert float(tried.text(0.0777777)) == tried.value(0.0777777)


def test_points_are_counted_and_listed():
    assert space.count(SIX) == len([*space.points(SIX)]) == 6
    assert space.count({**SIX, **RATES}) is None
    assert space.count({"epochs": Range(1, 10**9, whole=True)}) is None


def test_corners_are_all_combinations_or_those_of_pairs():
    assert len([*space.corners({**SIX, **RATES}, 100)]) == 8
    many = choices(**{f"x{number}": range(5) for number in range(4)})
    found = [*space.corners(many, 100)]
    assert len(found) == 1 + 6 * 25
    assert {(each["x1"], each["x3"]) for each in found} == {(str(a), str(b)) for a in range(5) for b in range(5)}


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        ({}, "nothing to try"),
        ({"x": Choices((1,), ("1",))}, "x: nothing to choose"),
        ({"x": Choices((1, 1), ("1", "1.0"))}, "x: tried twice"),
        ({"x": Range(2.0, 1.0)}, "x: not a range"),
        ({"x": Range(0.0, float("nan"))}, "x: not a range"),
        ({"x": Range(0.0, 1.0, log=True)}, "x: has no logarithm"),
        ({"x": [1, 2]}, "x: cannot be tried"),
    ],
)
def test_what_cannot_be_tried_is_refused(tried, words):
    with pytest.raises(UsageError, match=words):
        space.check_space(tried)


# The journal


def opened(folder, resume=True, **config):
    return journal.open_journal(folder, {"x": 1, **config}, resume=resume)


def test_a_line_that_was_cut_off_is_no_line_and_is_cut_off_by_the_next(tmp_path):
    log = opened(tmp_path)
    log.append_logs([{"a": 1}, {"b": 2}])
    path = tmp_path / journal.JOURNAL
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole[:cut])
        other = opened(tmp_path)
        known = [*other.read_logs(0)]
        other.append_logs([{"c": 3}])
        assert [*other.read_logs(len(known))] == [{"c": 3}]
        assert [*other.read_logs(0)] == [*opened(tmp_path).read_logs(0)] == [*known, {"c": 3}]


def test_a_damaged_line_is_named(tmp_path):
    log = opened(tmp_path)
    log.append_logs([{"a": 1}, {"b": 2}])
    path = tmp_path / journal.JOURNAL
    path.write_bytes(path.read_bytes().replace(b'{"a"', b'["a"'))
    with pytest.raises(DataError, match=r"journal\.log: line 1: damaged journal"):
        [*opened(tmp_path).read_logs(0)]


def test_folders_of_others_are_refused(tmp_path):
    opened(tmp_path / "a", resume=False)
    with pytest.raises(UsageError, match="holds a sweep already; go on with `resume`"):
        opened(tmp_path / "a", resume=False)
    with pytest.raises(UsageError, match="x differs from the run"):
        journal.open_journal(tmp_path / "a", {"x": 2}, resume=True)
    (tmp_path / "a" / journal.ABOUT).write_text("[]")
    with pytest.raises(DataError, match="damaged description"):
        opened(tmp_path / "a")
    (tmp_path / "a" / journal.ABOUT).unlink()
    opened(tmp_path / "a")
    (tmp_path / "a" / journal.JOURNAL).write_text("{}\n")
    (tmp_path / "a" / journal.ABOUT).unlink()
    with pytest.raises(UsageError, match=r"holds a journal\.log"):
        opened(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "log.jsonl").touch()
    with pytest.raises(UsageError, match="holds the run of a training"):
        opened(tmp_path / "b")


def test_processes_have_their_turn_one_after_another(tmp_path):
    children = []
    for child in range(3):
        pid = fork()
        if not pid:
            try:
                log = opened(tmp_path)
                for number in range(20):
                    with log.turn():
                        log.append_logs([{"child": child, "number": number}])
                        log.append_logs([{"child": child, "number": number}])
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 3
    found = [*opened(tmp_path).read_logs(0)]
    assert len(found) == 120
    assert all(one == other for one, other in zip(found[::2], found[1::2], strict=True))


# Trials


def in_a_process_that_is_killed(folder, tried, count=1):
    """Another process begins trials, and is gone."""
    pid = fork()
    if not pid:
        try:
            with Study(tried, 0, opened(folder)) as here:
                here.ask(count)
                os.kill(os.getpid(), 9)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 9


def test_a_trial_of_a_killed_process_is_marked_and_made_again(tmp_path):
    in_a_process_that_is_killed(tmp_path, RATES, count=2)
    with Study(RATES, 0, opened(tmp_path)) as here:
        assert states(here.trials()) == [KILLED, KILLED, WAITING, WAITING]
        assert [each.again for each in here.trials()[2:]] == [0, 1]
        asked = here.ask(3)
        assert [each.point for each in asked[:2]] == [each.point for each in here.trials()[:2]]
        assert asked[2].point not in [each.point for each in asked[:2]]
        for each in asked:
            here.tell(each, Result(0.5))
        assert here.made() == 3
        assert [each["process"] for each in here.starts()] == [*{each["process"]: 0 for each in here.starts()}]
        assert not here.trials()[0].figures


def test_trials_of_a_living_process_are_left_to_it(tmp_path):
    with Study(RATES, 0, opened(tmp_path)) as one:
        asked = one.ask(2)
        with Study(RATES, 0, opened(tmp_path)) as other:
            more = other.ask(2)
            assert states(other.trials()) == [RUNNING] * 4
            other.tell(more[0], Result(0.25))
        assert states(one.trials()) == [RUNNING, RUNNING, TRAINED, RUNNING], "that has ended as it should"
        one.ask(1)
        assert states(one.trials())[3] == KILLED
        one.tell(asked[0], Result(0.5))
        assert [each.score for each in one.trials()][:3] == [0.5, None, 0.25]


def test_a_trial_that_ends_each_process_is_given_up(tmp_path):
    for _ in range(study.MOST_TRIES):
        in_a_process_that_is_killed(tmp_path, RATES)
    with Study(RATES, 0, opened(tmp_path)) as here:
        assert states(here.trials()) == [KILLED] * study.MOST_TRIES
        assert here.trials()[-1].problem == "its process ended, 3 times"
        assert here.made() == 1
        assert here.ask(1)[0].point != here.trials()[0].point


def test_a_result_of_a_trial_that_was_taken_up_is_dropped(tmp_path):
    with Study(RATES, 0, opened(tmp_path)) as here:
        (asked,) = here.ask(1)
        here.give_back([asked])
        here.tell(asked, Result(0.5))
        here.give_back([asked])
        assert states(here.trials()) == [STOPPED, WAITING]


def test_each_start_draws_with_a_seed_of_its_own(tmp_path):
    drawn = []
    for _ in range(3):
        with Study(RATES, 7, opened(tmp_path)) as here:
            drawn += [each.point["learning_rate"] for each in here.ask(2)]
            for each in here.trials():
                here.tell(each, Result(0.5))
    assert len({*drawn}) == 6
    seeds = [each["sampler_seed"] for each in here.starts()]
    assert seeds == [study.sampler_seed(7, number) for number in range(3)]
    assert len({*seeds}) == 3


def test_the_same_seed_in_memory_draws_the_same_trials():
    found = []
    for _ in range(2):
        with Study(RATES, 3) as here:
            search(here, RATES, numbers, trials=14)
            found.append([each.point for each in here.trials()])
    assert found[0] == found[1]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_small_space_is_tried_once_and_the_sweep_ends(resumed, tmp_path):
    with Study(SIX, 1, opened(tmp_path)) as here:
        assert search(here, SIX, numbers, trials=2 if resumed else None, seconds=None if resumed else 60) in (
            ENOUGH, ALL_KNOWN,
        )  # fmt: skip
    with Study(SIX, 1, opened(tmp_path)) as here:
        assert search(here, SIX, numbers, seconds=60) == ALL_KNOWN
        assert sorted(map(str, (each.point for each in here.trials()))) == sorted(map(str, space.points(SIX)))


def test_the_journal_is_one_that_optuna_reads(tmp_path):
    import optuna

    with Study(SIX, 1, opened(tmp_path)) as here:
        search(here, SIX, numbers, trials=3)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / journal.JOURNAL))
    read = optuna.load_study(study_name="fnnet", storage=optuna.storages.JournalStorage(backend))
    assert len([each for each in read.trials if each.value is not None]) == 3


def test_without_optuna_one_line_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(FnnetError, match=r"a sweep needs optuna; .*pip install 'fnnet\[sweep\]'"):
        Study(RATES)


# Budgets


class Clock:
    """A clock that each trial moves on."""

    def __init__(self, each):
        self.now, self.each, self.batches = 0.0, each, []

    def __call__(self):
        return self.now

    def objective(self, points, check):
        self.batches.append(len(points))
        for place in range(len(points)):
            self.now += self.each
            if reason := check():
                raise StoppedError(reason)
            yield place, Result(0.5)


@pytest.mark.parametrize(
    ("each", "batches"), [(1.0, [1, 8, 1]), (4.0, [1, 1]), (0.1, [1, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 2])]
)
def test_no_more_is_begun_than_fits_in_the_time(each, batches):
    clock = Clock(each)
    with Study(RATES, 1) as here:
        assert search(here, RATES, clock.objective, seconds=10.5 if each != 0.1 else 9.95, clock=clock) == OUT_OF_TIME
    assert clock.batches == batches


def test_what_runs_at_the_end_of_the_time_is_stopped_and_waits():
    clock = Clock(3.0)
    with Study(RATES, 1) as here:
        assert search(here, RATES, clock.objective, seconds=2.0, clock=clock) == OUT_OF_TIME
        assert states(here.trials()) == [STOPPED, WAITING]
        assert best(here.trials()) is None
        assert search(here, RATES, clock.objective, trials=1, clock=clock) == ENOUGH
        assert states(here.trials()) == [STOPPED, TRAINED]


def test_a_reason_to_stop_ends_it_and_an_error_leaves_no_trial_open():
    with Study(RATES, 1) as here:
        assert search(here, RATES, numbers, trials=5, stop=lambda: "interrupted") == "interrupted"
        assert not here.trials()

        def fails(points, check):
            yield 0, Result(0.5)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            search(here, RATES, fails, trials=3)
        assert states(here.trials()) == [TRAINED, STOPPED, STOPPED]
        with pytest.raises(UsageError, match="seconds: without an end"):
            search(here, RATES, numbers)


def test_a_trial_that_failed_is_learnt_from_and_not_the_best():
    def objective(points, check):
        for place, point in enumerate(points):
            bad = point["learning_rate"] > 0.1
            yield place, Result(None, {}, DIVERGED, "loss") if bad else Result(point["learning_rate"])

    with Study(RATES, 1) as here:
        search(here, RATES, objective, trials=60)
        trials = here.trials()
        assert {*states(trials)} == {TRAINED, DIVERGED}
        assert 0.05 < best(trials).point["learning_rate"] <= 0.1
        late = states(trials)[-20:]
        assert late.count(DIVERGED) < states(trials)[:20].count(DIVERGED) + 10


# What is measured


def objective_of(**given):
    make = measuring.setup_of("classic", {**QUICK, **given.pop("settings", {})})
    return measuring.training_objective(FEW, make, **given)


def results(objective, *points):
    return dict(objective(points, lambda: None))


@pytest.mark.parametrize("by", ["accuracy", "loss"])
def test_figures_are_those_of_training_alone(by):
    (found,) = results(objective_of(by=by, repeats=2, seed=4), {"learning_rate": 0.1}).values()
    losses, accuracies = [], []
    for init_seed in (4, 5):
        job = session.prepare(FEW, "classic", {**QUICK, "learning_rate": 0.1}, seed=4, init_seed=init_seed)
        model, reports = session.train(job)
        accuracies.append(reports[-1].dev_accuracy)
        losses.append(float(metrics.evaluate(model, *job.dev).loss))
    assert found.figures["dev_accuracies"] == accuracies
    assert found.figures["dev_losses"] == pytest.approx(losses)
    assert found.score == pytest.approx(np.mean(accuracies) if by == "accuracy" else -np.mean(losses))
    assert found.figures["dev_loss_spread"] == pytest.approx(np.std(losses, ddof=1))


def test_what_sees_the_same_batches_is_trained_in_one_pass(monkeypatch):
    passes = []
    together = measuring.train_together
    monkeypatch.setattr(
        measuring, "train_together", lambda jobs, **given: passes.append(len(jobs)) or together(jobs, **given)
    )
    rates = [{"learning_rate": rate, "hidden": hidden} for rate in (0.1, 0.2) for hidden in ((3,), (4,))]
    results(objective_of(repeats=3), *rates)
    assert passes == [6, 6]
    passes.clear()
    results(
        objective_of(folds=2, settings={"dev": 0}),
        {"momentum": 0.5, "optimizer": "momentum"},
        {"optimizer": "sgd"},
        {"weight_decay": 0.1},
    )
    assert passes == [1, 1, 2, 2]


def test_cross_validation_holds_each_fold_out_once():
    settings = {"dev": 0}
    objective = measuring.training_objective(FEW, measuring.setup_of("classic", {"epochs": 1, **settings}), folds=3)
    (found,) = results(objective, {"learning_rate": 0.1}).values()
    expected = []
    for train, held in measuring.cross.cut(FEW.train, 3):
        model, _ = fnnet.fit(FEW._replace(train=train), epochs=1, dev=0, learning_rate=0.1, dev_data=held)
        expected.append(float(metrics.evaluate(model, *held).accuracy))
    assert found.figures["dev_accuracies"] == expected


def test_the_test_set_is_not_read():
    poisoned = FEW._replace(test=fnnet.core.state.Examples(FEW.test.x, np.full(len(FEW.test.labels), 99)))
    with pytest.raises(UsageError):
        session.train(session.prepare(poisoned, "classic", {**QUICK, "epochs": 0}))
    for folds in (0, 2):
        settings = {"epochs": 1} | ({} if folds else {"dev": 60})
        sweep_it(poisoned, RATES, trials=1, folds=folds, **settings)


def test_divergence_is_a_result_of_that_trial_alone():
    huge = {"learning_rate": 1e30, "activation": "linear"}
    found = results(objective_of(repeats=2, settings={"activation": "linear"}), {"learning_rate": 0.05}, huge)
    assert [found[place].outcome for place in (0, 1)] == [TRAINED, DIVERGED]
    assert found[1].score is None
    assert "2 of 2 networks" in found[1].problem


def test_combinations_that_do_not_fit_are_refused_one_by_one():
    found = results(objective_of(), {"optimizer": "sgd", "momentum": 0.5}, {"learning_rate": 0.1})
    assert [found[place].outcome for place in (0, 1)] == [REFUSED, TRAINED]
    assert "momentum" in found[0].problem


@pytest.mark.parametrize("settings", [{"members": 2}, {"shards": 2, "local_steps": 2}])
def test_what_cannot_be_trained_together_is_trained_one_by_one(settings):
    found = results(objective_of(settings=settings, repeats=2), {"learning_rate": 0.1})
    assert len(found[0].figures["dev_losses"]) == 2


def test_a_sweep_needs_images_to_choose_by():
    with pytest.raises(UsageError, match="dev: no dev images to choose by"):
        measuring.reference_job(FEW, measuring.Setup("classic", {"dev": 0}))
    with pytest.raises(UsageError, match="folds: cannot be combined with `dev_data`"):
        objective_of(folds=2, dev_set=FEW.train)
    with pytest.raises(UsageError, match="by: unknown measure"):
        objective_of(by="speed")


def test_sweep_in_python(tmp_path):
    tried = {**choices(hidden=[(), (8,)]), **RATES}
    found = sweep_it(FEW, tried, trials=3, run_dir=tmp_path / "a", **QUICK)
    assert (found.reason, len(found.trials), len(found.starts)) == (ENOUGH, 3, 1)
    assert found.best.figures["dev_accuracy"] == max(each.score for each in found.trials)
    again = sweep_it(FEW, tried, trials=4, run_dir=tmp_path / "a", resume=True, **QUICK)
    assert again.trials[:3] == found.trials
    assert (len(again.trials), len(again.starts)) == (4, 2)
    about = json.loads((tmp_path / "a" / journal.ABOUT).read_text())
    assert about["try"] == {"hidden": ["", "8"], "learning_rate": "0.01..1:log"}
    with pytest.raises(UsageError, match="hidden"):
        sweep_it(FEW, {**choices(hidden=[(), (9,)]), **RATES}, trials=4, run_dir=tmp_path / "a", resume=True, **QUICK)
    for wrong, words in (
        ({"resume": True}, "needs the folder"),
        ({"dev_data": 3}, "dev_data: not labelled images"),
        ({"folds": 2, "dev": 9}, "dev: cannot be combined"),
    ):
        with pytest.raises(UsageError, match=words):
            sweep_it(FEW, RATES, trials=1, **wrong)


def test_a_picture_of_each_kind(tmp_path):
    pytest.importorskip("matplotlib")
    from fnnet.apps.sweep.picture import plot_sweep

    tried = {**SIX, **RATES}
    with Study(tried, 1) as here:
        figures = {"dev_accuracy": 0.5, "dev_accuracy_spread": 0.1, "dev_loss": 1.0, "dev_loss_spread": None}
        for each in here.ask(3):
            here.tell(each, Result(0.5, figures))
        drawn = []
        for by in ("accuracy", "loss", "loss"):
            plot_sweep(tmp_path / "picture.svg", tried, here.trials(), by, "title")
            drawn.append((tmp_path / "picture.svg").read_bytes())
        assert drawn[0] != drawn[1] == drawn[2]
        plot_sweep(tmp_path / "none.png", tried, [], "loss")
    assert (tmp_path / "none.png").stat().st_size > 1000
