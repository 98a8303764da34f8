"""The registry of operations: each public function of the mathematics once, with what its tests are generated from.

The operations of the kernels take their inputs from the case table, `tests/tools/cases.py`.
"""

import importlib
import inspect

import numpy as np

import fnnet
from fnnet.core import (
    check_network,
    checks,
    committee,
    deform,
    dropout,
    gradcheck,
    metrics,
    public,
    public_optimizers,
    rng,
    schedules,
)
from fnnet.core.state import Examples
from fnnet.core.table import NAMES, NUMPY
from fnnet.training import class_weights, epochs, lbfgs, lr_find, plan, steps, stopping
from tests.tools import cases
from tests.tools.operation import BYTES, FLAG, FLOATS, INTEGERS, NUMBERS, OTHER, PIXELS, REALS, TREE, Operation

MODULES = (
    *(
        "core." + name
        for name in (
            "public",
            "public_gradients",
            "public_optimizers",
            "check_network",
            "check_trees",
            "committee",
            "checks",
            "state",
            "rng",
        )
    ),
    *("core." + name for name in ("schedules", "metrics", "dropout", "shards", "deform", "differences", "gradcheck")),
    *("training." + name for name in ("class_weights", "stopping", "steps", "blocks", "lbfgs", "lr_find", "epochs")),
    "training.plan",
)
"""Modules whose functions check their arguments. The four pages of the mathematics (params, operations, network,
optimizers) check nothing: `core.public`, `core.public_optimizers` and the methods of `Kernels` do it for them."""

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
NAN = np.where((np.arange(N) == 4)[:, None] & (np.arange(6) == 2), np.nan, X)
NAN_TOLD = "row 4, column 2: x is not finite; expected finite float64, found nan; fill it in"
LABELS, WEIGHTS = np.arange(N) % 3, _draw.random(N) + 0.1
MASKS = tuple(_draw.integers(0, 2, (N, width)) * 2.0 for width in SIZES[1:-1])
FORWARD = fnnet.forward(PARAMS, X)
GRADS = fnnet.backward(PARAMS, FORWARD, LABELS)
EXAMPLES = Examples(X, LABELS)
STATE = steps.start(PARAMS, 3)
ADAM = public_optimizers.averaged(public_optimizers.clipped(public_optimizers.adam(), 0.5), 0.9)
PLAN = plan.Plan(2, 3, 0.1, schedule="cosine")

_tree, _x, _labels = (TREE, PARAMS), (PIXELS, X), (INTEGERS, LABELS)
_weights, _smoothing, _relu = (NUMBERS, WEIGHTS), (OTHER, 0.1), (OTHER, "relu")

# The kernels: of each way of calling them in the case table, the arguments by their names.

GRADIENT_OF = {name: f"{name}_backward" for name in NAMES if f"{name}_backward" in NAMES}
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

_add("public.forward", fnnet.forward, {"params": _tree, "x": _x, "activation": _relu, "masks": (OTHER, MASKS)},
    none=("masks",), takes=True, errors=[({"x": X[0]}, r"x\[None, :\]"), ({"x": X[:, :5]}, r"shape \(n, 6\)"),
    ({"x": X[:0]}, "at least 1 row"), ({"x": NAN}, NAN_TOLD)])
_add("public.loss", fnnet.loss, {"params": _tree, "x": _x, "labels": _labels, "weights": _weights,
    "label_smoothing": _smoothing}, none=("weights",), takes=True, gradient="public.backward",
    errors=[({"labels": LABELS + 1}, "index 2: label out of range; expected 0 to 2, found 3"),
    ({"labels": LABELS - 1}, "index 0: label out of range"), ({"weights": -WEIGHTS}, "index 0: weight out"),
    ({"weights": WEIGHTS * np.nan}, "nan"), ({"label_smoothing": 1.0}, "less than 1"), ({"x": NAN}, NAN_TOLD)])
_default = {"activation": ("none",)}
_width = [({"x": X.reshape(N, 2, 3)}, r"x\.reshape\(len\(x\), -1\)")]
_after = {"params": _tree, "activations": (OTHER, FORWARD), "labels": _labels, "weights": _weights}
_add("public.backward", fnnet.backward, _after | {"label_smoothing": _smoothing}, none=("weights",), takes=True)
_from = {"params": _tree, "activations": (OTHER, FORWARD), "dlogits": (NUMBERS, FORWARD.logits - 1)}
for _name in ("backpropagate", "input_gradient", "sample_gradients"):
    _add(f"public_gradients.{_name}", getattr(fnnet, _name), _from, takes=True, errors=[({"dlogits": X},
        r"dlogits do not fit the logits; expected shape \(7, 3\), found \(7, 6\)")])
_answer = {"params": _tree, "x": _x, "activation": _relu, "precision": (OTHER, "float")}
_whole = [({"precision": "int4"}, "unknown precision; expected float or int8, found 'int4'"),
    ({"precision": "int8", "x": NAN}, NAN_TOLD), ({"precision": "int8", "activation": "tanh"}, "has no int8 form")]
_add("public.scores", fnnet.scores, _answer, takes=True, fine=_default, errors=[*_width, ({"x": NAN}, NAN_TOLD),
    *_whole])
_add("public.predict", public.predict, _answer, takes=True, fine=_default, errors=[*_width, ({"x": NAN}, NAN_TOLD),
    *_whole])
_add("public.predictor", lambda params, x, activation, precision, kernels=NUMPY: fnnet.predictor(params,
    activation=activation, precision=precision, kernels=kernels)(x), _answer, takes=True, fine=_default,
    errors=[({"x": NAN}, NAN_TOLD), *_whole])
for _name in ("predict", "probabilities"):
    _add(f"use.{_name}", getattr(fnnet, _name), _answer, takes=True, fine=_default, errors=[*_width, ({"x": NAN},
        NAN_TOLD), *_whole])
_add("public.best_classes", public.best_classes, {"logits": (FLOATS, X)}, errors=[({"logits": X * np.nan}, "row 0")])

# Parameters.

_add("public.init", fnnet.init, {"sizes": (OTHER, (4, 3, 2)), "seed": (OTHER, 3), "scheme": (OTHER, "he")},
    errors=[({"sizes": (4, 0, 2)}, "integers >= 1"), ({"sizes": (4, 2**40)}, "network too large"), ({"seed": -1},
    "0 to")])
_add("check_network.check_sizes", check_network.check_sizes, {"sizes": (OTHER, (4, 3, 2))})
_add("checks.check_classes", checks.check_classes, {"names": (OTHER, ("a", "b"))}, fine={"names": ("empty",)})
_add("checks.check_dtype", checks.check_dtype, {"dtype": (OTHER, np.float32)}, fine={"dtype": ("none",)})

_add("committee.join", fnnet.join, {"networks": (OTHER, (PARAMS, GRADS))}, fine={"networks": ()},
    errors=[({"networks": (PARAMS, fnnet.init((6, 3), dtype=np.float64))}, r"networks\[1\]: number of layers")])
_add("committee.assemble", committee.assemble, {"networks": (OTHER, (PARAMS, GRADS))}, fine={"networks": ()},
    errors=[({"networks": (PARAMS, fnnet.init((6, 3), dtype=np.float64))}, r"networks\[1\]: number of layers")])

# Optimizers: one step of each.

_add("public.update", fnnet.update, {"params": _tree, "grads": (TREE, GRADS), "learning_rate": (OTHER, 0.1)},
    takes=True, errors=[({"learning_rate": np.nan}, "finite"), ({"grads": fnnet.init((6, 3))},
    "grads do not fit params")])


def _stepping(maker):
    def call(params, grads, learning_rate, **figures):
        made = maker(**figures)
        state = made.init(params)
        for _ in range(2):
            params, state = made.update(params, grads, state, learning_rate)
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
    "lion": {"beta_1": _beta, "beta_2": _beta} | _decay,
}.items():
    _betas = [({key: value}, "less than 1") for key in _figures if "beta" in key for value in (1, -0.1, np.nan)]
    _maker = getattr(public_optimizers, _name)
    _add(f"public_optimizers.{_name}", _stepping(_maker), _step | _figures, errors=_rates + _decays + _betas)
_add("public_optimizers.clipped", _stepping(lambda optimizer, norm: public_optimizers.clipped(optimizer, norm)), _step
    | {"optimizer": (OTHER, public_optimizers.adam()), "norm": (OTHER, 0.1)},
    errors=[({"norm": value}, "norm") for value in (0, -1, np.nan, np.inf)])
_add("public_optimizers.averaged", _stepping(lambda optimizer, decay: public_optimizers.averaged(optimizer, decay)),
    _step | {"optimizer": (OTHER, public_optimizers.adam()), "decay": (OTHER, 0.5)}, errors=[({"decay": value},
    "ema") for value in (1, -1, np.nan)])
_add("public_optimizers.make", _stepping(public_optimizers.make), _step | {"name": (OTHER, "nesterov"),
    "momentum_beta": (OTHER, 0.5), "weight_decay": (OTHER, 0.1)})

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
    "epochs": (OTHER, 2), "steps_per_epoch": (OTHER, 3), "cycles": (OTHER, (1,)), "at": _at},
    fine={"cycles": ("empty",)})
_add("schedules.follows_length", schedules.follows_length, {"text": (OTHER, "step:every=2")})
_add("schedules.check_cycles", schedules.check_cycles, {"cycles": (OTHER, (1, 2)), "epochs": (OTHER, 3)},
    fine={"cycles": ("empty",)})
_add("schedules.plateau_scale", schedules.plateau_scale, {"losses": (OTHER, [3.0, 3.0, 3.0]), "factor": (OTHER, 0.5),
    "patience": (OTHER, 1), "threshold": (OTHER, 0.1)}, fine={"losses": ("empty",)})

# Metrics.

_predicted = {"predicted": (INTEGERS, (LABELS + (LABELS > 1)) % 3), "labels": _labels}
_add("metrics.evaluate", metrics.evaluate, {"params": _tree, "x": _x, "labels": _labels, "activation": _relu,
    "precision": (OTHER, "float")}, takes=True, fine=_default, errors=[({"x": X[:0], "labels": LABELS[:0]},
    "at least 1 row"), *_whole])
_add("metrics.accuracy", metrics.accuracy, _predicted, errors=[({"labels": LABELS[1:]}, "as many")])
_add("metrics.confusion", metrics.confusion, _predicted | {"classes": (OTHER, 3)}, errors=[({"classes": 2},
    "label out of range"), ({"labels": LABELS[1:]}, "shape")])
_add("metrics.per_class", metrics.per_class, {"matrix": (INTEGERS, np.arange(9).reshape(3, 3))},
    errors=[({"matrix": np.ones((2, 3), int)}, "classes, classes"), ({"matrix": -np.eye(2, dtype=int)}, "counts")])
_add("metrics.dead_units", metrics.dead_units, {"params": _tree, "x": _x, "activation": _relu}, takes=True)
_add("stopping.best_epoch", stopping.best_epoch, {"losses": (OTHER, [3.0, 2.0])}, fine={"losses": ("empty",)})
_add("stopping.is_over", stopping.is_over, {"losses": (OTHER, [3.0, 2.0]), "patience": (OTHER, 1)},
    fine={"losses": ("empty",)})

# Random numbers, dropout, class weights, deformation.

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
_add("deform.faded", deform.faded, {"deformation": (OTHER, deform.Deformation(1, 9, 0.1, 0.1, 1.0, fade=0.4)),
    "epoch": (OTHER, 4), "epochs": (OTHER, 5)}, errors=[({"epoch": 6}, "epochs"), ({"epoch": 0}, "epoch out of range")])

# Training.

_train = {"state": (OTHER, steps.start(PARAMS, 3, optimizer=ADAM)), "optimizer": (OTHER, ADAM)}
_objective = {"objective": (OTHER, steps.Objective("silu", 0.3, 0.1))}
_add("steps.train_step", fnnet.train_step, _train | _objective | {"x": _x, "labels": _labels, "learning_rate": (OTHER,
    0.1), "weights": _weights}, none=("weights",), takes=True, errors=[*_rates, ({"x": NAN}, NAN_TOLD)])
_add("blocks.train_block", lambda x, labels, **arguments: fnnet.train_block(examples=Examples(x, labels), **arguments),
    _train | _objective | {"x": _x, "labels": _labels, "rows": (INTEGERS, np.arange(N)[::-1].copy()),
    "batch_size": (OTHER, 3), "learning_rate": (OTHER, 0.1), "weights": _weights}, none=("weights", "rows"),
    takes=True, n_steps=3, errors=[*_rates, ({"batch_size": 0}, "batch_size"), ({"rows": np.array([N])},
    "row out of range"), ({"x": NAN}, NAN_TOLD), ({"x": NAN, "rows": None}, NAN_TOLD)])
_add("steps.start", lambda params, seed: steps.start(params, seed), {"params": _tree, "seed": (OTHER, 3)})
_add("lbfgs.minimise", lambda x, labels, **rest: lbfgs.minimise(examples=Examples(x, labels), **rest),
    {"params": _tree, "x": _x, "labels": _labels, "iterations": (OTHER, 2), "activation": (OTHER, "tanh"),
    "l2": (OTHER, 0.1), "weights": _weights, "label_smoothing": _smoothing}, none=("weights",), takes=True,
    n_steps=50, errors=[({"x": NAN}, NAN_TOLD)])
_add("lr_find.range_test", lr_find.range_test, {"state": (OTHER, STATE), "examples": (OTHER, EXAMPLES),
    "batch_size": (OTHER, 3), "low": (OTHER, 1e-3), "high": (OTHER, 0.1), "steps": (OTHER, 12)}, takes=True,
    n_steps=12)
_add("lr_find.falls", lr_find.falls, {"rates": (NUMBERS, np.arange(1.0, 9.0)), "losses": (NUMBERS,
    np.arange(8.0)[::-1].copy()), "smoothed": (NUMBERS, np.arange(8.0)[::-1].copy()), "window": (OTHER, 3)})
_add("gradcheck.check_gradients", gradcheck.check_gradients, {"params": (TREE, fnnet.init((2, 1, 2), 1,
    dtype=np.float64)), "x": (PIXELS, X[:2, :2]), "labels": (INTEGERS, LABELS[:2]), "activation": _relu}, takes=True)
_add("gradcheck.check_gradient", lambda at, gradient, step: gradcheck.check_gradient(lambda x: float((x**3).sum()), at,
    gradient, step=step), {"at": (OTHER, X[:2]), "gradient": (NUMBERS, 3 * X[:2] ** 2), "step": (OTHER, 1e-3)},
    errors=[({"at": X.astype("f")}, r"at\.astype\(np\.float64\)"), ({"gradient": X}, "gradient does not fit"),
    ({"at": fnnet.init((2, 2))}, "dtype='float64'"), ({"step": 0.0}, "step")])


def _epochs(training, plan, kernels=NUMPY):
    """All but the seconds."""
    found = list(epochs.epochs(training, EXAMPLES, plan, dev=EXAMPLES, kernels=kernels))
    return [(each.state, [(*report[:1], *report[2:]) for report in each.history]) for each in found]


_add("epochs.epochs", _epochs, {"training": (OTHER, epochs.start(PARAMS, 3, PLAN)), "plan": (OTHER, PLAN)}, takes=True,
    n_steps=6)
_add("epochs.start", epochs.start, {"params": _tree, "seed": (OTHER, 3), "plan": (OTHER, PLAN)})
_add("plan.check_plan", plan.check_plan, {"plan": (OTHER, PLAN)})
_add("plan.make_optimizer", _stepping(plan.make_optimizer), _step | {"plan": (OTHER, PLAN)})

# fmt: on
THROUGH = {
    "check_network.check_activation": "public.forward",
    "check_network.check_params": "public.forward",
    "check_network.check_input": "public.forward",
    "check_network.as_input": "public.forward",
    "check_network.as_pixels": "public.forward",
    "check_network.check_finite_input": "public.forward",
    "check_network.check_masks": "public.forward",
    "check_network.as_plain": "public.forward",
    "check_network.as_stored": "public.scores",
    "check_network.contiguous": "public.scores",
    "check_network.copied": "public.predictor",
    "check_trees.check_like": "public.update",
    "check_trees.check_finite_grads": "public.update",
    "check_network.check_network": "public.loss",
    "check_network.check_dlogits": "public_gradients.backpropagate",
    "check_network.check_activations": "public.backward",
    "check_network.check_examples": "blocks.train_block",
    "check_network.check_initialiser": "public.init",
    "check_network.check_operands": "operations.affine",
    "checks.as_array": "public.forward",
    "checks.as_integers": "public.loss",
    "checks.whole": "public_optimizers.adam",
    "checks.one_number": "rng.check_seed",
    "checks.is_span": "rng.check_seed",
    "checks.calm": "public.forward",
    "committee.check_committee": "committee.assemble",
    "checks.check_untraced": "public.forward",
    "checks.check_labels": "public.loss",
    "checks.check_weights": "public.loss",
    "checks.check_label_smoothing": "public.loss",
    "checks.check_share": "public_optimizers.momentum",
    "checks.check_amount": "public_optimizers.sgd",
    "checks.check_finite": "public.update",
    "checks.check_count": "rng.order",
    "checks.check_numbers": "stopping.best_epoch",
    "checks.shown": "rng.check_seed",
    "deform.check_deformation": "deform.deform",
    "deform.check_image_shape": "deform.deform",
    "deform.check_images": "deform.deform",
    "public_optimizers.check_optimizer": "public_optimizers.clipped",
    "public_optimizers.check_state": "public_optimizers.adam",
    "public_optimizers.checked": "public_optimizers.adam",
    "public_optimizers.unchecked": "public_optimizers.clipped",
    "public_optimizers.CheckedUpdate": "public_optimizers.adam",
    "plan.check_kind": "plan.check_plan",
    "plan.deformation_in": "epochs.epochs",
    "plan.schedule_of": "epochs.epochs",
    "shards.cuts": "blocks.train_block",
    "shards.tree_sum": "blocks.train_block",
    "shards.share_of": "blocks.train_block",
    "blocks.rates_of": "blocks.train_block",
    "blocks.add_up": "blocks.train_block",
    "blocks.make_blocks": "blocks.train_block",
    "blocks.Loop": "blocks.train_block",
    "blocks.rules_of": "blocks.train_block",
    "epochs.epochs_together": "epochs.epochs",
    "checks.is_masked": "public.forward",
    "steps.check_work": "steps.train_step",
    "steps.step": "steps.train_step",
    "steps.freeze_state": "steps.train_step",
    "steps.check_finite_weights": "steps.train_step",
    "steps.overflowing_layer": "steps.train_step",
    "steps.diverged": "steps.train_step",
    "epochs.trained_params": "epochs.start",
    "epochs.EpochRunner": "epochs.epochs",
    "metrics.dead_units_in": "metrics.dead_units",
    "metrics.evaluation_of": "metrics.evaluate",
    "class_weights.weights_of": "class_weights.class_weights",
    "schedules.make_plateau": "epochs.epochs",
    "differences.differentiate": "gradcheck.check_gradient",
    "differences.fitting_step": "gradcheck.check_gradient",
    "differences.fitting_complex_step": "gradcheck.check_gradient",
    "gradcheck.example": "gradcheck.check_gradients",
    "gradcheck.example_weights": "gradcheck.check_gradients",
    "lbfgs.minimizer": "lbfgs.minimise",
}
"""Functions whose faults show through another operation, which is tested."""
ELSEWHERE = {
    "state.unfit": "tests/data/test_arguments.py",
    "state.described": "tests/files/test_model.py",
    "state.as_scaling": "tests/files/test_model.py",
    "state.unit_of": "tests/cli/test_tables.py",
    "state.class_names": "tests/apps/test_use.py",
    "use.evaluate": "tests/apps/test_use.py",
    "fitting.fit": "tests/apps/test_fitting.py",
    "classifier.FNNetClassifier": "tests/apps/test_estimator.py",
    "conversions.from_keras": "tests/apps/test_conversions.py",
    "conversions.from_sklearn": "tests/apps/test_conversions.py",
    "conversions.from_torch": "tests/apps/test_conversions.py",
    "conversions.from_tree": "tests/apps/test_conversions.py",
    "conversions.to_keras": "tests/apps/test_conversions.py",
    "conversions.to_sklearn": "tests/apps/test_conversions.py",
    "conversions.to_torch": "tests/apps/test_conversions.py",
    "conversions.to_tree": "tests/apps/test_conversions.py",
    "plan.plain_values": "tests/training/test_session.py",
    "plan.note_of_schedule": "tests/training/test_session.py",
    "plan.check_recipe": "tests/training/test_session.py",
    "plan.check_figures": "tests/cli/test_options_first.py",
    "class_weights.check_text": "tests/cli/test_options_first.py",
    "plan.check_hidden": "tests/training/test_session.py",
    "plan.check_streamed": "tests/training/test_streams.py",
    "plan.check_effects": "tests/training/test_session.py",
    "plan.check_parts": "tests/training/test_settings.py",
    "plan.check_run_dir": "tests/training/test_settings.py",
    "plan.check_ranks": "tests/training/test_ranks.py",
    "shards.leaves": "tests/training/test_ranks.py",
    "shards.additions": "tests/training/test_ranks.py",
    "shards.subtrees": "tests/training/test_ranks.py",
    "shards.rows_of": "tests/training/test_ranks.py",
    "shards.total": "tests/training/test_ranks.py",
    "shards.Ranks": "tests/training/test_ranks.py",
    "shards.merges": "tests/training/test_ranks.py",
    "shards.waiting": "tests/training/test_ranks.py",
    "shards.vector_total": "tests/training/test_local_steps.py",
    "shards.rounded": "tests/core/test_shards.py",
    "shards.check_message_bits": "tests/core/test_shards.py",
    "metrics.evaluate_in": "tests/core/test_edges.py",
    "many.train_many": "tests/training/test_many.py",
    "batches.BatchPredictor": "tests/apps/test_batches.py",
    "model.save_model": "tests/files/test_model.py",
    "model.load_model": "tests/files/test_model.py",
    "kernels.load": "tests/kernels/test_library.py",
    "state.report_of": "tests/files/test_checkpoints.py",
    "state.frozen": "tests/files/test_model.py",
    "state.thawed": "tests/files/test_model.py",
    "state.networks_of": "tests/core/test_committee.py",
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
    found |= {f"operations.{name}": getattr(NUMPY, name) for name in NAMES}
    for name in fnnet.__all__:
        value = getattr(fnnet, name)
        if callable(value) and not isinstance(value, public_optimizers.Optimizer):
            found[f"{value.__module__.rpartition('.')[2]}.{value.__name__}"] = value
    kinds_of_value = (tuple, BaseException)
    return {
        name: value
        for name, value in found.items()
        if not (isinstance(value, type) and issubclass(value, kinds_of_value))
    }
