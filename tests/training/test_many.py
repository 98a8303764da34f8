"""Many networks at once: each with the bits of its training alone, whatever they share."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet.core.params import weights_sha256
from fnnet.core.state import Examples, TrainState
from fnnet.data import Dataset
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.kernels import trainer
from fnnet.kernels.layout import layout, side_by_side
from fnnet.kernels.pack import pack, unpack
from fnnet.training import blocks, many, session, together
from fnnet.training.plan import make_optimizer

SETTINGS = {"epochs": 2, "min_steps": 0, "dev": 20}


def dataset(n=150, inputs=64, classes=5, zeros=0.7, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 256, (n, inputs), np.uint8) * (rng.random((n, inputs)) > zeros)
    labels = rng.integers(0, classes, n)
    part = Examples(x.astype(np.uint8), labels)
    names = tuple(map(str, range(classes)))
    return Dataset("drawn", "here", part, Examples(x[:30], labels[:30]), names, (8, inputs // 8))


def alone(data, kernels, own, seed, init_seed):
    job = session.prepare(data, "classic", own, seed=seed, init_seed=init_seed)
    return session.train(job, kernels=kernels)


def same(found, wanted):
    model, reports = wanted
    assert weights_sha256(found.model.params) == weights_sha256(model.params)
    assert found.model.training == model.training
    without = [[report._replace(seconds=0) for report in each] for each in (found.reports, reports)]
    assert without[0] == without[1]


def same_end(found, data, kernels, own, diverges):
    """A network, or the error with which it ended, is that of its training alone."""
    if not diverges:
        same(found, alone(data, kernels, own, 0, None))
        return
    with pytest.raises(DivergedError) as wanted:
        alone(data, kernels, own, 0, None)
    assert str(found) == str(wanted.value)


KINDS = {
    "classic": {},
    "no hidden layer": {"hidden": ()},
    "two hidden layers": {"hidden": (17, 9), "activation": "tanh"},
    "three vectors": {"hidden": (40,)},
    "wide": {"hidden": (130,), "batch_size": 50},
    "dropout": {"hidden": (10, 6), "dropout": (0.3, 0.5)},
    "adam, averaged, clipped": {"optimizer": "adam", "learning_rate": 0.01, "ema": 0.9, "clip_norm": 0.5},
    "shards, clipped": {"shards": 3, "clip_norm": 0.1, "optimizer": "momentum"},
    "full batch": {"batch_size": None, "epochs": 7, "report_every": 3},
    "deformed": {"deformation": {"shift": 1}},
    "early stopping": {"early_stopping": 1, "epochs": 30, "learning_rate": 0.5, "batch_size": 10},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("zeros", [0.7, 0.0])
def test_each_has_the_bits_of_its_training_alone(kind, zeros, numba_kernels, monkeypatch):
    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    data, own = dataset(zeros=zeros), SETTINGS | KINDS[kind]
    found = many.train_many(data, "classic", own, init_seeds=range(3, 14), seed=1, kernels=numba_kernels)
    assert len(found.networks) == 11
    for number, network in zip(range(3, 14), found.networks, strict=True):
        same(network, alone(data, numba_kernels, own, 1, number))
    assert len({weights_sha256(each.model.params) for each in found.networks}) == 11


@pytest.mark.parametrize("kind", ["classic", "dropout", "early stopping"])
def test_numpy_trains_them_too(kind):
    data, own = dataset(), SETTINGS | KINDS[kind]
    found = many.train_many(data, "classic", own, init_seeds=(5, 2))
    assert found.threads is None
    for number, network in zip((5, 2), found.networks, strict=True):
        same(network, alone(data, fnnet.load_kernels("numpy"), own, 0, number))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
@pytest.mark.parametrize("zeros", [0.7, 0.0])
@pytest.mark.parametrize("hidden", [(10,), (40,), ()])
def test_networks_with_settings_of_their_own(optimizer, zeros, hidden, numba_kernels):
    common = SETTINGS | {"optimizer": optimizer, "hidden": hidden, "clip_norm": 1.0 if zeros else 0.0}
    each = [
        common | {"learning_rate": rate, "weight_decay": decay, "label_smoothing": smoothing, "schedule": schedule}
        for rate, decay, smoothing, schedule in (
            (0.1, 0.0, 0.0, "constant"),
            (0.03, 0.01, 0.0, "cosine"),
            (0.01, 0.1, 0.2, "constant"),
        )
    ]
    data = dataset(zeros=zeros)
    found = many.train_many(data, "classic", each, init_seeds=(7,), kernels=numba_kernels)
    for own, network in zip(each, found.networks, strict=True):
        same(network, alone(data, numba_kernels, own, 0, 7))


@pytest.mark.parametrize("threads", [1, 3])
def test_orders_of_their_own(threads, numba_kernels):
    data, kernels = dataset(), numba_kernels._replace(threads=threads)
    found = many.train_many(data, "classic", SETTINGS, seeds=(4, 0, 9), kernels=kernels)
    for number, network in zip((4, 0, 9), found.networks, strict=True):
        same(network, alone(data, numba_kernels, SETTINGS, number, None))
    assert 1 <= found.threads <= threads
    assert found.seconds > 0


@pytest.mark.parametrize("batch", [20, None])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_one_that_diverges_leaves_the_others(batch, optimizer, numba_kernels):
    data = dataset()
    common = SETTINGS | {"batch_size": batch, "optimizer": optimizer, "epochs": 4}
    each = [common | {"learning_rate": rate} for rate in (0.1, 1e30, 0.2, 1e36)]
    found = many.train_many(data, "classic", each, kernels=numba_kernels).networks
    for own, network in zip(each, found, strict=True):
        same_end(network, data, numba_kernels, own, diverges=own["learning_rate"] > 1)
    with pytest.raises(DivergedError):
        raise found[1]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "momentum"])
@pytest.mark.parametrize("more", [{}, {"hidden": (40,)}, {"report_every": 5, "dropout": (0.3,)}, {"report_every": 50}])
@pytest.mark.parametrize("decays", [(1100, 0.1, 500, 0.0, 420), (1250, 1000, 0.1, 420, 0.0)])
@pytest.mark.parametrize("threads", [1, 2])
def test_those_that_diverge_at_different_steps_leave_the_others(optimizer, more, decays, threads, numba_kernels):
    """By plain gradient descent after 38, 64 and 76 steps, each in an epoch of its own, or two in the second epoch."""
    data, kernels = dataset(), numba_kernels._replace(threads=threads)
    common = SETTINGS | {"batch_size": 5, "epochs": 6, "optimizer": optimizer, "dropout": (0.2,)} | more
    each = [common | {"learning_rate": 0.01, "weight_decay": decay} for decay in decays]
    found = many.train_many(data, "classic", each, kernels=kernels).networks
    assert [isinstance(network, DivergedError) for network in found] == [decay > 1 for decay in decays]
    for own, network in zip(each, found, strict=True):
        same_end(network, data, kernels, own, diverges=own["weight_decay"] > 1)
    assert len({network.place for network in found if isinstance(network, DivergedError)}) == 3


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_each_has_a_plateau_of_its_own(kernels):
    kernels, data = fnnet.load_kernels(kernels), dataset()
    plateau = "plateau:patience=0,threshold=0.99,factor=0.5"
    schedules = ("constant", plateau, "cosine", plateau.replace("0.5", "0.1"))
    each = [SETTINGS | {"epochs": 6, "schedule": schedule} for schedule in schedules]
    found = many.train_many(data, "classic", each, kernels=kernels).networks
    for own, network in zip(each, found, strict=True):
        same(network, alone(data, kernels, own, 0, None))
    rates = [[report.learning_rate for report in network.reports] for network in found]
    assert rates[0] == [rates[0][0]] * 6
    assert rates[1][-1] < rates[0][0]
    assert rates[3][-1] < rates[1][-1]


def test_all_may_diverge(numba_kernels):
    own = SETTINGS | {"learning_rate": 1e36}
    found = many.train_many(dataset(), "classic", own, init_seeds=range(3), kernels=numba_kernels)
    assert all(isinstance(each, DivergedError) for each in found.networks)
    apart = many.train_many(dataset(), "classic", own, seeds=range(3), kernels=numba_kernels)
    assert all(isinstance(each, DivergedError) for each in apart.networks)


@pytest.mark.parametrize(
    ("settings_of_each", "more", "where"),
    [
        ([SETTINGS, SETTINGS | {"batch_size": 7}], {}, "batch_size"),
        ([SETTINGS, SETTINGS | {"hidden": (3,)}], {}, "hidden"),
        ([SETTINGS, SETTINGS | {"dev": 10}], {}, "train_images"),
        ([SETTINGS] * 2, {"init_seeds": range(3)}, "init_seeds"),
        ([SETTINGS] * 2, {"seeds": range(3)}, "seeds"),
        ([], {}, "init_seeds"),
        (SETTINGS, {"seeds": (1,), "init_seeds": (2,)}, "seeds"),
    ],
)
def test_what_cannot_be_trained_together_is_refused(settings_of_each, more, where):
    with pytest.raises(UsageError) as refused:
        many.train_many(dataset(), "classic", settings_of_each, **more)
    assert refused.value.where == where


def test_settings_are_mappings():
    with pytest.raises(ArgumentTypeError, match="settings; expected a Mapping"):
        many.train_many(dataset(), "classic", 3)


def test_lbfgs_trains_one_after_another(numba_kernels):
    own = {"optimizer": "lbfgs", "epochs": 3, "min_steps": 0}
    found = many.train_many(dataset(), "classic", own, init_seeds=(0, 1), kernels=numba_kernels)
    for number, network in enumerate(found.networks):
        same(network, alone(dataset(), numba_kernels, own, 0, number))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 40))
def test_groups_have_all_networks_in_order_and_keep_threads_busy(networks, most, threads):
    groups = together._cut(networks, most, threads)
    members = [range(networks)[group] for group in groups]
    assert list(itertools.chain(*members)) == list(range(networks))
    sizes = [len(group) for group in members]
    assert min(sizes) >= 1
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(groups) >= min(networks, threads)


@pytest.mark.parametrize("hidden", [(10,), (17,), (40,), (64,), (10, 7), ()])
@pytest.mark.parametrize("lanes", [16, 32, 64])
def test_packing_networks_side_by_side(hidden, lanes):
    sizes = (30, *hidden, 5)
    networks = [fnnet.init(sizes, seed) for seed in range(side_by_side(sizes, np.float32, lanes))]
    plan = layout(sizes, np.float32, lanes, 4, networks=len(networks))
    again = unpack(pack(networks, plan), plan)
    assert [*map(weights_sha256, again)] == [*map(weights_sha256, networks)]


def test_images_are_prepared_once_for_all(numba_kernels, monkeypatch):
    made = []
    pixels = numba_kernels.pixels
    kernels = numba_kernels._replace(pixels=lambda *given: made.append(given) or pixels(*given), threads=4)
    many.train_many(dataset(), "classic", SETTINGS, init_seeds=range(20), kernels=kernels)
    assert len(made) == 1
    assert made[0][2] == 4


def test_jobs_that_are_prepared_train_as_with_train_many(numba_kernels):
    job = session.prepare(dataset(), "classic", SETTINGS, seed=1)
    jobs = many.with_init_seeds(job, (1, 7))
    assert [each.init_seed for each in jobs] == [None, 7]
    found = many.train_together(jobs, kernels=numba_kernels)
    apart = many.train_apart([lambda job=job: job for job in jobs], kernels=numba_kernels)
    for each in (found, apart):
        for network, number in zip(each.networks, (1, 7), strict=True):
            same(network, alone(dataset(), numba_kernels, SETTINGS, 1, number))


def test_the_state_of_a_network_can_be_trained_further(numba_kernels):
    found = many.train_many(dataset(), "classic", SETTINGS, init_seeds=(0, 1), kernels=numba_kernels)
    state = TrainState(found.networks[1].model.params, (), step=0, seed=0)
    examples = dataset().train
    state, _, _ = fnnet.train_block(state, examples, np.arange(40), 10, 0.1, kernels=numba_kernels)
    assert state.step == 4


@pytest.mark.parametrize("own_rates", [False, True])
@pytest.mark.parametrize("kind", ["classic", "dropout", "adam, averaged, clipped", "no hidden layer"])
def test_a_team_of_threads_trains_networks_side_by_side(kind, own_rates, numba_kernels, monkeypatch):
    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    job = session.prepare(dataset(), "classic", SETTINGS | KINDS[kind])
    plan, rows = job.plan, np.arange(len(job.train.x))
    starts = [session.epochs.start(fnnet.init(job.sizes, seed), 0, plan).state for seed in range(5)]
    steps = -(-len(rows) // plan.batch_size)
    rates = np.full((5, steps), 0.05) * (np.arange(1, 6)[:, None] if own_rates else 1)
    digests = set()
    for threads in (1, 2, 5):
        kernels, optimizer = numba_kernels._replace(threads=threads), make_optimizer(plan)
        runner = blocks.make_blocks(starts, plan.batch_size, [plan.objective] * 5, [optimizer] * 5, kernels)
        runner.use(job.train, None)
        made = runner.run(rows, rates)
        digests.add(
            (tuple(weights_sha256(each.params) for each in runner.states()), str([each.correct for each in made]))
        )
    assert len(digests) == 1
