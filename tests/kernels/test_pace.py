"""How many threads train: on simulated machines, and the same bits whatever is chosen."""

import itertools
import random

import numpy as np
import pytest

import fnnet
from fnnet.core.params import weights_sha256
from fnnet.kernels import pace, trainer
from fnnet.kernels.layout import READS, SLEPT
from fnnet.kernels.pace import Measured, Pace, Turn
from fnnet.threads import beside
from tests.kernels.test_block import block, data


class Machine:
    """A machine with `rates[threads]` steps a second, where a team falls asleep `sleeps[threads]` times a second.

    share      of the time that a thread alone runs.
    together   the first of threads that fall asleep.
    """

    def __init__(self, rates, sleeps=None, share=1.0, together=0.45):
        self.rates, self.sleeps, self.share, self.together = rates, sleeps or {}, share, together

    def run(self, turn):
        rate, often = self.rates[turn.threads], self.sleeps.get(turn.threads, 0)
        seconds = turn.steps / rate
        ends = turn.sleeps / often if often else seconds
        seconds = min(seconds, max(ends, 1 / rate))
        share = self.together if often else self.share
        return Measured(max(1, round(seconds * rate)), seconds, share * seconds, int(seconds * often))


def train(chosen, machine, seconds, block_seconds=0.1):
    """Make blocks of steps for so long; return the steps made."""
    made = spent = 0.0
    while spent < seconds:
        left = max(1, int(block_seconds * machine.rates[1]))
        while left > 0:
            turn = chosen.turn(left)
            assert 1 <= turn.steps <= left
            found = machine.run(turn)
            chosen.note(found)
            left, made, spent = left - found.steps, made + found.steps, spent + found.seconds
    return made / spent


QUIET = Machine({4: 30_000, 3: 25_000, 2: 17_000, 1: 10_000})
BUSY = Machine({4: 1500, 3: 1600, 2: 1800, 1: 9000}, {4: 300, 3: 300, 2: 300}, share=0.7)
"""Every thread waits for those that do not run."""
LONG = Machine({2: 100, 1: 60}, {2: 200})
"""Steps so long that threads fall asleep in each, and are faster together all the same."""
PIECES = Machine({2: 100, 1: 60}, {2: 200}, together=0.85)
"""Large layers on a quiet machine: who is ready first sleeps until the last piece is done, and not for long."""


def test_on_a_quiet_machine_all_threads_train_all_the_time():
    chosen = Pace(4)
    assert train(chosen, QUIET, 5) == pytest.approx(30_000, rel=0.01)
    assert chosen.used == 4


def test_threads_that_fall_asleep_now_and_then_stay():
    chosen = Pace(2)
    train(chosen, Machine({2: 17_000, 1: 10_000}, {2: 20}), 5)
    assert chosen.used == 2


def test_short_turns_in_which_a_thread_fell_asleep_once_are_no_reason_for_a_trial():
    """Blocks begin with one step, then two, then four; a thread falls asleep now and then where one begins."""
    chosen = Pace(2)
    for number in range(9):
        steps = 2**number
        turn = chosen.turn(steps)
        assert (turn.threads, turn.steps) == (2, steps)
        chosen.note(Measured(steps, 0.0003 + steps / 7000, 0.9 * steps / 7000, int(number > 3)))


def test_a_trial_that_is_much_slower_ends_early():
    """The second thread is late for a moment: one alone is tried, and no longer than half a trial."""
    chosen, machine = Pace(2), Machine({2: 17_000, 1: 10_000}, {2: 300})
    while chosen.turn(1000).threads == 2:
        chosen.note(machine.run(chosen.turn(1000)))
    seconds = 0.0
    while chosen.turn(1000).threads == 1:
        found = machine.run(chosen.turn(1000))
        chosen.note(found)
        seconds += found.seconds
    assert seconds < 0.9 * pace.TRIAL


@pytest.mark.parametrize("threads", [2, 4])
def test_on_a_busy_machine_one_thread_is_soon_left(threads):
    chosen = Pace(threads)
    assert train(chosen, BUSY, 3) > 0.93 * 9000
    assert chosen.used < 1.2


def test_the_number_rises_again_when_the_machine_is_quiet_again():
    chosen = Pace(4)
    train(chosen, BUSY, 3)
    assert train(chosen, QUIET, 10) > 0.8 * 30_000


def test_with_half_of_the_processors_taken_the_number_in_between_is_found():
    chosen = Pace(4)
    rates = {4: 3_000, 3: 8_000, 2: 17_000, 1: 10_000}
    assert train(chosen, Machine(rates, {4: 300, 3: 200, 2: 1}), 20) > 0.9 * 17_000


def test_threads_that_wait_but_are_faster_together_stay():
    chosen = Pace(2)
    assert train(chosen, LONG, 10) > 0.93 * 100
    assert chosen.used > 1.9


def test_threads_that_wait_often_but_not_for_long_are_no_reason_for_a_trial():
    """A trial cost 784-1024-1024-10 27 ms, and 4 % of an epoch."""
    chosen = Pace(2)
    train(chosen, PIECES, 10)
    assert chosen.used == 2


def test_a_processor_of_its_own_that_brings_nothing_is_tried_more_and_more_seldom():
    """One other program on two processors: a thread alone runs all the time."""
    chosen = Pace(2)
    assert train(chosen, Machine({2: 1500, 1: 10_000}, {2: 300}), 20) > 0.97 * 10_000


def test_one_thread_has_no_choice():
    chosen = Pace(1)
    assert chosen.turn(7) == Turn(1, 7, pace.NEVER)
    train(chosen, Machine({1: 100}), 1)
    assert chosen.used == 1


def test_a_thread_that_reads_has_a_processor_and_the_team_the_others():
    chosen = Pace(4, processors=4)
    train(chosen, QUIET, 1)
    with beside.work():
        assert chosen.turn(1000) == Turn(3, 1, pace.NEVER)
        chosen.note(QUIET.run(Turn(3, 1, pace.NEVER)))
        assert chosen.turn(1000).steps == pytest.approx(25_000 * pace.TRIAL / 4, rel=0.01)
        assert train(chosen, QUIET, 5) == pytest.approx(25_000, rel=0.01)
    assert chosen.turn(1000) == Turn(4, 1000, pace.SLEEPS)
    assert 3 < chosen.used < 3.5


def test_a_team_that_leaves_processors_free_is_not_made_smaller():
    chosen = Pace(2, processors=4)
    with beside.work(), beside.work():
        assert chosen.turn(1000).threads == 2
        with beside.work():
            assert chosen.turn(1000).threads == 1
            with beside.work(), beside.work():
                assert chosen.turn(1000).threads == 1
    assert chosen.turn(1000).threads == 2


class Drawn:
    """Threads, steps and sleeps by chance."""

    def __init__(self, most):
        self.most, self.random, self.turns = most, random.Random(most), []

    def turn(self, left):
        threads, steps = self.random.randint(1, self.most), self.random.randint(1, min(left, 5))
        return Turn(threads, steps, self.random.choice((0, 1, pace.NEVER)))

    def note(self, found):
        self.turns.append(found)


@pytest.mark.parametrize("sizes", [(784, 10, 10), (100, 70, 30, 10), (50, 3)], ids=str)
@pytest.mark.parametrize("batch", [7, 64, 3000])
def test_bits_are_the_same_whoever_trains_when(sizes, batch, numba_kernels, monkeypatch):
    examples = data(5000, sizes[0], sizes[-1], zeros=0.8, as_bytes=True)
    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    made = []
    for threads, chooser in ((1, Pace), (3, Pace), (3, Drawn)):
        monkeypatch.setattr(trainer, "Pace", lambda most, chooser=chooser: made.append(chooser(most)) or made[-1])
        found, losses, right = block(numba_kernels._replace(threads=threads), sizes, examples, batch)
        made.append((weights_sha256(found.params), losses, right, found.step))
    results = [each for each in made if isinstance(each, tuple)]
    assert len(set(results)) == 1
    drawn = next(each for each in made if isinstance(each, Drawn))
    assert sum(each.steps for each in drawn.turns) == results[0][-1]
    assert len(drawn.turns) > 1 or batch == 3000


def test_a_thread_that_waits_for_a_late_one_sleeps_and_the_team_ends_after_the_step(numba_kernels, monkeypatch):
    found, team = [], trainer.run_team

    def late(calls):
        """The last thread starts when the first has fallen asleep."""
        counters = calls[0]._arguments["counters"]

        def wait_first(call=calls[-1]):
            while not counters[SLEPT]:
                pass
            call()

        wait_first.at, wait_first.words = calls[-1].at, calls[-1].words
        team([*calls[:-1], wait_first])
        found.append(int(counters[SLEPT]))

    class Patient(Drawn):
        def turn(self, left):
            return Turn(2, left, 1 if not self.turns else pace.NEVER)

    examples = data(640, 20, 5, zeros=0.5, as_bytes=True)
    wanted = block(numba_kernels._replace(threads=1), (20, 8, 5), examples, 64)[0]
    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    monkeypatch.setattr(trainer, "run_team", late)
    made = []
    monkeypatch.setattr(trainer, "Pace", lambda most: made.append(Patient(most)) or made[-1])
    state = block(numba_kernels._replace(threads=2), (20, 8, 5), examples, 64)[0]
    assert [each.steps for each in made[0].turns] == [1, state.step - 1]
    assert found[0] >= 1
    assert weights_sha256(state.params) == weights_sha256(wanted.params)


def test_progress_says_how_many_threads_trained(numba_kernels):
    from fnnet.core.state import Examples
    from fnnet.training import epochs
    from fnnet.training.plan import Plan

    rng = np.random.default_rng(0)
    examples = Examples(rng.integers(0, 256, (500, 30), np.uint8), rng.integers(0, 3, 500))
    plan, seen = Plan(epochs=2, batch_size=50, learning_rate=0.1), []
    for kernels in (numba_kernels, fnnet.load_kernels("numpy")):
        start = epochs.start(fnnet.init((30, 4, 3)), 0, plan)
        list(epochs.epochs(start, examples, plan, kernels=kernels, on_block=seen.append))
    threads = [each.threads for each in seen]
    compiled = list(itertools.takewhile(lambda each: each is not None, threads))
    assert compiled
    assert all(1 <= each <= numba_kernels.threads for each in compiled)
    assert set(threads[len(compiled) :]) == {None}


def test_threads_wait_awake_about_as_long_as_a_step_takes(numba_kernels, monkeypatch):
    """Who sleeps is woken late: between short steps that costs more than in long ones, of which more is lost awake."""
    found, team = {}, trainer.run_team
    for sizes, batch in (((20, 8, 5), 64), ((20, 500, 500, 5), 64), ((20, 1200, 2000, 5), 128)):

        def seen(calls, sizes=sizes):
            team(calls)
            found[sizes] = int(calls[0]._arguments["counters"][READS])

        monkeypatch.setattr(trainer, "run_team", seen)
        block(numba_kernels._replace(threads=2), sizes, data(2 * batch, 20, 5, zeros=0.5, as_bytes=True), batch)
    least, middle, most = found.values()
    assert (least, most) == (trainer.LEAST_READS, trainer.MOST_READS)
    assert middle == pytest.approx(64 * (500 * 500 + 500 * 5 + 20 * 500 / 2) / trainer.READ_TERMS, rel=0.02)
