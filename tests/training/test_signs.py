"""Signs are measured as they are defined; failures that are provoked get their line, healthy trainings none."""

import math
import re

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core import network
from fnnet.core.params import Layer, Params, weights_sha256
from fnnet.core.state import EpochReport, Examples
from fnnet.data import Dataset
from fnnet.data.expand import expand
from fnnet.errors import DivergedError, StorageError
from fnnet.training import committee, epochs, recipes, sample, session, signs
from fnnet.training.advice import NAMES, advise, advise_diverged
from fnnet.training.first_steps import suitable_rate
from fnnet.training.many import train_many, train_together
from fnnet.training.sample import sample_of
from fnnet.training.signs import chance_of, late_fall, signs_of, with_start
from fnnet.training.starting import first_params
from tests.tools.ranks import run as run_ranks

DIGITS = data.load("digits")


def some(n, change=lambda x: x, labels=lambda labels: labels):
    """n of the digits, changed."""
    x, known = DIGITS.train
    return DIGITS._replace(train=Examples(change(x[:n]), labels(known[:n])), test=None)


def shuffled(labels):
    return np.random.default_rng(0).permutation(labels)


def noisy(labels):
    """Four of ten labels are drawn by chance."""
    draw = np.random.default_rng(4)
    return np.where(draw.random(len(labels)) < 0.4, draw.integers(0, 10, len(labels)), labels)


def floats(x):
    return x.astype(np.float32)


def table(x, y):
    classes = tuple(map(str, range(y.max() + 1)))
    return Dataset("table", "here", Examples(x.astype(np.float32), y), None, classes, (1, x.shape[1]))


def corners(n=600):
    """Four clouds, of which those at opposite corners are of one class."""
    draw = np.random.default_rng(2)
    at = draw.integers(0, 2, (n, 2))
    return table(2 * at - 1 + 0.3 * draw.standard_normal((n, 2)), at.sum(axis=1) % 2)


def clouds(n=600, scale=1.0, shift=0.0):
    """Three clouds of five numbers, which any network tells apart."""
    draw = np.random.default_rng(3)
    y = draw.integers(0, 3, n)
    middles = 3 * draw.standard_normal((3, 5))
    return table(scale * (middles[y] + draw.standard_normal((n, 5)) + shift) / 3, y)


def line(dataset, settings, recipe="classic", kernels=None, **options):
    """The notes of a training, and what `advise` finds."""
    job = session.prepare(dataset, recipe, settings, **options)
    notes = []
    more = {} if kernels is None else {"kernels": kernels}
    model, reports = session.train(job, notify=notes.append, **more)
    found = advise(job, model, reports)
    assert notes == ([] if found is None else [found.note])
    return found


def report(epoch, train_loss, dev_loss=None, rate=0.1):
    return EpochReport(epoch, 1.0, train_loss, 0.5, dev_loss, dev_loss and 0.5, rate)


def test_late_fall_by_hand():
    """A straight line gives a quarter, a loss at rest nothing; a rate that ends near 0 takes no part in it."""
    after = [report(epoch, 0.0) for epoch in (1, 2, 3, 4)]
    assert late_fall(after, [1.75, 1.5, 1.25, 1.0], 2.0) == pytest.approx(0.25)
    assert late_fall(after, [1.0, 1.0, 1.0, 1.0], 2.0) == 0
    assert late_fall(after, [0.5, 0.5, 1.2, 1.0], 2.0) == pytest.approx(0.2)
    assert late_fall(after[:1], [1.0], 2.0) is None
    assert late_fall(after, [1.0, 1.0, 1.0, 2.5], 2.0) is None
    # Means over the passes are those of their middles: 1/7, 3/7, 5/7 and 1 of the way.
    in_passes = [2 - each / 7 for each in (1, 3, 5, 7)]
    assert late_fall(after, in_passes, 2.0, during=True) == pytest.approx(0.25)
    # Of rates 1, 1, 0, 0 the third epoch has half of the first's, the fourth nothing.
    falling = [report(epoch, 0.0, rate=rate) for epoch, rate in enumerate((1.0, 1.0, 0.0, 0.0), 1)]
    assert late_fall(falling, [2 - 1 / 2.5, 2 - 2 / 2.5, 1.0, 1.0], 2.0) == pytest.approx(0.25)
    unknown = [each._replace(learning_rate=math.nan) for each in after]
    assert late_fall(unknown, [1.75, 1.5, 1.25, 1.0], 2.0) == pytest.approx(0.25)
    apart = [report(epoch, 0.0) for epoch in (10, 20, 25)]
    assert late_fall(apart, [1.6, 1.2, 1.0], 2.0) == pytest.approx(0.25)


def test_chance_by_hand():
    assert chance_of(np.array([0.75, 0.25]), 0.0) == pytest.approx((0.5623, 0.0), abs=1e-4)
    smoothed, floor = chance_of(np.array([0.75, 0.25, 0.0, 0.0]), 0.2)
    shares = np.array([0.65, 0.25, 0.05, 0.05])
    sure = np.array([0.85, 0.05, 0.05, 0.05])
    assert smoothed == pytest.approx(-(shares * np.log(shares)).sum())
    assert floor == pytest.approx(-(sure * np.log(sure)).sum())


def test_what_outputs_tell_is_what_a_network_gained():
    """Logits ten thousand times too large lose more than chance does, and tell as much of the classes as before."""
    job = session.prepare(some(250), "classic", {**SMALL, "epochs": 20})
    model, reports = session.train(job)
    assert signs_of(job, model, reports).gained is None
    last = model.params.layers[-1]
    sure = Params((*model.params.layers[:-1], Layer(1e4 * last.W, 1e4 * last.b)))
    found = signs_of(job, model._replace(params=sure), reports)
    assert found.learnt < 0
    assert found.gained > 0.5
    assert advise(job, model._replace(params=sure), reports).code == "diverged"
    x, labels = job.train
    assert found.start_loss == pytest.approx(fnnet.loss(first_params(job), x, labels), rel=1e-6)
    start = signs_of(job, model._replace(params=first_params(job)), reports)
    assert start.gained == 0
    assert start.loss == start.start_loss


SMALL = {"epochs": 6, "min_steps": 0, "dev": 0, "learning_rate": 0.05}


def signs_after(dataset, settings, **options):
    """The signs of a training with those of its start, and its model."""
    job = session.prepare(dataset, "classic", settings, **options)
    model, reports = session.train(job)
    return job, model, with_start(job, signs_of(job, model, reports), model.params)


@pytest.mark.parametrize("options", [{}, {"class_weights": {0: 5.0, 1: 0.0}}])
@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1, "dropout": 0.3}, {"activation": "tanh"}])
def test_what_is_measured_is_what_it_is_called(settings, options):
    """All images are in the sample: by the functions of `fnnet` alone, on the network that training returned."""
    job, model, found = signs_after(some(250), {**SMALL, **settings}, **options)
    (x, labels), (W, _) = job.train, model.params.layers[0]
    weights, smoothing = job.weights, settings.get("label_smoothing", 0.0)
    first = first_params(job)
    assert found.rows == len(x) == 250
    more = {"weights": weights, "label_smoothing": smoothing, "activation": model.activation}
    assert found.loss == pytest.approx(fnnet.loss(model.params, x, labels, **more), rel=1e-6)
    right = fnnet.predict(model.params, x, activation=model.activation) == labels
    assert found.accuracy == pytest.approx(np.average(right, weights=weights))
    shares = np.bincount(labels, weights) / (250 if weights is None else weights.sum())
    assert (found.chance_loss, found.floor_loss) == pytest.approx(chance_of(shares, smoothing))
    assert found.learnt == pytest.approx(
        (found.chance_loss - found.loss) / (found.chance_loss - found.floor_loss), abs=1e-12
    )
    assert found.input_size == pytest.approx(np.sqrt(np.mean((x / 255.0) ** 2)), rel=1e-5)
    assert found.dead == model.training["dead_units"]
    hidden = fnnet.forward(model.params, x, activation=model.activation).a[1]
    assert found.variation == pytest.approx(np.sqrt(hidden.var(axis=0).mean() / (hidden**2).mean()), rel=1e-4)
    assert found.start.moved[0] == pytest.approx(np.linalg.norm(W - first[0].W) / np.linalg.norm(first[0].W), rel=1e-5)
    sizes = [np.sqrt(sum(np.sum(layer.W**2) for layer in params)) for params in (model.params, first)]
    assert found.start.kept == pytest.approx(sizes[0] / sizes[1], rel=1e-5)
    made = fnnet.forward(first, x, activation=model.activation)
    grads = fnnet.backward(first, made, labels, weights=weights, label_smoothing=smoothing)
    changes = [0.05 * np.linalg.norm(g.W) / np.linalg.norm(p.W) for g, p in zip(grads, first, strict=True)]
    assert found.start.update == pytest.approx(max(changes), rel=1e-4)
    assert (found.steps, found.epochs, found.train_loss) == (48, 6, found.train_loss)


def test_the_sample_is_spread_evenly_and_no_larger_than_its_work(monkeypatch):
    job = session.prepare(DIGITS, "classic", SMALL)
    monkeypatch.setattr(sample, "MOST", 200)
    x, labels, weights = sample_of(job)
    step = -(-len(job.train.x) // 200)
    np.testing.assert_array_equal(x, job.train.x[::step])
    np.testing.assert_array_equal(labels, job.train.labels[::step])
    assert weights is None
    monkeypatch.setattr(sample, "FEWEST", 10)
    monkeypatch.setattr(sample, "WORK", 50 * 7960)
    assert 45 <= len(sample_of(job).x) <= 50
    weighted = session.prepare(DIGITS, "classic", SMALL, class_weights={3: 7.0})
    np.testing.assert_array_equal(sample_of(weighted).weights, np.where(sample_of(weighted).labels == 3, 7.0, 1.0))


def test_units_that_are_flat_are_counted_by_hand():
    """Of four units of tanh one is flat for all, one for 98 of 100 rows, one for none but 100 in both directions."""
    z = np.zeros((100, 4))
    z[:, 0], z[:98, 1], z[:, 2], z[::2, 2] = 9.0, 9.0, -9.0, 9.0
    assert signs._saturated("tanh", z) == 0.5
    assert signs._saturated("sigmoid", z) == 0.5
    assert signs._saturated("relu", z) == signs._saturated("leaky_relu", z) == signs._saturated("linear", z) == 0
    assert signs._saturated("sigmoid", np.full((10, 2), 4.0)) == 0, "its slope is 0.0177, of 0.25"
    assert signs._saturated("gelu", -z[:, [0]]) == 1


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "lion"])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_a_suitable_rate_lowers_the_loss_many_times(optimizer, scale):
    """Inputs a hundred times larger need a rate ten thousand times smaller; each is found."""
    job = session.prepare(
        clouds(scale=scale), "classic", {"hidden": (8,), "optimizer": optimizer, "epochs": 5, "dev": 0}
    )
    params, plan, images = first_params(job), job.plan, sample_of(job)
    rate = suitable_rate(params, images, plan)
    before, training = network.loss(params, *images[:2]), epochs.start(params, 0, plan._replace(learning_rate=rate))
    *_, training = epochs.epochs(training, job.train, plan._replace(learning_rate=rate))
    assert training.history[-1].train_loss < before / 2
    assert suitable_rate(params, images._replace(weights=np.zeros(len(images.labels))), plan) is None, "all is 0"


def test_without_a_training_nothing_is_said():
    job = session.prepare(some(100), "classic", {"epochs": 0, "dev": 0})
    model, reports = session.train(job)
    assert reports == ()
    assert signs_of(job, model, reports) is advise(job, model, reports) is None


def test_one_class_has_no_chance():
    assert line(some(50, labels=np.zeros_like), {**SMALL, "epochs": 2}) is None


def test_the_bits_of_training_and_the_test_figures_are_as_without_it(monkeypatch, kernels):
    job = session.prepare(DIGITS, "classic", {**SMALL, "epochs": 2})
    model, reports = session.train(job, kernels=kernels)
    monkeypatch.setattr("fnnet.training.ending.advise", lambda *given: None)
    plain, others = session.train(job, kernels=kernels)
    assert weights_sha256(model.params) == weights_sha256(plain.params)
    assert model.training == plain.training
    assert [each._replace(seconds=0) for each in reports] == [each._replace(seconds=0) for each in others]


SIGMOIDS = {"hidden": (30,) * 6, "activation": "sigmoid", "epochs": 5, "min_steps": 0}
FEW = {"min_steps": 0, "dev": 0}
FAILURES = [
    ("at-chance", some(300), {**FEW, "learning_rate": 1e-6, "epochs": 3}, "learning_rate"),
    ("at-chance", some(300), {**FEW, "learning_rate": 1e-6, "epochs": 3, "initialiser": "notebook"}, "learning_rate"),
    ("at-chance", DIGITS, SIGMOIDS, "activation"),
    ("at-chance", some(300), {**FEW, "weight_decay": 1.0, "epochs": 20}, "weight_decay"),
    ("at-chance", some(300), {**FEW, "clip_norm": 1e-6, "epochs": 10}, "clip_norm"),
    ("at-chance", some(300), {**FEW, "batch_size": None, "epochs": 1, "learning_rate": 0.05}, "epochs"),
    ("at-chance", corners(1200), {**FEW, "hidden": (), "epochs": 20}, "hidden"),
    ("at-chance", some(1200, labels=shuffled), {**FEW, "epochs": 8}, ""),
    ("dead-units", DIGITS, {**FEW, "learning_rate": 10.0, "epochs": 4}, "learning_rate"),
    ("dead-units", corners(), {**FEW, "hidden": (20,), "learning_rate": 300.0, "epochs": 4}, "learning_rate"),
    ("saturated", DIGITS, {**FEW, "activation": "tanh", "learning_rate": 30.0, "epochs": 4}, "learning_rate"),
    (
        "saturated",
        DIGITS,
        {**FEW, "activation": "sigmoid", "learning_rate": 1.0, "optimizer": "adam", "epochs": 4},
        "learning_rate",
    ),
    (
        "diverged",
        some(1200, labels=shuffled),
        {**FEW, "hidden": (), "learning_rate": 30.0, "epochs": 4},
        "learning_rate",
    ),
    ("diverged", corners(), {**FEW, "hidden": (), "learning_rate": 30.0, "epochs": 4}, "learning_rate"),
    ("overfitted", some(300, labels=noisy), {"hidden": (60,), "epochs": 100, "min_steps": 0, "dev": 100}, None),
    ("overfitted", some(300, labels=shuffled), {"hidden": (100,), "epochs": 150, "min_steps": 0, "dev": 90}, None),
    ("unscaled", some(600, change=floats), {**FEW, "epochs": 5}, ""),
    ("unscaled", some(600, change=lambda x: x // 255), {**FEW, "epochs": 5}, "pixel_max"),
    ("unscaled", clouds(scale=0.003), {**FEW, "epochs": 5}, ""),
    ("unscaled", clouds(shift=1000), {**FEW, "epochs": 5, "activation": "tanh"}, ""),
    ("still-falling", DIGITS, {"min_steps": 0, "learning_rate": 2e-3, "epochs": 10}, None),
    ("still-falling", clouds(), {**FEW, "learning_rate": 2e-3, "epochs": 5}, None),
    ("still-falling", DIGITS, {**FEW, "batch_size": None, "epochs": 40}, None),
]


@pytest.mark.parametrize(("code", "dataset", "settings", "option"), FAILURES)
def test_failures_are_named(code, dataset, settings, option):
    found = line(dataset, settings)
    assert found is not None
    assert (found.code, found.option if option is not None else None) == (code, option)


def test_every_kind_of_failure_is_provoked():
    assert {code for code, *_ in FAILURES} == set(NAMES)


@pytest.mark.parametrize("recipe", recipes.RECIPES)
@pytest.mark.parametrize("seed", range(2))
def test_healthy_trainings_of_every_recipe_have_no_line(recipe, seed, numba_kernels):
    """Shortened, and with narrower layers where a step takes long; the accuracy shows that they are healthy."""
    narrow = {"hidden": (128, 64), "epochs": 40, "min_steps": 0}
    settings = {"accurate": narrow, "record": narrow, "committee": {**narrow, "members": 2}}.get(recipe, {})
    job, notes = session.prepare(DIGITS, recipe, settings, seed=seed), []
    model, _ = session.train(job, kernels=numba_kernels, notify=notes.append)
    assert model.training["test_accuracy"] > 0.85
    assert [note for note in notes if hasattr(note, "code")] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "tanh"}, {"activation": "sigmoid", "learning_rate": 0.5}, {"hidden": ()}, {"early_stopping": 3},
        {"optimizer": "adam", "learning_rate": 1e-3, "activation": "gelu"}, {"optimizer": "lbfgs", "epochs": 30},
        {"hidden": (40, 20), "dropout": 0.2}, {"label_smoothing": 0.1, "ema": 0.99},
    ],
)  # fmt: skip
def test_other_healthy_trainings_have_no_line(settings, numba_kernels):
    assert line(DIGITS, settings, kernels=numba_kernels) is None


def test_tables_and_classes_of_weights_have_no_line(numba_kernels):
    assert line(clouds(), {"learning_rate": 0.1, "epochs": 20, "min_steps": 0}, kernels=numba_kernels) is None
    assert line(corners(), {}, kernels=numba_kernels) is None
    draw = np.random.default_rng(5)
    y = (draw.random(2000) < 0.03).astype(int)
    rare = table(draw.standard_normal((2000, 5)) + 4 * y[:, None], y)
    for weights in (None, "balanced"):
        assert line(rare, {"dev": 400}, kernels=numba_kernels, class_weights=weights) is None
    assert line(rare, {"dev": 400, "label_smoothing": 0.2}, kernels=numba_kernels) is None


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("streams") / "stream"
    expand(some(400), path, 3, seed=4, shard_images=150)
    return data.open_stream(path)


def test_the_sample_of_a_stream_is_of_several_files(stream, monkeypatch):
    job = session.prepare(stream, "classic", {"epochs": 1}, class_weights={2: 3.0})
    monkeypatch.setattr(sample, "MOST", 1000)
    x, labels, weights = sample_of(job)
    every = np.concatenate([each.x for each in stream.train.batches(10**6)])
    sizes = stream.train.sizes
    assert len(sizes) > 4
    assert len(x) == 4 * 150, "of four files all: they are small"
    np.testing.assert_array_equal(x[:150], every[:150])
    np.testing.assert_array_equal(x[-sizes[-1] :], every[-sizes[-1] :])
    np.testing.assert_array_equal(weights, np.where(labels == 2, 3.0, 1.0))
    monkeypatch.setattr(sample, "MOST", 40)
    monkeypatch.setattr(sample, "FEWEST", 40)
    np.testing.assert_array_equal(sample_of(job).x[:10], every[:10])


def test_streams_have_their_line_and_what_is_gone_has_none(stream, monkeypatch):
    settings = {"epochs": 2, "min_steps": 0, "learning_rate": 1e-6}
    assert line(stream, settings).code == "at-chance"
    assert line(stream, {"epochs": 20, "min_steps": 0, "learning_rate": 0.05}) is None
    job = session.prepare(stream, "classic", settings)
    model, reports = session.train(job)

    def gone(*arguments):
        raise StorageError("is not there any more", where="images")

    monkeypatch.setattr(type(stream.train), "read", gone)
    assert advise(job, model, reports) is None
    assert advise_diverged(job, reports) is None


SLOW = {"epochs": 2, "min_steps": 0, "learning_rate": 1e-6, "dev": 0}


def test_many_networks_have_their_own(numba_kernels):
    rates = [0.05, 1e-6, 1e30]
    each = [{**SLOW, "epochs": 30, "learning_rate": rate} for rate in rates]
    found = train_many(some(400), "classic", each, kernels=numba_kernels).networks
    assert [network.advice and network.advice.code for network in found[:2]] == [None, "at-chance"]
    assert isinstance(found[2], DivergedError)
    assert "try `learning_rate` 0." in found[2].fix
    apart = train_many(some(400), "classic", SLOW, seeds=range(2), kernels=numba_kernels).networks
    assert [network.advice.code for network in apart] == ["at-chance"] * 2


@pytest.mark.parametrize("each", [[{}, {"learning_rate": 1e30}], [{"optimizer": "lbfgs"}]])
def test_advice_that_is_not_wanted_is_not_sought(each, monkeypatch):
    for name in ("many.advise", "ending.advise", "ending.advise_diverged"):
        monkeypatch.setattr(f"fnnet.training.{name}", lambda *given: pytest.fail("it was sought"))
    jobs = [session.prepare(some(100), "classic", {"epochs": 2, "min_steps": 0, **own}) for own in each]
    found = train_together(jobs, advised=False).networks
    assert found[0].advice is None
    assert all(isinstance(network, DivergedError) for network in found[1:])


def test_members_of_a_committee_have_their_own_and_share_a_note():
    notes = []
    found = committee.train(session.prepare(some(400), "classic", {**SLOW, "members": 2}), notify=notes.append)
    assert [member.advice.code for member in found.members] == ["at-chance"] * 2
    assert [str(note) for note in notes if hasattr(note, "code")] == [f"members 1, 2: {found.members[0].advice.note}"]


@pytest.mark.parametrize("size", [1, 2])
def test_the_first_rank_says_it(size):
    job = session.prepare(some(200), "classic", {**SLOW, "shards": 2})
    notes = [[], []]
    run_ranks(size, lambda ranks: session.train(job, ranks=ranks, notify=notes[ranks.rank].append))
    assert [[note.code for note in each] for each in notes] == [["at-chance"], []]


def test_a_training_that_was_stopped_says_nothing(tmp_path):
    job, notes = session.prepare(some(200), "classic", {**SLOW, "epochs": 4}), []

    def stop(progress):
        return "enough" if progress.epoch == 2 else None

    with pytest.raises(session.StoppedError):
        session.train(job, run_dir=tmp_path / "run", on_block=stop, notify=notes.append)
    assert notes == []
    _, reports = session.train(job, run_dir=tmp_path / "run", resume=True, notify=notes.append)
    assert [note.code for note in notes] == ["at-chance"]
    assert len(reports) == 4


def test_early_stopping_leaves_nothing_that_is_still_falling(monkeypatch):
    """The dev loss of the report whose weights are returned is judged, and an end before the last epoch is no fault."""
    job = session.prepare(DIGITS, "classic", {"early_stopping": 2, "epochs": 400, "min_steps": 0})
    model, reports = session.train(job)
    found = signs_of(job, model, reports)
    assert found.dev_loss == found.least_dev_loss == min(report.dev_loss for report in reports)
    assert found.epochs < 400
    assert advise(job, model, reports) is None


@pytest.mark.parametrize("kind", ["weight_decay", "inputs", "rate"])
def test_the_cause_of_divergence(kind, kernels):
    dataset = some(300, change=floats) if kind == "inputs" else some(300)
    figures = {"weight_decay": {"weight_decay": 100.0}, "inputs": {}, "rate": {"learning_rate": 1e3}}[kind]
    settings = {**FEW, "activation": "leaky_relu", "hidden": (30, 30), "epochs": 30, **figures}
    job = session.prepare(dataset, "classic", settings)
    with pytest.raises(DivergedError) as error:
        session.train(job, kernels=kernels)
    words = {
        "weight_decay": r"^weight decay alone changes the weights by 5 times .*: try `weight_decay` 0.02$",
        "inputs": r"^the inputs are \d+ in size .*: standardise them",
        "rate": r"^the first update, at rate 1000, is .* suits the start: try `learning_rate` 0\.\d+$",
    }
    assert re.search(words[kind], error.value.fix), error.value.fix


def test_where_there_is_no_rate_another_optimizer_is_tried():
    job = session.prepare(some(100), "classic", {"optimizer": "lbfgs", "epochs": 2, "dev": 0})
    assert advise_diverged(job, ()).note == "diverged: L-BFGS went astray; try `optimizer` adam"
