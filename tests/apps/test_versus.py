"""`fnnet.apps.versus`: equal to rounding where options are translated; differences that are planted are named."""

from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.apps.versus import compare, comparing, meanings, of_sklearn, steps
from fnnet.core.optimizers import OPTIMIZERS
from fnnet.core.params import each
from fnnet.errors import DivergedError, FnnetError, UsageError
from fnnet.training import session
from fnnet.training import steps as training
from fnnet.training.starting import first_params

DRAW = np.random.default_rng(0)
ROWS = DRAW.random((60, 12))
LABELS = np.arange(60) % 4


def job(seed=0, classes=4, class_weights=None, **settings):
    """Training on few rows, four steps an epoch."""
    given = {"hidden": (6, 5), "activation": "tanh", "batch_size": 16, "learning_rate": 0.05, "epochs": 6, "dev": 0}
    dataset = data.from_arrays(ROWS, LABELS % classes)
    given = {name: value for name, value in (given | settings).items() if value is not None or name == "batch_size"}
    return session.prepare(dataset, "classic", given, class_weights=class_weights, seed=seed)


def compared(peer, count=12, by_name=False, **settings):
    if not all(find_spec(name) for name in (peer, *(["jax"] if peer == "keras" else []))):
        pytest.skip(f"needs {comparing.PACKAGES[peer]}: {comparing.FIXES[peer]}")
    return compare(peer, job(**settings), count, by_name=by_name)


def assert_equal(found):
    assert found.parting is None, found.parting
    assert not found.differing
    assert max(row.relative for row in found.rows) < 1e-9
    assert len(found.rows) == 12


def reasons(found):
    return [each.name for each in found.parting.reasons]


# Ours.


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS])
def test_our_side_is_training(optimizer):
    """Its weights are those of train_step, bit for bit, and its gradients those of backward."""
    given = job(optimizer=optimizer, weight_decay=0.01, clip_norm=0.2, dropout=0.3, label_smoothing=0.1)
    plan, params = given.plan, fnnet.init(given.sizes, 3, dtype=np.float64)
    made = comparing.make_optimizer(plan)
    state = training.start(params, given.seed, optimizer=made)
    at = steps.Ours(params, comparing.unchecked(made).init(params))
    for batch in comparing.batches(given, given.train, 5):
        at, arrays = steps.step(at, batch, plan.activation, comparing.unchecked(made), plan.label_smoothing)
        before = state
        objective = {"objective": plan.objective, "optimizer": made}
        state, loss, _ = fnnet.train_step(state, batch.x, batch.labels, batch.rate, **objective)
        assert at.params == state.params
        assert arrays["loss"] == loss
    masks = batch.masks
    found = fnnet.forward(before.params, batch.x, activation="tanh", masks=masks)
    grads = fnnet.backward(before.params, found, batch.labels, label_smoothing=0.1)
    for name, array in steps.named(grads, "d").items():
        assert arrays[name].tobytes() == array.tobytes(), name
    scale = min(1, 0.2 / comparing.one.global_norm(grads))
    np.testing.assert_allclose(arrays["clipped dW1"], grads[0].W * scale, rtol=1e-12)


def test_the_batches_are_those_of_train():
    """The weights after two epochs are those of session.train, in float32."""
    given = job(epochs=2, optimizer="nesterov", schedule="onecycle", class_weights="1=3")
    model, _ = session.train(given)
    made = comparing.unchecked(comparing.make_optimizer(given.plan))
    params = each(lambda array: array.astype(np.float64), first_params(given))
    at = steps.Ours(params, made.init(params))
    for batch in comparing.batches(given, given.train, 8):
        at, _ = steps.step(at, batch, "tanh", made)
    for ours, theirs in zip(at.params.layers, model.params.layers, strict=True):
        np.testing.assert_allclose(ours.W, theirs.W, atol=1e-6)
    full = [*comparing.batches(job(batch_size=None), given.train, 2)]
    assert all((batch.x == given.train.x.astype(np.float64)).all() for batch in full)


def test_operations_come_in_the_order_of_a_step():
    names = [each.name for each in steps.operations(2, "tanh", True)]
    assert " ".join(names) == (
        "z1 a1 z2 probs loss dz2 dW2 db2 dz1 dW1 db1 clipped dW1 clipped db1 clipped dW2 clipped db2 W1 b1 W2 b2"
    )


def test_a_start_an_ulp_away():
    params = fnnet.init((4, 3, 2), 0, dtype=np.float64)
    moved = comparing.nudged(params, 0)
    for before, after in zip(params.layers, moved.layers, strict=True):
        assert (np.abs(after.W - before.W) == np.spacing(np.minimum(np.abs(before.W), np.abs(after.W)))).all()
        assert (after.b == 0).all()


# Equal to rounding.


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_scikit_learn(optimizer, activation):
    pytest.importorskip("sklearn")
    found = compared("sklearn", optimizer=optimizer, activation=activation)
    assert_equal(found)
    assert found.about.startswith("scikit-learn ")
    assert {each.option for each in found.translated} == {"optimizer", "weight_decay"}


def test_scikit_learn_with_a_schedule_and_class_weights_and_without_hidden_layers():
    assert_equal(compared("sklearn", optimizer="adam", schedule="cosine", class_weights="1=3"))
    assert_equal(compared("sklearn", schedule="step:every=1", hidden=(), activation=None))
    assert_equal(compared("sklearn", batch_size=None, activation="linear"))


ALL = {"dropout": (0.3, 0.2), "label_smoothing": 0.1, "schedule": "onecycle", "class_weights": "1=3"}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_torch(optimizer):
    found = compared("torch", optimizer=optimizer, weight_decay=0.1, clip_norm=0.3, activation="gelu", **ALL)
    assert_equal(found)
    assert [each.option for each in found.translated] == ["clip_norm", "dropout", "class_weights"]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "silu", "sigmoid", "linear", "mish"])
def test_activations_of_torch(activation):
    assert_equal(compared("torch", activation=activation, optimizer="adam"))


@pytest.mark.parametrize(
    ("optimizer", "more"),
    [
        ("sgd", {"weight_decay": 0.1, **ALL}),
        ("momentum", {"weight_decay": 0.1}),
        ("nesterov", {"clip_norm": 0.3, "dropout": 0.3}),
        ("adam", {"weight_decay": 0.1, **ALL}),
        ("adamw", {"weight_decay": 0.1, "clip_norm": 0.3, **ALL}),
        ("lion", {"weight_decay": 0.1, "clip_norm": 0.3}),
    ],
)
def test_keras(optimizer, more):
    assert_equal(compared("keras", optimizer=optimizer, **more))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "linear", "mish"])
def test_activations_of_keras(activation):
    assert_equal(compared("keras", activation=activation))


# Differences that are planted.


def parted(found, step, name, *names):
    assert (found.parting.step, found.parting.name, reasons(found)) == (step, name, [*names]), found.parting
    assert found.parting.difference > found.parting.limit


def test_another_epsilon_in_scikit_learn(monkeypatch):
    monkeypatch.setattr(of_sklearn, "corrected_epsilon", lambda setup, step: 1e-7 if step > 3 else
                        meanings.corrected_epsilon(setup, step))  # fmt: skip
    found = compared("sklearn", optimizer="adam")
    parted(found, 4, "W1", "epsilon")
    (reason,) = found.parting.reasons
    assert (reason.ours, reason.theirs) == ("1e-08", "1e-07 (before the second moment is corrected)")


@pytest.mark.parametrize(
    ("where", "name", "made", "expected"),
    [
        ("DERIVATIVES", "tanh", lambda Z, delta: np.multiply(delta, 1 - Z * Z * Z, out=delta), "dz2"),
        ("ACTIVATIONS", "tanh", lambda X: np.multiply(np.tanh(X), 1 + 1e-10, out=X), "a1"),
        ("ACTIVATIONS", "softmax", lambda X: np.divide(np.exp(X), np.exp(X).sum(1)[:, None] + 1e-9, out=X), "probs"),
    ],
)
def test_another_operation_in_scikit_learn_which_nothing_explains(monkeypatch, where, name, made, expected):
    module = pytest.importorskip("sklearn.neural_network._multilayer_perceptron")
    monkeypatch.setitem(getattr(module, where), name, made)
    parted(compared("sklearn"), 1, expected)


def test_another_operation_of_ours(monkeypatch):
    plain = steps.ops.affine_backward

    def wrong(dz, x, W, need_dx=True):
        dx, dW, db = plain(dz, x, W, need_dx)
        return dx, dW, db * (1 + 1e-10)

    monkeypatch.setattr(steps.ops, "affine_backward", wrong)
    parted(compared("sklearn"), 1, "db3")


def test_what_grows_from_rounding_is_not_a_difference(monkeypatch):
    """At a rate so high that the weights part in the end, as those of fnnet do from its own."""
    unstable = {"learning_rate": 0.1, "optimizer": "momentum", "momentum": 0.97}
    found = compared("sklearn", count=300, **unstable)
    assert found.parting is None
    assert max(row.relative for row in found.rows) > 1e-9
    assert max(row.itself for row in found.rows) > 1e-9
    monkeypatch.setattr(comparing, "MARGIN", 0)
    monkeypatch.setattr(comparing, "LIMIT", 1e-16)
    assert compared("sklearn", count=5, **unstable).parting


def test_another_epsilon_in_torch(monkeypatch):
    torch = pytest.importorskip("torch", reason="needs torch")
    plain = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, **options: plain(parameters, **options | {"eps": 1e-7}))
    found = compared("torch", optimizer="adam")
    parted(found, 1, "W1", "epsilon")
    assert (found.parting.reasons[0].ours, found.parting.reasons[0].theirs) == ("1e-08", "1e-07")


def test_decoupled_weight_decay_in_torch(monkeypatch):
    torch = pytest.importorskip("torch", reason="needs torch")
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.AdamW)
    found = compared("torch", optimizer="adam", weight_decay=0.1)
    parted(found, 1, "W1", "weight decay")
    assert found.parting.reasons[0].theirs == "0.1 (decoupled)"


def test_tanh_in_place_of_erf_in_torch(monkeypatch):
    torch = pytest.importorskip("torch", reason="needs torch")
    monkeypatch.setattr(torch.nn, "GELU", partial(torch.nn.GELU, approximate="tanh"))
    parted(compared("torch", activation="gelu"), 1, "a1")


# Under their own names.


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("dW3", "weight decay")),
        ({"weight_decay": 0.1}, ("dW3", "weight decay")),
        ({"optimizer": "adam"}, ("dW3", "weight decay")),
    ],
)
def test_scikit_learn_by_name(settings, expected):
    found = compared("sklearn", by_name=True, **settings)
    parted(found, 1, *expected)
    assert not found.translated
    other = "epsilon" if settings.get("optimizer") == "adam" else "momentum"
    assert [each.name for each in found.differing] == ["weight decay", other]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"optimizer": "adamw"}, ("W1", "weight decay")),
        ({"clip_norm": 0.001}, ("clipped dW1", "divisor of clipping")),
        ({"dropout": 0.3}, ("a1", "dropout")),
        ({"label_smoothing": 0.1, "class_weights": "1=3"}, ("loss", "class weight of a smoothed label")),
    ],
)
def test_torch_by_name(settings, expected):
    parted(compared("torch", by_name=True, **settings), 1, *expected)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "rmsprop", "adam"])
def test_torch_by_name_is_the_same_where_names_mean_the_same(optimizer):
    assert_equal(compared("torch", by_name=True, optimizer=optimizer, weight_decay=0.1, label_smoothing=0.1))


@pytest.mark.parametrize(
    ("settings", "step", "expected"),
    [
        ({"optimizer": "adam"}, 1, ("W1", "epsilon")),
        ({"optimizer": "adam", "weight_decay": 0.1}, 1, ("W1", "weight decay", "epsilon")),
        ({"optimizer": "adamw"}, 1, ("W1", "weight decay", "epsilon")),
        ({"optimizer": "rmsprop"}, 1, ("W1", "beta (rho)", "epsilon")),
        ({"optimizer": "momentum", "schedule": "cosine"}, 2, ("W1", "velocity")),
        ({"clip_norm": 0.1}, 1, ("W1", "norm that is clipped")),
        ({"activation": "leaky_relu"}, 1, ("a1", "slope of leaky_relu below 0")),
        ({"dropout": 0.3}, 1, ("a1", "dropout")),
        ({"class_weights": "1=3"}, 1, ("loss", "divisor of a weighted mean")),
    ],
)
def test_keras_by_name(settings, step, expected):
    parted(compared("keras", by_name=True, **settings), step, *expected)


# What is refused.

BAD = [
    ("torch", {"optimizer": "lbfgs", "learning_rate": None, "batch_size": None}, "optimizer: makes no steps"),
    ("torch", {"members": 2}, "members: .* expected 1, found 2"),
    ("torch", {"deformation": {}}, "augment: images are deformed .* expected --no-augment"),
    ("torch", {"early_stopping": 2, "dev": 10}, "early_stopping: steps are compared"),
    ("torch", {"schedule": "plateau"}, "schedule: follows the losses of epochs"),
    ("torch", {"ema": 0.9}, "ema: does not change the steps"),
    ("torch", {"shards": 2}, "shards: only fnnet"),
    ("torch", {"optimizer": "lion"}, "optimizer: PyTorch does not have it"),
    ("sklearn", {"optimizer": "rmsprop"}, "optimizer: MLPClassifier does not .* sgd or momentum or nesterov or adam"),
    ("sklearn", {"activation": "gelu"}, "activation: MLPClassifier does not have it"),
    ("sklearn", {"dropout": 0.1}, "dropout: MLPClassifier does not have it"),
    ("sklearn", {"label_smoothing": 0.1}, "label_smoothing: MLPClassifier does not have it"),
    ("sklearn", {"clip_norm": 1.0}, "clip_norm: MLPClassifier does not have it"),
    ("sklearn", {"classes": 2}, "data: MLPClassifier has one logistic unit for two classes"),
]
ONLY_BY_NAME = [
    ("sklearn", {"weight_decay": 0.1}, "weight_decay: MLPClassifier's alpha shrinks weights, not biases"),
    ("sklearn", {"optimizer": "momentum", "schedule": "cosine"}, "schedule: in MLPClassifier the velocity holds"),
    ("keras", {"optimizer": "nesterov", "schedule": "cosine"}, "schedule: in Keras the velocity holds"),
    ("keras", {"optimizer": "rmsprop"}, "optimizer: Keras has the epsilon of RMSprop inside the root"),
    ("keras", {"weight_decay": 0.1, "clip_norm": 1.0}, "clip_norm: Keras takes coupled weight decay as a penalty"),
]


@pytest.mark.parametrize(("peer", "settings", "message"), [*BAD, *ONLY_BY_NAME])
def test_what_cannot_be_compared_is_refused_with_the_reason(peer, settings, message):
    with pytest.raises(UsageError, match=message) as info:
        compare(peer, job(**settings), 2)
    by_name = (peer, settings, message) in ONLY_BY_NAME
    assert info.value.fix == ("set `by_name` to see when the two part" if by_name else "")


def test_other_arguments(monkeypatch):
    with pytest.raises(UsageError, match="peer: unknown library; expected sklearn or torch or keras, found 'jax'"):
        compare("jax", job(), 2)
    with pytest.raises(UsageError, match="steps"):
        compare("sklearn", job(), 0)
    with pytest.raises(UsageError, match="expected a Job"):
        compare("sklearn", 3, 2)
    monkeypatch.setattr(comparing, "find_spec", lambda name: None)
    with pytest.raises(FnnetError, match=r"PyTorch: is not installed; .* torch; pip install torch"):
        compare("torch", job(), 2)


def test_divergence_is_named():
    with pytest.raises(DivergedError, match="training diverged"):
        compared("sklearn", count=50, learning_rate=1e200, activation="linear")
