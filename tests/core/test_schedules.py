"""Schedules: against PyTorch and optax step by step, and against numbers worked out by hand."""

import math
import re
import warnings

import numpy as np
import pytest

from fnnet.core import schedules
from fnnet.core.schedules import (
    constant,
    cosine,
    exponential,
    make,
    make_plateau,
    make_schedule,
    one_cycle,
    parse_schedule,
    plateau_scale,
    step,
    warm_up,
)
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.names import SCHEDULES

STEPS = np.arange(40)
ROOT_HALF = math.sqrt(0.5)


def assert_rates(found, wanted):
    """Equal but for the rounding of a few float64 operations."""
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-16)


# By hand.


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (constant(0.3), [0.3, 0.3, 0.3]),
        (step(1.0, every=2, factor=0.5), [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        (exponential(3.0, every=2, factor=0.25), [3, 1.5, 0.75, 0.375]),
        (cosine(2.0, 4), [2, 1 + ROOT_HALF, 1, 1 - ROOT_HALF, 0, 0, 0]),
        (cosine(2.0, 2, 0.5), [2, 1.5, 1, 1]),
        # Up from 0.1 to 2 over steps 0, 1, 2 (0.5 * 6 - 1 = 2), down to 0.01 at step 5.
        (one_cycle(2.0, 6, 0.5, 20.0, 10.0), [0.1, 1.05, 2, 1.5025, 0.5075, 0.01, 0.01, 0.01]),
        # 0.25 * 4 - 1 = 0: no step goes up, the first has the peak.
        (one_cycle(1.0, 4, 0.25, 10.0, 10.0), [1, 0.7525, 0.2575, 0.01]),
        # 0 * 4 - 1 = -1: the peak was one step before the first.
        (one_cycle(1.0, 3, 0.0, 10.0, 10.0), [0.7525, 0.2575, 0.01, 0.01]),
        (warm_up(constant(1.0), 4), [0.25, 0.5, 0.75, 1, 1, 1]),
        (warm_up(constant(1.0), 1), [1, 1]),
        (warm_up(cosine(2.0, 4), 2), [1, 1 + ROOT_HALF, 1, 1 - ROOT_HALF]),
    ],
)
def test_rates_by_hand(schedule, rates):
    found = schedule(np.arange(len(rates)))
    assert found.dtype == np.float64
    assert_rates(found, rates)


EVERY = [make(name, 0.4, 30) for name in schedules.OPTIONS] + [warm_up(cosine(0.4, 30), 5)]


@pytest.mark.parametrize("schedule", EVERY)
def test_rates_have_the_shape_of_the_steps_and_depend_on_them_alone(schedule):
    rates = schedule(STEPS)
    assert_rates(schedule(STEPS[::-1].reshape(4, 10)), rates[::-1].reshape(4, 10))
    for number in (0, 7, 39):
        alone = schedule(number)
        assert np.shape(alone) == ()
        assert isinstance(alone, float)
        assert_rates(alone, rates[number])
    assert schedule(STEPS[:0]).shape == (0,)
    assert_rates(schedule(STEPS.astype(np.uint8)), rates)
    rates[:] = 0
    assert schedule(STEPS)[0] > 0


@pytest.mark.parametrize("schedule", EVERY)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_f80_rates_do_not_depend_on_the_dtype_of_the_steps(schedule, dtype):
    most = np.iinfo(dtype).max
    steps = np.array([0, 1, 99, 126, most - 1, most], dtype)
    with np.errstate(over="raise", invalid="raise"):
        assert_rates(schedule(steps), [schedule(min(int(each), 2**63 - 1)) for each in steps])
    assert (schedule(steps) >= 0).all()


LONG = [make(name, 0.4, 30_000) for name in schedules.OPTIONS] + [
    warm_up(cosine(0.4, 30_000), 200),
    warm_up(constant(0.4), 40_000),
    step(0.4, every=300),
    exponential(0.4, 0.5, every=40_000),
]


@pytest.mark.parametrize("schedule", LONG)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
def test_f80_a_schedule_may_be_longer_than_the_dtype_of_the_steps_counts(schedule, dtype):
    steps = np.array([0, 1, 57, 126, 127], dtype)
    with np.errstate(over="raise", invalid="raise"):
        rates = schedule(steps)
    assert rates.dtype == np.float64
    assert_rates(rates, [schedule(int(each)) for each in steps])


@pytest.mark.parametrize(
    ("every", "steps_per_epoch", "steps"),
    [(0.5, 5, 2), (0.5, 7, 4), (0.35, 5, 2), (0.3, 5, 2), (0.1, 5, 1), (1.5, 5, 8)],
)
def test_parts_of_epochs_are_rounded_to_steps(every, steps_per_epoch, steps):
    """To the nearest number of steps, of two equally near ones to the even one, and to 1 at least."""
    found = make_schedule(f"step:every={every},factor=0.5", 0.4, 8, steps_per_epoch)(STEPS)
    assert_rates(found, step(0.4, every=steps, factor=0.5)(STEPS))


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
def test_beyond_the_last_step_the_rate_stays(name):
    schedule = make(name, 0.4, 30)
    assert len(set(schedule(np.array([30, 31, 1000, 2**62])).tolist())) == 1


def test_rates_are_above_0_as_long_as_training_lasts():
    for schedule in EVERY:
        assert (schedule(np.arange(30)) > 0).all()


@pytest.mark.parametrize("text", ["cosine", "onecycle", "cosine:warmup=2", "step", "exponential:warmup=0.5"])
def test_each_cycle_is_the_schedule_of_its_epochs(text):
    found = make_schedule(text, 0.4, 9, 5, (2, 3))(np.arange(60).reshape(4, 15))
    parts = [(make_schedule(text, 0.4, epochs, 5), 5 * epochs) for epochs in (2, 1)]
    wanted = [schedule(np.arange(steps)) for schedule, steps in parts]
    np.testing.assert_array_equal(
        found.ravel(), [*wanted[0], *wanted[1], *make_schedule(text, 0.4, 6, 5)(np.arange(45))]
    )
    assert isinstance(make_schedule(text, 0.4, 9, 5, (2, 3))(12), float)


@pytest.mark.parametrize("cycles", [(0,), (9,), (3, 3), (4, 2), (-1,), (1.5,), 3, "3"])
def test_cycles_that_do_not_fit(cycles):
    with pytest.raises(UsageError, match="cycles"):
        make_schedule("cosine", 0.4, 9, 5, cycles)
    for text in ("constant", "plateau", "step:every=2", "exponential:every=2"):
        with pytest.raises(UsageError, match="cycles have no effect"):
            make_schedule(text, 0.4, 9, 5, (3,))


def test_names_of_the_command_line():
    assert_rates(make("constant", 0.4)(STEPS), constant(0.4)(STEPS))
    assert_rates(make("step", 0.4, 30)(STEPS), step(0.4, every=10, factor=0.1)(STEPS))
    assert_rates(make("step", 0.4, 31, factor=0.2)(STEPS), step(0.4, every=11, factor=0.2)(STEPS))
    assert_rates(make("step", 0.4, 30, every=3)(STEPS), step(0.4, every=3, factor=0.1)(STEPS))
    assert_rates(make("exponential", 0.4, 30)(STEPS), exponential(0.4, every=30, factor=0.01)(STEPS))
    assert_rates(make("cosine", 0.4, 30, final=0.1)(STEPS), cosine(0.4, 30, 0.1)(STEPS))
    assert_rates(make("onecycle", 0.4, 30, warmup=0.5)(STEPS), one_cycle(0.4, 30, 0.5)(STEPS))


def test_the_table_of_options_has_every_name():
    assert tuple(schedules.OPTIONS) == SCHEDULES


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("constant", constant(0.4)),
        ("plateau:factor=0.5,patience=3", constant(0.4)),
        ("step:every=2,factor=0.5", step(0.4, every=10, factor=0.5)),
        ("step:every=0.1", step(0.4, every=1)),
        ("exponential", exponential(0.4, factor=0.01, every=30)),
        ("cosine:final=0.1", cosine(0.4, 30, 0.1)),
        ("onecycle:warmup=0.5", one_cycle(0.4, 30, 0.5)),
        ("cosine:warmup=2", warm_up(cosine(0.4, 30), 10)),
        ("plateau:warmup=1", warm_up(constant(0.4), 5)),
    ],
)
def test_text_counts_in_epochs(text, schedule):
    """Six epochs of five steps; but onecycle's warmup is a fraction of all steps."""
    assert_rates(make_schedule(text, 0.4, 6, 5)(STEPS), schedule(STEPS))


def test_text_is_parsed_once_and_what_comes_of_it_is_read_only():
    name, options = parse_schedule("step:every=2,factor=0.5")
    assert (name, dict(options)) == ("step", {"every": 2.0, "factor": 0.5})
    assert parse_schedule("step:every=2,factor=0.5")[1] is options
    with pytest.raises(TypeError):
        options["every"] = 3.0


@pytest.mark.parametrize("text", ["plateau", "plateau:patience=1,factor=0.5", "plateau:threshold=0.5,warmup=3"])
def test_a_plateau_as_text(text):
    options = {name: value for name, value in parse_schedule(text)[1].items() if name != "warmup"}
    losses = [5.0] * 30
    if "patience" in options:
        options["patience"] = int(options["patience"])
    assert make_plateau(text)(losses) == plateau_scale(losses, **options) < 1
    assert make_plateau("cosine")(losses) == 1


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([], 1),
        ([5.0], 1),
        ([5, 4, 3, 2], 1),
        ([5, 5, 5], 1),  # two bad ones are within patience
        ([5, 5, 5, 5], 0.5),
        ([5, 5, 5, 5, 5, 5], 0.5),  # the count starts anew
        ([5, 5, 5, 5, 5, 5, 5], 0.25),
        ([5, 5, 5, 4, 5, 5], 1),  # a better one clears the count
        ([5, 4.6, 4.6, 4.6], 0.5),  # better by 8% is not better by a tenth
        ([5, 4.4, 4.4, 4.4], 1),
        ([math.nan, math.nan, math.nan], 0.5),
        ([math.nan, 5, 4, math.nan], 1),
        ([math.inf] * 3, 0.5),
    ],
)
def test_plateaus_by_hand(losses, scale):
    before = list(losses)
    assert plateau_scale(losses, factor=0.5, patience=2, threshold=0.1) == scale
    assert repr(losses) == repr(before)


# Against PyTorch.


def torch_rates(scheduler, steps, **options):
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of what its next version will do
        made = getattr(torch.optim.lr_scheduler, scheduler)(optimizer, **options)
        rates = []
        for number in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if number < steps - 1:
                made.step()
    return rates


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3, 0.6, 0.8])  # with warmup * steps = 1 torch divides by 0
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 40])
def test_one_cycle_against_torch(steps, warmup):
    wanted = torch_rates("OneCycleLR", steps, max_lr=0.7, total_steps=steps, pct_start=warmup, cycle_momentum=False)
    assert_rates(one_cycle(0.7, steps, warmup)(np.arange(steps)), wanted)
    options = {"div_factor": 7.0, "final_div_factor": 30.0, "cycle_momentum": False}
    wanted = torch_rates("OneCycleLR", steps, max_lr=0.7, total_steps=steps, pct_start=warmup, **options)
    assert_rates(one_cycle(0.7, steps, warmup, 7.0, 30.0)(np.arange(steps)), wanted)


@pytest.mark.parametrize(
    ("schedule", "scheduler", "options"),
    [
        (constant(0.7), "ConstantLR", {"factor": 1.0}),
        (step(0.7, every=6, factor=0.3), "StepLR", {"step_size": 6, "gamma": 0.3}),
        (exponential(0.7, every=1, factor=0.9), "ExponentialLR", {"gamma": 0.9}),
        (cosine(0.7, 39), "CosineAnnealingLR", {"T_max": 39}),
        (cosine(0.7, 39, 0.1), "CosineAnnealingLR", {"T_max": 39, "eta_min": 0.07}),
        (warm_up(constant(0.7), 9), "LinearLR", {"start_factor": 1 / 9, "total_iters": 8}),
    ],
)
def test_schedules_against_torch(schedule, scheduler, options):
    assert_rates(schedule(STEPS), torch_rates(scheduler, len(STEPS), **options))


def random_losses(seed):
    """Losses that fall, stall and jump, here and there not a number."""
    draw = np.random.default_rng(seed)
    losses = np.exp(-np.arange(60) / 20) * (1 + 0.3 * draw.standard_normal(60))
    losses[draw.random(60) < 0.05] = math.nan
    return losses.tolist()


@pytest.mark.parametrize("threshold", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("patience", [0, 1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_plateaus_against_torch(seed, patience, threshold):
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    options = {"factor": 0.5, "patience": patience, "threshold": threshold}
    plateau, losses = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options, eps=0.0), random_losses(seed)
    for number, loss in enumerate(losses, 1):
        plateau.step(loss)
        assert plateau_scale(losses[:number], **options) == optimizer.param_groups[0]["lr"]
    assert plateau_scale(losses, **options) < 1


# Against optax.


@pytest.fixture
def optax():
    optax = pytest.importorskip("optax", reason="needs optax: pip install optax")
    import jax

    with jax.enable_x64(True), jax.disable_jit():
        yield optax


def test_schedules_against_optax(optax):
    warmed = optax.linear_schedule(1 / 9, 1.0, 8)
    for ours, theirs in (
        (constant(0.7), optax.constant_schedule(0.7)),
        (step(0.7, every=6, factor=0.3), optax.exponential_decay(0.7, 6, 0.3, staircase=True)),
        (exponential(0.7, every=6, factor=0.3), optax.exponential_decay(0.7, 6, 0.3)),
        (cosine(0.7, 30), optax.cosine_decay_schedule(0.7, 30)),
        (cosine(0.7, 30, 0.1), optax.cosine_decay_schedule(0.7, 30, alpha=0.1)),
        (
            warm_up(cosine(0.7, 30), 9),
            lambda number: warmed(number) * optax.cosine_decay_schedule(0.7, 30)(number),
        ),
    ):
        assert_rates(ours(STEPS), [float(theirs(number)) for number in STEPS])


def test_one_cycle_against_optax(optax):
    """optax counts the cycle from 0 to `steps`, one step more than PyTorch and we do."""
    theirs = optax.cosine_onecycle_schedule(30, 0.7, pct_start=0.3)
    up, down = one_cycle(0.7, 34, 10 / 34), one_cycle(0.7, 31, 10 / 31)
    assert_rates(up(np.arange(10)), [float(theirs(number)) for number in range(10)])
    assert_rates(down(np.arange(9, 40)), [float(theirs(number)) for number in range(9, 40)])


@pytest.mark.parametrize("seed", range(4))
def test_plateaus_against_optax(optax, seed):
    """optax's patience is one more than ours: it lowers the rate at that many bad epochs, not beyond them."""
    losses = random_losses(seed)
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=4, rtol=0.1, cooldown=0)
    state = plateau.init(np.zeros(1))
    for number, loss in enumerate(losses, 1):
        _, state = plateau.update(np.zeros(1), state, value=loss)
        assert plateau_scale(losses[:number], factor=0.5, patience=3, threshold=0.1) == float(state.scale)


# Bad values.


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (lambda: constant(0.0), "learning_rate out of range; expected a finite number > 0, found 0.0"),
        (lambda: constant(math.nan), "learning_rate out of range"),
        (lambda: constant(math.inf), "learning_rate out of range"),
        (lambda: constant("0.1"), "learning_rate is not a number"),
        (lambda: cosine(-1.0, 10), "learning_rate out of range"),
        (lambda: step(0.1, every=0, factor=0.5), "every out of range; expected an integer >= 1, found 0"),
        (lambda: step(0.1, every=2.5, factor=0.5), "every is not an integer; expected an integer >= 1, found 2.5"),
        (lambda: step(0.1, every=5, factor=0.0), "factor out of range"),
        (lambda: step(0.1, every=5, factor=1.5), "factor out of range; expected more than 0 and at most 1, found 1.5"),
        (lambda: exponential(0.1, every=5, factor=-0.5), "factor out of range"),
        (lambda: exponential(0.1, every=5, factor=math.nan), "factor out of range"),
        (lambda: cosine(0.1, 0), "steps out of range; expected an integer >= 1, found 0"),
        (lambda: cosine(0.1, None), "steps is not an integer; expected an integer >= 1, found None"),
        (lambda: cosine(0.1, 10, 1.0), "final out of range; expected 0 or more and less than 1, found 1.0"),
        (lambda: one_cycle(0.1, 10, 1.5), "warmup out of range; expected 0 or more and less than 1, found 1.5"),
        (lambda: one_cycle(0.1, 10, -0.1), "warmup out of range"),
        (lambda: one_cycle(0.1, 10, 0.3, 0.5), "out of range; expected a finite number >= 1, found 0.5"),
        (lambda: one_cycle(0.1, 10, 0.3, 25.0, 0.5), "out of range; expected a finite number >= 1, found 0.5"),
        (lambda: one_cycle(0.1, 10, 0.3, math.inf), "out of range; expected a finite number >="),
        (lambda: constant(10**400), "learning_rate out of range; expected a finite number > 0, found a number beyond"),
        (
            lambda: cosine(0.1, 10**5000),
            "steps out of range; expected at most 9223372036854775807, found an integer",
        ),
        (lambda: plateau_scale([None]), "losses; expected a sequence of numbers"),
        (lambda: warm_up(constant(0.1), 0), "steps out of range; expected an integer >= 1, found 0"),
        (lambda: plateau_scale([1.0], factor=0.0), "factor out of range"),
        (lambda: plateau_scale([1.0], patience=-1), "patience out of range; expected an integer >= 0, found -1"),
        (lambda: plateau_scale([1.0], threshold=1.0), "threshold out of range"),
        (
            lambda: make("cosine", 0.1),
            "cosine needs a number of steps; expected an integer >= 1, found none",
        ),
        (lambda: make("step", 0.1), "schedule step needs a number of steps"),
        (lambda: make("cubic", 0.1, 10), "expected constant or step or exponential or cosine or onecycle or plateau"),
        (lambda: make("cosine", 0.1, 10, every=3), "unknown option of schedule cosine; expected final, found 'every'"),
        (lambda: make("constant", 0.1, 10, factor=3), "expected no options, found 'factor'"),
        (lambda: constant(0.1)(-1), "step out of range; expected 0 or more, found -1"),
        (lambda: constant(0.1)(0.5), "steps are not integers; expected an integer dtype, found float64"),
    ],
)
def test_f78_bad_values_are_told_in_one_line(wrong, fault):
    with pytest.raises(UsageError, match=re.escape(fault)) as told:
        wrong()
    assert "\n" not in str(told.value)


def test_a_wrong_kind_is_a_type_error():
    with pytest.raises(ArgumentTypeError):
        step(0.1, every="5", factor=0.5)
