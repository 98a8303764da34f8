"""Training: the generator is the loop over train_step, and equal seeds give equal bits."""

import itertools
import math
import re

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core import metrics, public, rng, schedules
from fnnet.core.deform import faded
from fnnet.core.params import Layer, Params, weights_sha256
from fnnet.core.state import Examples
from fnnet.errors import DivergedError, UsageError
from fnnet.training import epochs, steps
from fnnet.training.plan import Plan
from fnnet.training.recipes import RECIPES
from tests.tools.tolerance import assert_loss, assert_trained


def examples(n=70, inputs=6, classes=3):
    draw = np.random.default_rng(n)
    x = draw.standard_normal((n, inputs)).astype(np.float32)
    return Examples(x, (x @ draw.standard_normal((inputs, classes))).argmax(axis=1))


def trained(train_set, plan, kernels, dev=None, seed=3, sizes=(6, 5, 3)):
    training = epochs.start(fnnet.init(sizes, seed), seed, plan)
    for reached in epochs.epochs(training, train_set, plan, dev=dev, kernels=kernels):
        training = reached
    return training.state, list(training.history)


@pytest.mark.parametrize("batch_size", [1, 16, 69, 70, 1000, None])
def test_epochs_are_the_loop_over_train_step(batch_size, kernels):
    """Ragged last batches, batches larger than the set and the full batch included."""
    everything = examples()
    state, reports = trained(everything, Plan(3, batch_size, 0.2), kernels)
    by_hand, size = steps.start(fnnet.init((6, 5, 3), 3), 3), min(batch_size or 70, 70)
    for epoch in (1, 2, 3):
        order = rng.order(3, "shuffle", 70, epoch=epoch) if size < 70 else np.arange(70)
        losses, correct = 0.0, 0
        for first in range(0, 70, size):
            rows = order[first : first + size]
            by_hand, loss, right = steps.train_step(
                by_hand, everything.x[rows], everything.labels[rows], 0.2, kernels=kernels
            )
            losses, correct = losses + loss * len(rows), correct + right
        assert_loss(reports[epoch - 1].train_loss, losses / 70, 3, 70)
        assert reports[epoch - 1].train_accuracy == correct / 70
    assert_trained(state.params, by_hand.params, by_hand.step)
    if not kernels.trainer:
        assert weights_sha256(state.params) == weights_sha256(by_hand.params)
    assert state.step == by_hand.step == 3 * math.ceil(70 / size)


@pytest.mark.parametrize("batch_size", [16, None])
@pytest.mark.parametrize(
    ("cycles", "places"), [((), ((1, 4), (2, 4), (3, 4), (4, 4))), ((3,), ((1, 3), (2, 3), (3, 3), (1, 1)))]
)
def test_epochs_on_images_whose_deformation_fades_are_the_loop(batch_size, cycles, places, kernels):
    """Within each cycle; where the rate is constant, too."""
    x = np.random.default_rng(5).integers(0, 256, (70, 30)).astype(np.uint8)
    labels = x[:, ::3].argmax(axis=1)
    deformation = fnnet.Deformation(shift=2.0, rotation=30.0, fade=0.7)
    plan = Plan(4, batch_size, 0.1, deformation=deformation, cycles=cycles)
    training = epochs.start(fnnet.init((30, 10), 3), 3, plan)
    *_, training = epochs.epochs(training, Examples(x, labels), plan, image_shape=(5, 6), kernels=kernels)
    by_hand, size = steps.start(fnnet.init((30, 10), 3), 3), batch_size or 70
    for epoch, place in enumerate(places, 1):
        order = rng.order(3, "shuffle", 70, epoch=epoch) if size < 70 else np.arange(70)
        deformed = fnnet.deform(x, (5, 6), faded(deformation, *place), seed=3, epoch=epoch)
        for first in range(0, 70, size):
            rows = order[first : first + size]
            by_hand, _, _ = steps.train_step(by_hand, deformed[rows], labels[rows], 0.1, kernels=kernels)
    assert_trained(training.state.params, by_hand.params, by_hand.step)


def test_train_step_is_forward_backward_update(kernels):
    x, labels = examples()
    before = steps.start(fnnet.init((6, 5, 3), 1), 1)
    after, loss, correct = fnnet.train_step(before, x, labels, 0.3, kernels=kernels)
    activations = fnnet.forward(before.params, x, kernels=kernels)
    grads = fnnet.backward(before.params, activations, labels, kernels=kernels)
    wanted = fnnet.update(before.params, grads, 0.3, kernels=kernels)
    assert weights_sha256(after.params) == weights_sha256(wanted)
    assert loss == fnnet.loss(before.params, x, labels, kernels=kernels)
    assert correct == int((fnnet.predict(before.params, x, kernels=kernels) == labels).sum())
    assert (before.step, after.step) == (0, 1)


@pytest.mark.parametrize("recipe", ["classic", "notebook"])
def test_both_paths_agree_epoch_after_epoch(recipe, numba_kernels):
    """The NumPy and the compiled path, same seed, on the bundled digits: losses within the rule of the mean loss."""
    digits = data.load("digits")
    chosen = RECIPES[recipe]
    plan = Plan(8, chosen.plan["batch_size"], chosen.plan["learning_rate"])
    train_set, dev_set = data.split(digits.train, 100, 0)
    _, left = trained(train_set, plan, fnnet.load_kernels("numpy"), dev_set, 0, (784, 10, 10))
    _, right = trained(train_set, plan, numba_kernels, dev_set, 0, (784, 10, 10))
    assert len(left) == len(right) == 8
    for a, b in zip(left, right, strict=True):
        assert_loss(a.train_loss, b.train_loss, 10, len(train_set.labels))
        assert_loss(a.dev_loss, b.dev_loss, 10, len(dev_set.labels))
    assert left[-1].train_loss < left[0].train_loss


def test_same_seed_same_bits_and_other_seed_other_bits(kernels):
    hashes = [weights_sha256(trained(examples(), Plan(2, 16, 0.1), kernels, seed=s)[0].params) for s in (4, 4, 5)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_where_blocks_end_changes_nothing(monkeypatch, kernels):
    plain, _ = trained(examples(), Plan(2, 8, 0.1), kernels)
    monkeypatch.setattr(epochs, "BLOCK_SECONDS", 100.0)
    long_blocks, _ = trained(examples(), Plan(2, 8, 0.1), kernels)
    assert weights_sha256(plain.params) == weights_sha256(long_blocks.params)


def test_reports_and_dev_figures():
    dev = examples(20)
    _, reports = trained(examples(), Plan(7, None, 0.5, report_every=3), fnnet.load_kernels(), dev)
    assert [report.epoch for report in reports] == [3, 6, 7]
    assert all(report.dev_loss > 0 and 0 <= report.dev_accuracy <= 1 for report in reports)
    assert all(report.seconds > 0 and report.learning_rate == 0.5 for report in reports)
    _, reports = trained(examples(), Plan(1, None, 0.5), fnnet.load_kernels())
    assert reports[0].dev_loss is None
    assert reports[0].dev_accuracy is None


@pytest.mark.parametrize("batch_size", [16, None])
@pytest.mark.parametrize("text", ["step:every=1,factor=0.5", "exponential", "cosine:warmup=1", "onecycle", "plateau"])
def test_a_report_has_the_rate_of_its_last_step(text, batch_size, kernels):
    """Seven epochs of five steps, or of one: reports after steps 15, 30 and 35, or 3, 6 and 7."""
    text = "plateau:patience=0,factor=0.5,threshold=0.99" if text == "plateau" else text
    plan = Plan(7, batch_size, 0.1, report_every=3, schedule=text)
    _, reports = trained(examples(), plan, kernels)
    steps_per_epoch = 5 if batch_size else 1
    schedule = schedules.make_schedule(text, 0.1, 7, steps_per_epoch)
    rates = [float(schedule(report.epoch * steps_per_epoch - 1)) for report in reports]
    if text.startswith("plateau"):  # the first loss is the best, each after it halves the rate of the steps that follow
        rates = [0.1, 0.1, 0.05]
    assert [report.learning_rate for report in reports] == pytest.approx(rates, rel=1e-12)
    assert len(set(rates)) > 1


def test_f76_no_epochs_is_no_training():
    state, reports = trained(examples(), Plan(0, 16, 0.1), fnnet.load_kernels())
    assert reports == []
    assert weights_sha256(state.params) == weights_sha256(fnnet.init((6, 5, 3), 3))


def test_progress_counts_every_image():
    seen = []
    plan = Plan(2, 16, 0.1)
    training = epochs.start(fnnet.init((6, 5, 3)), 0, plan)
    list(epochs.epochs(training, examples(), plan, on_block=seen.append))
    assert [progress.images for progress in seen if progress.epoch == 1][-1] == 70
    assert {progress.epoch for progress in seen} == {1, 2}


def test_f71_divergence_names_step_and_layer(kernels):
    with pytest.raises(DivergedError, match=r"step \d+, layer \d.*smaller learning rate"):
        trained(examples(), Plan(50, 16, 1e30), kernels)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(-1, 16, 0.1), "epochs"),
        (Plan(1, 0, 0.1), "batch_size"),
        (Plan(1, 1.5, 0.1), "batch_size"),
        (Plan(1, 16, 0.0), "learning_rate"),
        (Plan(1, 16, -1.0), "learning_rate"),
        (Plan(1, 16, math.nan), "learning_rate"),
        (Plan(1, 16, math.inf), "learning_rate"),
        (Plan(1, 16, "0.1"), "learning_rate"),
        (Plan(1, 16, 0.1, report_every=0), "report_every"),
    ],
)
def test_f78_bad_plans(plan, message):
    with pytest.raises(UsageError, match=message):
        trained(examples(), plan, fnnet.load_kernels())


def test_labels_are_checked_before_the_first_step():
    x, labels = examples()
    with pytest.raises(UsageError, match="0 to 2, found 3"):
        trained(Examples(x, np.where(labels == 0, 3, labels)), Plan(1, 16, 0.1), fnnet.load_kernels())


@pytest.mark.parametrize("sizes", [(6, 3), (6, 1, 3), (6, *[4] * 50, 3)], ids=["none", "one unit", "fifty layers"])
def test_f77_any_depth(sizes, kernels):
    state, reports = trained(examples(), Plan(2, 16, 0.05), kernels, sizes=sizes)
    assert math.isfinite(reports[-1].train_loss)
    assert state.step == 10


def test_metrics_by_hand():
    matrix = metrics.confusion(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 2]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    zero, one, two = metrics.per_class(matrix)
    assert (zero.images, zero.precision, zero.recall) == (2, 1.0, 0.5)
    assert (one.precision, one.recall, one.f1) == (1 / 3, 1.0, 0.5)
    assert two == (1, 0.0, 0.0, 0.0)


def test_f76_evaluation_weights_chunks_by_their_size(monkeypatch):
    x, labels = examples()
    params = fnnet.init((6, 5, 3), 1)
    whole = metrics.evaluate(params, x, labels)
    monkeypatch.setattr(public, "CHUNK", 64)
    chunked = metrics.evaluate(params, x, labels)
    assert_loss(chunked.loss, whole.loss, 3, 70)
    assert chunked.loss == pytest.approx(fnnet.loss(params, x, labels), rel=1e-6)
    assert chunked.accuracy == whole.accuracy == (fnnet.predict(params, x) == labels).mean()


def test_a_block_is_as_short_as_it_must_be(monkeypatch):
    """With no time to spend on a block, each is one step; with plenty they double."""
    blocks = {}
    for seconds in (0.0, 1e9):
        monkeypatch.setattr(epochs, "BLOCK_SECONDS", seconds)
        seen = []
        plan = Plan(1, 1, 0.1)
        training = epochs.start(fnnet.init((6, 5, 3)), 0, plan)
        list(epochs.epochs(training, examples(), plan, on_block=seen.append))
        blocks[seconds] = [progress.images for progress in seen]
    assert blocks[0.0] == list(range(1, 71))
    assert blocks[1e9] == [1, 3, 7, 15, 31, 63, 70]


def test_seconds_are_those_since_the_last_report(monkeypatch):
    """A clock that ticks once a look: every block takes one second, evaluation none."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(epochs.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(epochs, "BLOCK_SECONDS", 0.0)
    _, reports = trained(examples(), Plan(4, 10, 0.1, report_every=2), fnnet.load_kernels(), examples(20))
    assert [report.seconds for report in reports] == [14, 14]


def overflowing(*sizes):
    """A network of weights 3e38 in its last layer, 1 before it."""
    layers = [Layer(np.ones(shape, np.float32), np.zeros(shape[1], np.float32)) for shape in itertools.pairwise(sizes)]
    layers[-1] = layers[-1]._replace(W=np.float32(3e38) * np.array([[1, -1]], np.float32).repeat(sizes[-2], 0))
    return Params(tuple(layers))


@pytest.mark.parametrize(("sizes", "place"), [((1, 2), "step 1, layer 1"), ((1, 3, 2), "step 1, layer 2")])
def test_f71_an_infinite_loss_is_divergence(sizes, place, kernels):
    plan, one = Plan(1, 1, 0.1), Examples(np.ones((1, 1), np.float32), np.array([1]))
    training = epochs.start(overflowing(*sizes), 0, plan)
    with pytest.raises(DivergedError, match=place), np.errstate(all="ignore"):
        list(epochs.epochs(training, one, plan, kernels=kernels))


def test_f71_weights_that_overflow_in_the_last_step_are_divergence(kernels):
    with pytest.raises(DivergedError, match=r"step 1, layer [12]: training diverged; expected finite weights"):
        trained(examples(), Plan(1, None, 1e39), kernels)


def test_the_notebook_is_the_original_run():
    """The settings of the notebook that this network comes from, and its cut of 42,000 images."""
    notebook = RECIPES["notebook"]
    assert notebook.hidden == (10,)
    assert notebook.plan == {"epochs": 1200, "batch_size": None, "learning_rate": 0.2}
    assert notebook.initialiser == "notebook"
    assert (notebook.train_images, notebook.dev_for(60000), notebook.dev_for(42000)) == (41000, 1000, 1000)
    assert notebook.epochs_for(41000) == 1200


def test_small_sets_are_gone_through_more_often():
    classic = RECIPES["classic"]
    assert classic.epochs_for(60000) == classic.plan["epochs"]
    assert classic.epochs_for(1294) * 41 >= classic.min_steps > (classic.epochs_for(1294) - 1) * 41
    assert classic.dev_for(60000) == 5000
    assert classic.dev_for(1437) == 143


@pytest.mark.parametrize(
    ("rows", "batch_size", "fault"),
    [
        ([0, 8], 4, "index 1: row out of range; expected 0 to 7, found 8"),
        ([-1], 4, "index 0: row out of range"),
        ([], 4, "rows are"),
        ([0.5], 4, "rows are not a vector of integers"),
        ([[0, 1]], 4, "rows are not a vector of integers"),
        ([True] * 8, 4, "rows are not a vector of integers"),
        ([0], 0, "batch_size out of range; expected an integer >= 1, found 0"),
        ([0], -1, "batch_size out of range"),
        ([0], 2.0, "batch_size is not an integer"),
    ],
    ids=str,
)
def test_bad_blocks(rows, batch_size, fault, kernels):
    state = steps.start(fnnet.init((4, 3), 0), 0)
    examples = Examples(np.zeros((8, 4), np.float32), np.zeros(8, np.int64))
    with pytest.raises(UsageError, match=re.escape(fault)):
        fnnet.train_block(state, examples, rows, batch_size, 0.1, kernels=kernels)


def test_a_block_without_rows_is_one_step(kernels):
    state = steps.start(fnnet.init((4, 3), 0), 0)
    examples = Examples(np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0]))
    reached = fnnet.train_block(state, examples, None, 2, 0.1, kernels=kernels)[0]
    wanted = steps.train_step(state, *examples, 0.1)[0]
    assert reached.step == 1
    np.testing.assert_allclose(reached.params.layers[0].W, wanted.params.layers[0].W, rtol=1e-6)
