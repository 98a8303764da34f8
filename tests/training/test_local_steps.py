"""Local steps: each shard trains a network of its own for some steps, and then all take their mean."""

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core import optimizers
from fnnet.core.deform import Deformation
from fnnet.core.orders import epoch_order
from fnnet.core.params import weights_sha256
from fnnet.core.shards import cuts, tree_sum
from fnnet.core.state import Examples, Objective, TrainState
from fnnet.data.expand import expand
from fnnet.errors import DivergedError, UsageError
from fnnet.training import epochs, session
from fnnet.training.local_steps import is_local
from fnnet.training.plan import Plan
from tests.tools.ranks import run

DIGITS = data.load("digits")
FEW = DIGITS._replace(train=Examples(DIGITS.train.x[:310], DIGITS.train.labels[:310]), test=None)
LOCAL = {"batch_size": 24, "shards": 4, "local_steps": 3, "epochs": 4, "dev": 0, "min_steps": 0, "hidden": (12,)}
SETTINGS = {
    "sgd": {},
    "adam, dropout, average": {"optimizer": "adam", "learning_rate": 0.01, "dropout": 0.2, "ema": 0.9},
    "momentum, clipped, deformed": {
        "optimizer": "momentum",
        "clip_norm": 0.5,
        "deformation": Deformation(rotation=5.0),
    },
    "eight shards, few rows": {"shards": 8, "batch_size": 16, "local_steps": 100},
}


def job_of(name, **more):
    return session.prepare(FEW, "classic", {**LOCAL, **SETTINGS[name], **more}, seed=5)


def outcome(job, kernels, **options):
    model, reports = session.train(job, kernels=kernels, **options)
    return weights_sha256(model.params), [report._replace(seconds=0) for report in reports]


def test_it_is_what_its_definition_says():
    """By single steps of networks that are kept apart: plain steps of shards first, then local ones."""
    job = job_of("sgd", epochs=2)
    plan, x, labels = job.plan, FEW.train.x, FEW.train.labels
    kernels = fnnet.load_kernels("numpy")
    states = [session.first_params(job)] * 4
    states = [TrainState(params, (), 0, 5) for params in states]
    for epoch in (1, 2):
        order = epoch_order(5, epoch, len(x))
        for number, first in enumerate(range(0, len(x), 24)):
            rows = order[first : first + 24]
            rate = plan.learning_rate
            if epoch == 1:
                made, *_ = fnnet.train_step(
                    states[0], x[rows] / np.float32(255), labels[rows], rate, objective=Objective(shards=4)
                )
                states = [made] * 4
                continue
            for shard, (begin, end) in enumerate(cuts(len(rows), 4)):
                own = rows[begin:end]
                if len(own):
                    states[shard], *_ = fnnet.train_step(states[shard], x[own] / np.float32(255), labels[own], rate)
            if number % 3 == 2 or first + 24 >= len(x):
                total = tree_sum([state.params for state in states])
                mean = type(total)(tuple(type(W)(*(a * np.float32(1 / 4) for a in W)) for W in total.layers))
                states = [state._replace(params=mean) for state in states]
    training = epochs.start(session.first_params(job), 5, plan)
    last = list(epochs.epochs(training, FEW.train, plan, kernels=kernels))[-1]
    for found, expected in zip(last.state.params.layers, states[0].params.layers, strict=True):
        np.testing.assert_allclose(found.W, expected.W, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(found.b, expected.b, rtol=1e-6, atol=1e-7)
    assert last.state.step == 26


@pytest.mark.parametrize("name", SETTINGS)
def test_compiled_it_is_the_same_within_rounding(name):
    job = job_of(name)
    found = [session.train(job, kernels=fnnet.load_kernels(kind, threads=2)) for kind in ("numpy", "numba")]
    for one, other in zip(*(model.params.layers for model, _ in found), strict=True):
        np.testing.assert_allclose(one.W, other.W, rtol=1e-3, atol=2e-4)
    assert [report.epoch for report in found[0][1]] == [report.epoch for report in found[1][1]]
    for one, other in zip(*(reports for _, reports in found), strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", SETTINGS)
def test_any_number_of_ranks_and_of_threads_trains_to_the_same_bits(name, kernels):
    job = job_of(name)
    alone = outcome(job, fnnet.load_kernels(kernels, threads=2))
    for size in (2, 3, 4):
        table = fnnet.load_kernels(kernels, threads=1)
        assert run(size, lambda ranks, table=table: outcome(job, table, ranks=ranks)) == [alone] * size


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_that_is_stopped_goes_on_with_the_same_bits(name, tmp_path):
    job, kernels = job_of(name, epochs=6), fnnet.load_kernels("numba", threads=1)
    whole = outcome(job, kernels)
    for epoch in (3, 4, 6):
        folder = tmp_path / str(epoch)
        with pytest.raises(session.StoppedError):
            outcome(
                job, kernels, run_dir=folder, on_block=lambda progress, epoch=epoch: progress.epoch == epoch and "x"
            )
        assert outcome(job, kernels, run_dir=folder, resume=True) == whole


def test_the_second_half_of_the_epochs_is_local():
    plan = Plan(5, 10, 0.1, shards=2, local_steps=2)
    assert [is_local(plan, epoch) for epoch in range(1, 6)] == [False, False, True, True, True]
    assert [is_local(plan._replace(epochs=6), epoch) for epoch in range(1, 7)] == [False] * 3 + [True] * 3
    assert [is_local(plan._replace(cycles=(2,)), epoch) for epoch in range(1, 6)] == [False, True, False, True, True]
    assert not is_local(plan._replace(local_steps=1), 5)
    assert is_local(plan._replace(epochs=1), 1)


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_a_network_that_diverges_leaves_the_last_mean(kernels, tmp_path):
    job, table = job_of("sgd"), fnnet.load_kernels(kernels, threads=1)
    x = FEW.train.x.astype(np.float32) / 255
    order = epoch_order(5, 4, len(x))
    bad = np.array(x)
    bad[order[200]] = 1e38  # finite, and too large for any weight but 0
    job = job._replace(train=Examples(bad, FEW.train.labels), plan=job.plan._replace(epochs=4))
    with pytest.raises(DivergedError, match="step"):
        session.train(job, kernels=table, run_dir=tmp_path / "run")
    found = run(2, lambda ranks: outcome(job, table, ranks=ranks))
    assert {type(each) for each in found} == {DivergedError}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"shards": 1}, "local_steps: local steps are those of shards; expected 2 shards or more, found 1"),
        ({"batch_size": 25}, "batch_size: is not cut evenly; expected a multiple of 4"),
        ({"batch_size": None}, "batch_size: is not cut evenly"),
        ({"message_bits": 16}, "message_bits: cannot be combined with `local_steps`"),
        ({"local_steps": 0}, "local_steps out of range"),
    ],
)
def test_plans_that_do_not_fit_are_refused(more, problem):
    with pytest.raises(UsageError, match=problem):
        job_of("sgd", **more)


def test_networks_side_by_side_have_no_local_steps():
    with pytest.raises(UsageError, match="local_steps: are made by the shards of one network"):
        fnnet.train_many(FEW, "classic", LOCAL, init_seeds=[1, 2])


def test_moments_are_averaged_too():
    """Of Adam, whose steps go on to be counted alike in all shards, also where the last batch has no rows for one."""
    job = job_of("adam, dropout, average", batch_size=100, shards=4)
    kept = []
    session.train(job, kernels=fnnet.load_kernels("numba", threads=1), on_block=lambda progress: kept.append(
        progress.training().state) and None)  # fmt: skip
    last = kept[-1]
    assert last.step == last.optimizer_state.steps == 16
    assert all(np.isfinite(tree.layers[0].W).all() for tree in optimizers.trees_of(last.optimizer_state))


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("images", [22, 3])
def test_a_batch_that_has_all_images_is_not_cut_into_local_steps(images, kernels, tmp_path):
    """Of a stream as in memory: its 22 images in a batch of 24 are not of one number for each of four shards."""
    few = DIGITS._replace(train=Examples(DIGITS.train.x[:images], DIGITS.train.labels[:images]), test=None)
    expand(few, tmp_path / "stream", 1)
    stream, table = data.open_stream(tmp_path / "stream"), fnnet.load_kernels(kernels, threads=1)
    found = [
        outcome(session.prepare(stream, "classic", {**LOCAL, "local_steps": steps}, seed=5), table) for steps in (3, 1)
    ]
    assert found[0] == found[1]
