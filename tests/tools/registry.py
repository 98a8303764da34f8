"""The registry of operations: each public function of the mathematics once, with what its tests are generated from.

The operations of the kernels take their inputs from the case table, `tests/tools/cases.py`.
"""

import importlib
import inspect

import numpy as np

import fnnet
from fnnet.core import checks, deform, dropout, gradcheck, metrics, network, optimizers, params, rng, schedules
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY, OPERATIONS
from fnnet.training import class_weights, epochs, lbfgs, lr_find, plan, steps, stopping
from tests.tools import cases
from tests.tools.operation import BYTES, FLAG, FLOATS, INTEGERS, NUMBERS, OTHER, PIXELS, REALS, TREE, Operation

MODULES = (
    *(
        "core." + name
        for name in ("network", "params", "optimizers", "schedules", "metrics", "dropout", "deform", "rng")
    ),
    *("core." + name for name in ("checks", "gradcheck", "operations", "state")),
    *("training." + name for name in ("class_weights", "stopping", "steps", "lbfgs", "lr_find", "epochs", "plan")),
)

REGISTRY: dict[str, Operation] = {}


def _add(name, call, arguments, *, fine=None, none=(), takes=False, gradient=None, n_steps=1, errors=()):
    """`arguments`: name -> (kind, value); those in `none` may be None."""
    fine = {**dict.fromkeys(none, ("none",)), **(fine or {})}
    values, kinds = ({key: pair[which] for key, pair in arguments.items()} for which in (1, 0))
    assert name not in REGISTRY
    REGISTRY[name] = Operation(name, call, values, kinds, fine, gradient, takes, n_steps, tuple(errors))


N, SIZES, STEPS = 7, (6, 5, 4, 3), np.arange(8)
_draw = np.random.default_rng(0)
PARAMS = fnnet.init(SIZES, 1, scheme="notebook", dtype=np.float64)
X, BYTES_X = _draw.random((N, 6)), _draw.integers(0, 256, (N, 6)).astype(np.uint8)
LABELS, WEIGHTS = np.arange(N) % 3, _draw.random(N) + 0.1
MASKS = tuple(_draw.integers(0, 2, (N, width)) * 2.0 for width in SIZES[1:-1])
FORWARD = fnnet.forward(PARAMS, X)
GRADS = fnnet.backward(PARAMS, FORWARD, LABELS)
EXAMPLES = Examples(X, LABELS)
STATE = steps.start(PARAMS, 3)
ADAM = optimizers.averaged(optimizers.clipped(optimizers.adam(), 0.5), 0.9)
PLAN = plan.Plan(2, 3, 0.1, schedule="cosine")

_tree, _x, _labels = (TREE, PARAMS), (PIXELS, X), (INTEGERS, LABELS)
_weights, _smoothing, _relu = (NUMBERS, WEIGHTS), (OTHER, 0.1), (OTHER, "relu")

# The kernels: of each way of calling them in the case table, the arguments by their names.

GRADIENT_OF = {name: f"{name}_backward" for name in OPERATIONS if f"{name}_backward" in OPERATIONS}
GRADIENT_OF["cross_entropy"] = "cross_entropy"
KINDS = {"labels": INTEGERS, "weights": NUMBERS, "learning_rate": OTHER, "label_smoothing": OTHER}


def _of_the_table(name):
    return lambda kernels=NUMPY, **arguments: getattr(kernels, name)(**arguments)


for _call in cases.CALLS:
    _name = cases.operation(_call)
    _names = inspect.signature(getattr(NUMPY, _name)).parameters
    _given = zip(_names, cases.arguments(_call, cases.named("float64")), strict=False)
    _add(
        f"operations.{_call}",
        _of_the_table(_name),
        {key: (KINDS.get(key, REALS), value) for key, value in _given},
        none=("weights",),
        takes=True,
        gradient=f"operations.{GRADIENT_OF[_name]}" if _name in GRADIENT_OF else None,
    )

# fmt: off
# The network.

_add("network.forward", fnnet.forward, {"params": _tree, "x": _x, "activation": _relu, "masks": (OTHER, MASKS)},
    none=("masks",), takes=True, errors=[({"x": X[0]}, r"x\[None, :\]"), ({"x": X[:, :5]}, r"shape \(n, 6\)"),
    ({"x": X[:0]}, "at least 1 row")])
_add("network.loss", fnnet.loss, {"params": _tree, "x": _x, "labels": _labels, "weights": _weights,
    "label_smoothing": _smoothing}, none=("weights",), takes=True, gradient="network.backward",
    errors=[({"labels": LABELS + 1}, "index 2: label out of range; expected 0 to 2, found 3"),
    ({"labels": LABELS - 1}, "index 0: label out of range"), ({"weights": -WEIGHTS}, "index 0: weight out"),
    ({"weights": WEIGHTS * np.nan}, "nan"), ({"label_smoothing": 1.0}, "less than 1")])
_after = {"params": _tree, "activations": (OTHER, FORWARD), "labels": _labels, "weights": _weights}
_add("network.backward", fnnet.backward, _after | {"label_smoothing": _smoothing}, none=("weights",), takes=True)
_add("network.loss_and_grads", network.loss_and_grads, _after, none=("weights",), takes=True)
_add("network.scores", fnnet.scores, {"params": _tree, "x": _x, "activation": _relu}, takes=True)
_add("network.predict", fnnet.predict, {"params": _tree, "x": _x, "activation": _relu}, takes=True,
    errors=[({"x": X * np.nan}, "row 0: scores are not numbers")])
_add("network.predictor", lambda params, x, activation, kernels=NUMPY: fnnet.predictor(params, activation=activation,
    kernels=kernels)(x), {"params": _tree, "x": _x, "activation": _relu}, takes=True, errors=[({"x": X * np.nan},
    "row 0: scores are not numbers")])
_add("network.answers", network.answers, {"logits": (FLOATS, X)}, errors=[({"logits": X * np.nan}, "row 0")])

# Parameters.

_add("params.init", fnnet.init, {"sizes": (OTHER, (4, 3, 2)), "seed": (OTHER, 3), "scheme": (OTHER, "he")},
    errors=[({"sizes": (4, 0, 2)}, "integers >= 1"), ({"sizes": (4, 2**40)}, "network too large"), ({"seed": -1},
    "0 to")])
_add("params.check_sizes", params.check_sizes, {"sizes": (OTHER, (4, 3, 2))})
_add("checks.check_classes", checks.check_classes, {"names": (OTHER, ("a", "b"))}, fine={"names": ("empty",)})
_add("params.check_dtype", params.check_dtype, {"dtype": (OTHER, np.float32)}, fine={"dtype": ("none",)})

# Optimizers: one step of each.

_add("optimizers.update", fnnet.update, {"params": _tree, "grads": (TREE, GRADS), "learning_rate": (OTHER, 0.1)},
    takes=True, errors=[({"learning_rate": np.nan}, "finite"), ({"grads": fnnet.init((6, 3))},
    "grads do not fit params")])


def _stepping(maker):
    def call(params, grads, learning_rate, kernels=NUMPY, **figures):
        made = maker(**figures)
        state = made.init(params)
        for _ in range(2):
            params, state = made.update(params, grads, state, learning_rate, kernels)
        return params, state

    return call


_step = {"params": _tree, "grads": (TREE, GRADS), "learning_rate": (OTHER, 0.1)}
_decay, _beta = {"weight_decay": (OTHER, 0.1), "decoupled": (FLAG, False)}, (OTHER, 0.5)
_rates = [({"learning_rate": value}, "learning_rate") for value in (-0.1, np.nan, np.inf, True)]
_decays = [({"weight_decay": value}, "weight_decay") for value in (-0.1, np.nan, np.inf, True)]
for _name, _figures in {
    "sgd": _decay,
    "momentum": {"beta": _beta, "nesterov": (FLAG, True)} | _decay,
    "rmsprop": {"beta": _beta, "epsilon": (OTHER, 1e-3)} | _decay,
    "adam": {"beta_1": _beta, "beta_2": _beta, "epsilon": (OTHER, 1e-3)} | _decay,
    "adamw": {"beta_1": _beta, "beta_2": _beta, "epsilon": (OTHER, 1e-3), "weight_decay": (OTHER, 0.1)},
}.items():
    _betas = [({key: value}, "less than 1") for key in _figures if "beta" in key for value in (1, -0.1, np.nan)]
    _maker = getattr(optimizers, _name)
    _add(f"optimizers.{_name}", _stepping(_maker), _step | _figures, takes=True, errors=_rates + _decays + _betas)
_add("optimizers.clipped", _stepping(lambda optimizer, norm: optimizers.clipped(optimizer, norm)), _step
    | {"optimizer": (OTHER, optimizers.adam()), "norm": (OTHER, 0.1)}, takes=True,
    errors=[({"norm": value}, "norm") for value in (0, -1, np.nan, np.inf)])
_add("optimizers.averaged", _stepping(lambda optimizer, decay: optimizers.averaged(optimizer, decay)),
    _step | {"optimizer": (OTHER, optimizers.adam()), "decay": (OTHER, 0.5)}, takes=True, errors=[({"decay": value},
    "ema") for value in (1, -1, np.nan)])
_add("optimizers.make", _stepping(lambda name, **figures: optimizers.make(name, **figures)), _step | {"name": (OTHER,
    "nesterov"), "momentum_beta": (OTHER, 0.5), "weight_decay": (OTHER, 0.1)}, takes=True)
_norm_of = ("layers: no layers", "layers: lists", "arrays: half", "arrays: axes", "arrays: empty")
_add("optimizers.global_norm", optimizers.global_norm, {"grads": (TREE, GRADS)}, fine={"grads": _norm_of})
_add("optimizers.check_like", optimizers.check_like, {"params": _tree, "other": (TREE, GRADS), "name": (FLAG, "grads")})

# Schedules: made, and asked for the rates of some steps.


def _asked(maker):
    return lambda at, **figures: maker(**figures)(at)


_rate, _at = (OTHER, 0.3), (INTEGERS, STEPS)
_wrong_rates = [({"rate": value}, "learning_rate") for value in (0, -0.1, np.nan, np.inf, True)]
_wrong_peaks = [({"peak": value}, "learning_rate") for value in (0, -0.1, np.nan, np.inf, True)]
_wrong_at = [({"at": STEPS - 1}, "0 or more")]
for _name, _figures, _errors in (
    ("constant", {"rate": _rate}, _wrong_rates),
    ("step", {"rate": _rate, "every": (OTHER, 2), "factor": (OTHER, 0.5)}, _wrong_rates),
    ("exponential", {"rate": _rate, "factor": (OTHER, 0.5), "every": (OTHER, 2)}, _wrong_rates),
    ("cosine", {"peak": _rate, "steps": (OTHER, 6), "final": (OTHER, 0.1)}, _wrong_peaks),
    (
        "one_cycle",
        {
            "peak": _rate,
            "steps": (OTHER, 6),
            "warmup": (OTHER, 0.4),
            "start_factor": (OTHER, 9.0),
            "final_factor": (OTHER, 9.0),
        },
        _wrong_peaks,
    ),
    ("warm_up", {"schedule": (OTHER, schedules.constant(0.3)), "steps": (OTHER, 4)}, []),
    ("make", {"name": (OTHER, "step"), "rate": _rate, "steps": (OTHER, 9), "factor": (OTHER, 0.5)}, _wrong_rates),
):
    _add(f"schedules.{_name}", _asked(getattr(schedules, _name)), _figures | {"at": _at}, errors=_errors + _wrong_at)
_add("schedules.parse_schedule", schedules.parse_schedule, {"text": (OTHER, "step:every=2")})
_add("schedules.make_schedule", _asked(schedules.make_schedule), {"text": (OTHER, "cosine"), "rate": _rate,
    "epochs": (OTHER, 2), "steps_per_epoch": (OTHER, 3), "at": _at})
_add("schedules.plateau_scale", schedules.plateau_scale, {"losses": (OTHER, [3.0, 3.0, 3.0]), "factor": (OTHER, 0.5),
    "patience": (OTHER, 1), "threshold": (OTHER, 0.1)}, fine={"losses": ("empty",)})

# Figures of merit.

_answers = {"answers": (INTEGERS, (LABELS + (LABELS > 1)) % 3), "labels": _labels}
_add("metrics.evaluate", metrics.evaluate, {"params": _tree, "x": _x, "labels": _labels, "activation": _relu},
    takes=True, errors=[({"x": X[:0], "labels": LABELS[:0]}, "at least 1 row")])
_add("metrics.accuracy", metrics.accuracy, _answers, errors=[({"labels": LABELS[1:]}, "as many")])
_add("metrics.confusion", metrics.confusion, _answers | {"classes": (OTHER, 3)}, errors=[({"classes": 2},
    "label out of range"), ({"labels": LABELS[1:]}, "shape")])
_add("metrics.per_class", metrics.per_class, {"matrix": (INTEGERS, np.arange(9).reshape(3, 3))},
    errors=[({"matrix": np.ones((2, 3), int)}, "classes, classes"), ({"matrix": -np.eye(2, dtype=int)}, "counts")])
_add("metrics.dead_units", metrics.dead_units, {"params": _tree, "x": _x, "activation": _relu}, takes=True)
_add("stopping.best_epoch", stopping.best_epoch, {"losses": (OTHER, [3.0, 2.0])}, fine={"losses": ("empty",)})
_add("stopping.is_over", stopping.is_over, {"losses": (OTHER, [3.0, 2.0]), "patience": (OTHER, 1)},
    fine={"losses": ("empty",)})

# Chance, dropout, weights of classes, deformation.

_place = {"seed": (OTHER, 3), "purpose": (OTHER, "check"), "count": (OTHER, 5), "epoch": (OTHER, 1)}
for _name in ("words", "uniform"):
    _add(
        f"rng.{_name}",
        getattr(rng, _name),
        _place | {"step": (OTHER, 2), "start": (OTHER, 3)},
        errors=[({"count": -1}, "count"), ({"seed": 2**64}, "seed"), ({"purpose": "x"}, "unknown purpose")],
    )
_add("rng.order", rng.order, {"seed": (OTHER, 3), "purpose": (OTHER, "shuffle"), "n": (OTHER, 9)}, errors=[({"n": -1},
    "n out of range")])
_add("rng.check_seed", rng.check_seed, {"seed": (OTHER, 3)})
_add("dropout.dropped", dropout.dropped, {"rates": (OTHER, 0.3), "layers": (OTHER, 2)})
_add("dropout.masks", dropout.masks, {"seed": (OTHER, 1), "step": (OTHER, 2), "widths": (OTHER, (5, 4)), "n": (OTHER,
    3), "rates": (OTHER, 0.4), "first": (OTHER, 1)}, fine={"widths": ("empty",)})
_add("class_weights.parse", class_weights.parse, {"text": (OTHER, "a=2"), "classes": (OTHER, ("a", "b"))})
_add("class_weights.class_weights", class_weights.class_weights, {"weights": (OTHER, [1.0, 2.0, 3.0]),
    "labels": _labels, "classes": (OTHER, 3)}, fine={"weights": ("dict",), "labels": ("empty",)})
_add("deform.deform", fnnet.deform, {"x": (BYTES, BYTES_X), "image_shape": (OTHER, (2, 3)), "deformation": (OTHER,
    deform.Deformation(1, 9, 0.1, 0.1, 1.0)), "seed": (OTHER, 1), "epoch": (OTHER, 2), "samples": (INTEGERS,
    np.arange(N))}, none=("samples",), takes=True)

# Training.

_train = {"state": (OTHER, steps.start(PARAMS, 3, optimizer=ADAM)), "optimizer": (OTHER, ADAM)}
_objective = {"objective": (OTHER, steps.Objective("silu", 0.3, 0.1))}
_add("steps.train_step", fnnet.train_step, _train | _objective | {"x": _x, "labels": _labels, "learning_rate": (OTHER,
    0.1), "weights": _weights}, none=("weights",), takes=True, errors=_rates)
_add("steps.train_block", lambda x, labels, **arguments: fnnet.train_block(examples=Examples(x, labels), **arguments),
    _train | _objective | {"x": _x, "labels": _labels, "rows": (INTEGERS, np.arange(N)[::-1].copy()),
    "batch_size": (OTHER, 3), "learning_rate": (OTHER, 0.1), "weights": _weights}, none=("weights", "rows"),
    takes=True, n_steps=3, errors=[*_rates, ({"batch_size": 0}, "batch_size"), ({"rows": np.array([N])},
    "row out of range")])
_add("steps.start", lambda params, seed: steps.start(params, seed), {"params": _tree, "seed": (OTHER, 3)})
_add("lbfgs.minimise", lambda x, labels, **rest: lbfgs.minimise(examples=Examples(x, labels), **rest),
    {"params": _tree, "x": _x, "labels": _labels, "iterations": (OTHER, 2), "activation": (OTHER, "tanh"),
    "l2": (OTHER, 0.1), "weights": _weights, "label_smoothing": _smoothing}, none=("weights",), takes=True,
    n_steps=50)
_add("lr_find.range_test", lr_find.range_test, {"state": (OTHER, STATE), "examples": (OTHER, EXAMPLES),
    "batch_size": (OTHER, 3), "low": (OTHER, 1e-3), "high": (OTHER, 0.1), "steps": (OTHER, 12)}, takes=True,
    n_steps=12)
_add("lr_find.suggest", lr_find.suggest, {"rates": (NUMBERS, np.arange(1.0, 9.0)), "losses": (NUMBERS,
    np.arange(8.0)[::-1].copy()), "smoothed": (NUMBERS, np.arange(8.0)[::-1].copy()), "window": (OTHER, 3)})
_add("gradcheck.check_gradients", gradcheck.check_gradients, {"params": (TREE, fnnet.init((2, 1, 2), 1,
    dtype=np.float64)), "x": (PIXELS, X[:2, :2]), "labels": (INTEGERS, LABELS[:2]), "activation": _relu}, takes=True)


def _epochs(training, plan, kernels=NUMPY):
    """All but the seconds."""
    found = list(epochs.epochs(training, EXAMPLES, plan, dev=EXAMPLES, kernels=kernels))
    return [(each.state, [(*report[:1], *report[2:]) for report in each.history]) for each in found]


_add("epochs.epochs", _epochs, {"training": (OTHER, epochs.start(PARAMS, 3, PLAN)), "plan": (OTHER, PLAN)}, takes=True,
    n_steps=6)
_add("epochs.start", epochs.start, {"params": _tree, "seed": (OTHER, 3), "plan": (OTHER, PLAN)})
_add("plan.check_plan", plan.check_plan, {"plan": (OTHER, PLAN)})
_add("plan.make_optimizer", _stepping(plan.make_optimizer), _step | {"plan": (OTHER, PLAN)}, takes=True)

# fmt: on
THROUGH = {
    "network.check_activation": "network.forward",
    "network.check_input": "network.forward",
    "network.as_input": "network.forward",
    "network.check_masks": "network.forward",
    "network.check_activations": "network.backward",
    "network.check_examples": "steps.train_block",
    "checks.as_array": "network.forward",
    "checks.calm": "network.forward",
    "checks.check_labels": "network.loss",
    "checks.check_weights": "network.loss",
    "checks.check_label_smoothing": "network.loss",
    "checks.check_share": "optimizers.momentum",
    "checks.check_amount": "optimizers.sgd",
    "checks.check_finite": "optimizers.update",
    "checks.check_count": "rng.order",
    "checks.check_numbers": "stopping.best_epoch",
    "checks.shown": "rng.check_seed",
    "deform.check_deformation": "deform.deform",
    "deform.check_image_shape": "deform.deform",
    "deform.check_images": "deform.deform",
    "params.freeze": "params.init",
    "params.copied": "network.predictor",
    "params.freeze_params": "params.init",
    "params.layer_sizes": "steps.train_block",
    "params.count_parameters": "params.init",
    "optimizers.map_trees": "optimizers.adam",
    "optimizers.zeros": "optimizers.adam",
    "optimizers.check_optimizer": "optimizers.clipped",
    "optimizers.trees_of": "optimizers.averaged",
    "optimizers.check_state": "optimizers.adam",
    "optimizers.made_of": "optimizers.adam",
    "optimizers.answering": "epochs.epochs",
    "params.check_params": "network.forward",
    "plan.check_kind": "plan.check_plan",
    "steps.rates_of": "steps.train_block",
    "steps.add_up": "steps.train_block",
    "steps.check_work": "steps.train_step",
    "steps.make_blocks": "steps.train_block",
    "steps.Loop": "steps.train_block",
    "steps.Compiled": "steps.train_block",
    "steps.diverged": "steps.train_step",
    "epochs.trained_params": "epochs.start",
    "epochs.epoch_order": "epochs.epochs",
    "epochs.EpochRunner": "epochs.epochs",
    "schedules.make_plateau": "epochs.epochs",
    "lbfgs.flatten": "lbfgs.minimise",
    "lbfgs.unflatten": "lbfgs.minimise",
    "gradcheck.example": "gradcheck.check_gradients",
    "gradcheck.example_weights": "gradcheck.check_gradients",
}
"""Functions whose faults show through another operation, which is tested."""
ELSEWHERE = {
    "params.weights_sha256": "tests/core/test_params.py",
    "model.save_model": "tests/files/test_model.py",
    "model.load_model": "tests/files/test_model.py",
    "kernels.load": "tests/kernels/test_library.py",
    "state.report_of": "tests/files/test_checkpoints.py",
}
"""Functions that are no mathematics, and the file that tests them."""


def public_functions():
    """Every public function of the rooms of mathematics and of `fnnet.__all__`, as ROOM.NAME."""
    found = {}
    for place in MODULES:
        module = importlib.import_module(f"fnnet.{place}")
        for name, value in vars(module).items():
            if callable(value) and not name.startswith("_") and getattr(value, "__module__", "") == module.__name__:
                found[f"{place.rpartition('.')[2]}.{name}"] = value
    for name in fnnet.__all__:
        value = getattr(fnnet, name)
        if callable(value) and not isinstance(value, optimizers.Optimizer):
            found[f"{value.__module__.rpartition('.')[2]}.{value.__name__}"] = value
    kinds_of_value = (tuple, BaseException)
    return {
        name: value
        for name, value in found.items()
        if not (isinstance(value, type) and issubclass(value, kinds_of_value))
    }
